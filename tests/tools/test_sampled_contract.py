"""What every sampled analyzer promises: results do not depend on how, in what order and in which company they were asked for."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.protocols import EngineConfig, Grain, Spec
from analyzer_agent.records import Observation, Sample
from analyzer_agent.testing import FakeVideo
from analyzer_agent.timeline import TimeRange, first_instant, instants, known_instants, sample_end
from analyzer_agent.tools import captions, moments, objects, tags, text
from analyzer_agent.tools.engines import rapidocr
from engines import LoadedEngine, grains_of

STEPS = (250, 500, 1_000, 2_000, 4_000, 16_000)


def picture_at(pts: int) -> Any:
    """Return a picture that carries its own time in its first pixels, and is the same for two frames at a time."""
    image = np.zeros((36, 64, 3), np.uint8)
    number = pts // 500
    image[0, 0] = number // 256, number % 256, 7
    return image


def number_of(image: Any) -> int:
    """Return what `picture_at` wrote, from a BGR picture."""
    assert image[0, 0, 0] == 7, "the picture is not BGR"
    return int(image[0, 0, 2]) * 256 + int(image[0, 0, 1])


class Cheap:
    """All engines in one, which sees the number that a picture carries, and nothing on every fifth."""

    name, weights, uncertain, config = "cheap", "", False, EngineConfig()
    names = ("mark",)

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch

    def get(self) -> "Cheap":
        return self

    def read(self, image: Any, languages: Sequence[str]) -> Sequence[text.Line]:
        number = number_of(image)
        return [(f"line {number}", 0.9, (1.0, 1.0, 9.0, 9.0)), ("x", 0.4, (20.0, 1.0, 9.0, 9.0))] if number % 5 else []

    def detect(self, images: Sequence[Any], floor: float, vocabulary: Sequence[str] = ()) -> Sequence[Sequence[objects.DetectedBox]]:
        assert 0 < len(images) <= self.batch
        return [[("mark", 0.9, (float(n), 1.0, 9.0, 9.0))] * (n % 3) if (n := number_of(image)) % 5 else [] for image in images]

    def caption(self, images: Sequence[Any]) -> Sequence[str]:
        assert 0 < len(images) <= self.batch
        return [f"the number {n} ." if (n := number_of(image)) % 5 else "" for image in images]

    def probabilities(self, images: Sequence[Any], groups: Sequence[Sequence[str]]) -> Sequence[Sequence[Sequence[float]]]:
        assert 0 < len(images) <= self.batch
        return [[self._fits(number_of(image), len(group)) for group in groups] for image in images]

    def image_features(self, images: Sequence[Any]) -> Sequence[Any]:
        assert 0 < len(images) <= self.batch
        return [np.array([number_of(image), 1], np.float32) for image in images]

    def _fits(self, number: int, labels: int) -> list[float]:
        return [0.7 if n == number % labels and number % 5 else 0.0 for n in range(labels)]


def found_in(spec: Spec, engine: Any, video: Any, grains: Sequence[Grain]) -> Mapping[TimeRange, Sequence[Observation]]:
    """Return what is found by grain, and see to it that every grain comes once, in the order asked."""
    results = list(spec.bind({}, engine).analyze(video, grains))
    assert [grain for grain, _ in results] == list(grains)
    return {grain.span: list(found) for grain, found in results}


def check(spec: Spec, video: Any, grains: Sequence[Grain], found: Mapping[TimeRange, Sequence[Observation]]) -> None:
    """Check what holds of every observation by itself."""
    for grain in grains:
        limit = min(grain.span.end, video.picture.end)
        for seen in found[grain.span]:
            assert seen.kind in spec.kinds
            assert grain.span.start <= seen.span.start < seen.span.end <= limit
            assert seen.span.start in grain.instants
            assert seen.span.end == sample_end(seen.span.start, grain.step, limit)
            if isinstance(seen, Sample):
                continue
            pts = seen.detail["pts"]
            assert isinstance(pts, int) and video.picture.start <= pts < video.picture.end
            assert pts <= max(seen.span.start, video.picture.start)


BY_ITSELF = [objects.SPEC, captions.SPEC, tags.SPEC, moments.SPEC]
"""Those that look at the asked frames and no others; text compares them with frames around them."""

ALL = pytest.mark.parametrize("spec", [text.SPEC, *BY_ITSELF], ids=lambda spec: spec.name)
ALONE = pytest.mark.parametrize("spec", BY_ITSELF, ids=lambda spec: spec.name)


@ALL
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_ranges_orders_groupings_and_batches_give_what_the_whole_gives(spec: Spec, data: st.DataObject) -> None:
    duration = data.draw(st.integers(1, 50_000), label="duration")
    late = data.draw(st.integers(0, min(3_000, duration - 1)), label="start of the picture")
    step = data.draw(st.sampled_from(STEPS), label="step")
    video = FakeVideo(duration, start=late, rate=4, picture_at=picture_at)
    grains = grains_of(video, spec, TimeRange(0, duration), step)
    whole = found_in(spec, Cheap(), video, grains)
    check(spec, video, grains, whole)

    asked = data.draw(st.permutations(grains), label="order")[: data.draw(st.integers(0, len(grains)), label="how many")]
    cuts = data.draw(st.sets(st.integers(0, len(asked))), label="cuts")
    engine = Cheap(data.draw(st.integers(1, 9), label="batch"))
    again: dict[TimeRange, Sequence[Observation]] = {}
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(asked)], strict=True):
        again |= found_in(spec, engine, video, asked[begin:end])
    assert again == {grain.span: whole[grain.span] for grain in asked}


@ALONE
def test_refining_looks_only_at_the_new_instants(spec: Spec) -> None:
    video = FakeVideo(20_000, start=300, rate=4, picture_at=picture_at)
    assert video.picture
    span, root = TimeRange(0, 20_000), first_instant(video.picture)
    coarse = found_in(spec, Cheap(), video, grains_of(video, spec, span, 2_000))
    seen = len(video.reads)
    assert seen == len(instants(span, 2_000, video.picture))

    fine = grains_of(video, spec, span, 1_000)
    covered = [(grain.span, 2_000) for grain in fine]
    rest = [Grain(g.span, g.step, tuple(t for t in g.instants if t not in known_instants(g.instants, covered, root))) for g in fine]
    refined = found_in(spec, Cheap(4), video, rest)
    check(spec, video, rest, refined)
    assert len(video.reads) - seen == len(instants(span, 1_000, video.picture)) - seen

    def texts(*results: Mapping[TimeRange, Sequence[Observation]]) -> list[tuple[int, str, bytes]]:
        return sorted(
            (one.span.start, one.text, getattr(one, "vector", b"")) for found in results for some in found.values() for one in some
        )

    assert texts(coarse, refined) == texts(found_in(spec, Cheap(), video, fine))


@ALONE
def test_one_pass_serves_grains_that_follow_each_other(spec: Spec) -> None:
    calls: list[Sequence[int]] = []

    class Counted(FakeVideo):
        def frames(self, span: TimeRange, fps: float | None = None, **how: Any) -> Iterator[Any]:
            calls.append(how["instants"])
            return super().frames(span, fps, **how)

    video = Counted(40_000, rate=4, picture_at=picture_at)
    grains = grains_of(video, spec, TimeRange(0, 40_000), 4_000)
    found_in(spec, Cheap(3), video, grains)
    assert calls == [list(range(0, 40_000, 4_000))]
    calls.clear()
    found_in(spec, Cheap(3), video, [*grains[3:], *grains[:2]])
    assert calls == [list(range(24_000, 40_000, 4_000)), list(range(0, 16_000, 4_000))]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 18 s, 4 frames a second, that shows a new number every two seconds, and nothing from 10 s to 12 s."""
    import av
    from PIL import Image, ImageDraw, ImageFont

    path = tmp_path_factory.mktemp("clip") / "numbers.mkv"
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=4, width=192, height=96, pix_fmt="yuv420p")
        for number in range(72):
            image = Image.new("RGB", (192, 96), (230, 230, 220))
            if not 10 <= number // 4 < 12:
                shown = f"Number {number // 8 + 11}"
                ImageDraw.Draw(image).text((14, 30), shown, fill=(10, 20, 30), font=ImageFont.load_default(28))
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


class Loaded(LoadedEngine):
    """RapidOCR as the session would hold it."""

    name, weights, uncertain = "rapidocr", "", False

    def __init__(self) -> None:
        self.reader = rapidocr.ENGINE.load(EngineConfig())

    def get(self) -> Any:
        return self.reader


def test_rapidocr_on_a_real_clip_keeps_the_promises(clip: Path) -> None:
    from analyzer_agent.media import open_video

    engine, spec = Loaded(), text.SPEC
    with open_video(clip) as video:
        assert video.picture is not None
        grains = grains_of(video, spec, TimeRange(0, video.duration), 1_000)
        whole = found_in(spec, engine, video, grains)
        check(spec, video, grains, whole)
        read = {seen.span.start: seen.text for found in whole.values() for seen in found}
        assert read == {t: f"Number {t // 2_000 + 11}" for t in range(0, 18_000, 1_000) if not 10_000 <= t < 12_000}

        shuffled = random.Random(1).sample(grains, len(grains))
        assert found_in(spec, engine, video, shuffled) == whole
        assert found_in(spec, engine, video, grains[1:2]) == {grains[1].span: whole[grains[1].span]}
        coarse = found_in(spec, engine, video, grains_of(video, spec, TimeRange(0, video.duration), 2_000))
        assert [seen.span.start for found in coarse.values() for seen in found] == [t for t in range(0, 18_000, 2_000) if t != 10_000]
