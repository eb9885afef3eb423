"""Scenes: the same cuts as PySceneDetect's own `detect`, whatever is asked together."""

import itertools
import json
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import scenedetect

from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.evidence.shots import MIN_SCENE_MS, Shot, join_shots
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig, Frame, Grain
from analyzer_agent.records import Note, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import scenes
from analyzer_agent.tools.engines import pyscenedetect
from analyzer_agent.tools.engines.pyscenedetect import ENGINE
from engines import LoadedEngine

MIN_S = (MIN_SCENE_MS - 0.5) / 1000
"""The minimum length in seconds, safe from rounding, since times are whole ms."""
DETECTORS = {"adaptive": scenedetect.AdaptiveDetector, "content": scenedetect.ContentDetector}


class Loaded(LoadedEngine):
    """An engine as the session would hand it over."""

    name, weights, uncertain = "pyscenedetect", "", False

    def get(self) -> Any:
        return ENGINE.load(EngineConfig())


def write_clip(path: Path, pictures: Sequence[tuple[int, np.ndarray]], time_base: Fraction, rate: Fraction) -> Path:
    """Write pictures at their times (in units of `time_base`), without loss that matters."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4", "preset": "ultrafast", "g": "25"})
        height, width = pictures[0][1].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = time_base
        for pts, picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = pts, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def looks(kinds: Sequence[int], size: tuple[int, int] = (160, 90)) -> Iterator[np.ndarray]:
    """Yield a picture per number: each number is another place, with something small moving in it."""
    width, height = size
    for at, kind in enumerate(kinds):
        rng = np.random.default_rng(kind)
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = coarse.repeat(-(-height // 6), axis=0).repeat(-(-width // 8), axis=1)[:height, :width].copy()
        picture[20:40, (at * 3) % (width - 20) :][:, :20] = 255
        yield picture


def still(kind: int) -> np.ndarray:
    """Return a small picture per number, in which nothing moves."""
    return next(looks([kind], (64, 48)))


def strobe() -> list[int]:
    """Return looks with flashes every few frames, bursts longer than a second, and quiet parts, ending within a burst."""
    kinds = [0] * 40 + [1] * 50
    for gap, times in ((3, 14), (5, 3), (8, 6), (14, 5), (15, 4), (16, 4), (1, 25)):
        kinds += [2 + (i % 2) for i in range(times) for _ in range(gap)] + [kinds[-1]] * 30
    return kinds + [7] * 20 + [8 + (i % 2) for i in range(4) for _ in range(4)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    kinds = strobe()
    constant = [(i * 1001, picture) for i, picture in enumerate(looks(kinds))]
    rng = random.Random(5)
    times = list(itertools.accumulate([0, *(rng.choice([10, 20, 30, 40, 50, 60, 70, 120]) for _ in kinds[1:])]))
    variable = list(zip(times, looks(kinds), strict=True))
    slow = [(i, picture) for i, picture in enumerate(looks([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]))]
    late = [(i + 40, picture) for i, picture in enumerate(looks([0] * 30 + [1] * 30 + [2] * 30))]
    return {
        "strobe": write_clip(folder / "strobe.mp4", constant, Fraction(1, 30000), Fraction(30000, 1001)),
        "variable": write_clip(folder / "variable.mp4", variable, Fraction(1, 1000), Fraction(20)),
        "slow": write_clip(folder / "slow.mp4", slow, Fraction(2), Fraction(1, 2)),
        "late": write_clip(folder / "late.mp4", late, Fraction(1, 25), Fraction(25)),
    }


def bound(detector: str) -> Any:
    return scenes.SPEC.bind({"detector": detector}, Loaded())


def grains_of(video: Any, size: int) -> list[Grain]:
    return [Grain(span) for span in TimeRange(0, video.duration).grains(size, video.duration)]


def as_notes(found: Sequence[tuple[Grain, Sequence[Observation]]]) -> list[Note]:
    pieces = sorted((piece for _, pieces in found for piece in pieces), key=lambda piece: piece.span)
    return [Note(number, "v", "scenes", "k", piece) for number, piece in enumerate(pieces, 1)]


def frame_of(notes: Sequence[Note], shot: Shot) -> Any:
    return next(note.observation.detail["frame"] for note in notes if note.id == shot.ids[0])


def cut_frames(video: Any, detector: str, size: int = 60_000) -> list[int]:
    notes = as_notes(list(bound(detector).analyze(video, grains_of(video, size))))
    return [frame_of(notes, shot) for shot in join_shots(notes, detector, True)][1:]


def shuffled_cut_frames(video: Any, detector: str, size: int) -> list[int]:
    """Return the same as `cut_frames`, from grains asked in random order and random groups."""
    rng, grains, found = random.Random(size), grains_of(video, size), []
    rng.shuffle(grains)
    while grains:
        group = sorted((grains.pop() for _ in range(rng.randint(1, len(grains)))), key=lambda grain: grain.span)
        found += list(bound(detector).analyze(video, group))
    notes = as_notes(found)
    return [frame_of(notes, shot) for shot in join_shots(notes, detector, True)][1:]


def own_cuts(path: Path, detector: str, backend: str = "opencv") -> list[int]:
    """Return the cut frames that PySceneDetect itself finds in the file."""
    return [
        start.frame_num
        for start, _ in scenedetect.detect(str(path), DETECTORS[detector](min_scene_len=MIN_S), start_in_scene=True, backend=backend)
    ][1:]


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("clip", ["strobe", "variable", "slow", "late"])
def test_cuts_equal_those_of_pyscenedetect(clips: dict[str, Path], clip: str, detector: str) -> None:
    expected = own_cuts(clips[clip], detector)
    assert expected
    for size in (60_000, 2_000, 700):
        assert cut_frames(open_video(clips[clip]), detector, size) == expected


SLIDES = {"25 fps": (150, "25"), "5 fps": (30, "5"), "1 fps": (6, "1"), "a frame per change": (1, "1/6"), "0.33 fps": (2, "1/3")}


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("kind", SLIDES)
def test_ten_slides_are_ten_shots_at_any_rate(tmp_path: Path, kind: str, detector: str) -> None:
    frames, named = SLIDES[kind]
    rate = Fraction(named)
    pictures = [picture for slide in range(10) for picture in [still(slide)] * frames]
    path = write_clip(tmp_path / "slides.mp4", list(enumerate(pictures)), 1 / rate, rate)
    video = open_video(path)
    assert video.duration == 60_000
    for size in (60_000, 7_000):
        notes = as_notes(list(bound(detector).analyze(video, grains_of(video, size))))
        assert [shot.span.start for shot in join_shots(notes, detector, True)] == list(range(0, 60_000, 6_000))


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_recording_of_a_screen_with_uneven_times_has_a_shot_per_change(tmp_path: Path, detector: str) -> None:
    times = [0, 700, 5000, 5040, 5080, 9000, 30_000, 30_900, 31_000, 45_000]
    kinds = [0, 1, 2, 2, 2, 3, 4, 5, 5, 6]
    path = write_clip(tmp_path / "screen.mkv", list(zip(times, map(still, kinds), strict=True)), Fraction(1, 1000), Fraction(10))
    video = open_video(path)
    notes = as_notes(list(bound(detector).analyze(video, grains_of(video, 10_000))))
    assert [shot.span.start for shot in join_shots(notes, detector, True)] == [0, 700, 5000, 9000, 30_000, 30_900, 45_000]


@pytest.mark.parametrize("rate", [2, 10, 25, 50, 120])
def test_the_shortest_shot_takes_as_long_at_any_rate(tmp_path: Path, rate: int) -> None:
    """Cuts 0.5 s apart at the end are one; half a second is 1 frame here and 60 frames there."""
    half = rate // 2
    kinds = [0] * (2 * rate) + [1] * half + [2] * (2 * rate)
    path = write_clip(tmp_path / "short.mp4", list(enumerate(map(still, kinds))), Fraction(1, rate), Fraction(rate))
    video = open_video(path)
    notes = as_notes(list(bound("adaptive").analyze(video, grains_of(video, 60_000))))
    assert [shot.span.start for shot in join_shots(notes, "adaptive", True)] == [0, 2000]


@pytest.mark.shared
@pytest.mark.parametrize("detector", DETECTORS)
def test_cuts_of_real_footage(shared: Path, detector: str) -> None:
    path = shared / "media" / "cuts.mp4"
    truth = json.loads((shared / "media" / f"cuts.truth.{detector}.json").read_text())["cuts"]
    video = open_video(path)
    assert cut_frames(video, detector) == truth == own_cuts(path, detector)
    assert shuffled_cut_frames(video, detector, 4_000) == truth
    fades = shared / "media" / "fades.mp4"
    assert shuffled_cut_frames(open_video(fades), detector, 1_500) == own_cuts(fades, detector)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("clip", ["strobe", "variable", "slow", "late"])
def test_a_grain_does_not_depend_on_what_is_asked_with_it(clips: dict[str, Path], clip: str, detector: str) -> None:
    video, analyzer, rng = open_video(clips[clip]), bound(detector), random.Random(1)
    whole = dict(analyzer.analyze(video, grains_of(video, 2_000)))
    for _ in range(3):
        asked = rng.sample(list(whole), rng.randint(1, len(whole)))
        cut = rng.randint(0, len(asked))
        for group in (asked[:cut], sorted(asked[cut:], key=lambda grain: grain.span)):
            assert [(grain, list(found)) for grain, found in analyzer.analyze(video, group)] == [(grain, whole[grain]) for grain in group]


@pytest.mark.parametrize("clip", ["strobe", "variable"])
def test_any_number_of_processors_finds_the_same(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch, clip: str) -> None:
    def found(processors: int) -> list[Any]:
        monkeypatch.setattr("os.cpu_count", lambda: processors)
        video = open_video(clips[clip])
        assert len(video.parallel_views(4)) == (2 if processors > 1 else 0)
        return [(grain, list(pieces)) for grain, pieces in bound("adaptive").analyze(video, grains_of(video, 2_000))]

    assert found(1) == found(2) == found(4)


def test_giving_up_stops_grains_that_are_being_decoded(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    pushed, first, main = list[int](), threading.Event(), threading.get_ident()

    def slow(finder: Any, pts: int, image: Any) -> list[int]:
        pushed.append(pts)
        first.set()
        time.sleep(0.05)
        return []

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(pyscenedetect.PySceneDetectPass, "push", slow)
    video = open_video(clips["strobe"])
    analysis = bound("adaptive").analyze(video, grains_of(video, 5_000))

    def give_up() -> None:
        first.wait()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=give_up).start()
    with pytest.raises(KeyboardInterrupt):
        next(analysis)
    assert len(pushed) < 50, "a grain has 125 frames"


@pytest.mark.parametrize("detector", DETECTORS)
def test_pieces_cover_the_picture_and_stay_in_their_grain(clips: dict[str, Path], detector: str) -> None:
    for path in clips.values():
        video = open_video(path)
        for grain, pieces in bound(detector).analyze(video, grains_of(video, 2_000)):
            part = grain.span.within(video.picture)
            edges = [piece.span for piece in pieces]
            assert (part is None) == (not pieces)
            if part:
                assert [edges[0].start, *(edge.end for edge in edges)] == [*(edge.start for edge in edges), part.end]
                assert edges[0].start == part.start
            assert all(("cut" in piece.detail) != ("continues" in piece.detail) for piece in pieces)
            assert all("cut" in piece.detail for piece in pieces[1:])
            json.dumps([dict(piece.detail) for piece in pieces])


def test_the_first_piece_is_the_first_frame_even_when_it_is_late(clips: dict[str, Path]) -> None:
    video = open_video(clips["late"])
    [(_, pieces)] = bound("content").analyze(video, grains_of(video, 60_000))
    assert video.picture and pieces[0].span.start == video.picture.start > 0
    assert pieces[0].detail["first"] is True and pieces[0].detail["frame"] == 0
    assert [piece.detail["frame"] for piece in pieces] == [0, 30, 60]


def test_a_wide_picture_is_shrunk_as_scene_manager_does(tmp_path: Path) -> None:
    kinds = [0] * 20 + [1] * 20
    path = write_clip(tmp_path / "tall.mp4", list(enumerate(looks(kinds, (270, 722)))), Fraction(1, 25), Fraction(25))
    seen: list[tuple[int, ...]] = []

    class Watching(scenedetect.ContentDetector):  # type: ignore[misc]
        def process_frame(self, timecode: Any, frame_img: Any) -> Any:
            seen.append(frame_img.shape)
            return super().process_frame(timecode, frame_img)

    scenedetect.detect(str(path), Watching())
    finder = ENGINE.load(EngineConfig()).finder("content", (270, 722), Fraction(25))
    assert {(finder._size[1], finder._size[0], 3)} == set(seen)
    [(_, pieces)] = bound("content").analyze(open_video(path), grains_of(open_video(path), 60_000))
    assert [piece.detail["frame"] for piece in pieces] == [0, 20], "the candidate, whatever the minimum scene length"


def test_a_rough_detector_name_is_refused_and_a_missing_engine_named() -> None:
    with pytest.raises(ToolRefusal, match="'adaptive', 'content'"):
        scenes.SPEC.bind({"detector": "best"}, Loaded())
    with pytest.raises(Unavailable):
        scenes.SPEC.bind({})
    with pytest.raises(ValueError, match="'best'"):
        join_shots([], "best", True)


def test_the_engine_is_found_without_importing() -> None:
    assert ENGINE.find(EngineConfig()).missing is None


def test_frames_before_the_grain_are_fetched_however_slow_they_come() -> None:
    class Slow:
        """Frames ten seconds apart: a second of context holds none."""

        asked: list[int] = []  # noqa: RUF012
        picture, rate, size = TimeRange(0, 300_000), Fraction(1, 10), (32, 32)

        def frames(self, span: TimeRange, **_: Any) -> Iterator[Frame]:
            self.asked.append(span.start)
            for t in range(0, 300_000, 10_000):
                if span.start <= t < span.end:
                    yield Frame(t, t, np.full((32, 32, 3), 200 if t >= 120_000 else 20, np.uint8))

    [(_, pieces)] = bound("adaptive").analyze(Slow(), [Grain(TimeRange(120_000, 180_000))])
    assert [piece.detail.get("cut") for piece in pieces] == [True]
    assert min(Slow.asked) <= 90_000
