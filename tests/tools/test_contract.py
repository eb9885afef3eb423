"""The contract of every registered analyzer, with its real engine, on the sample clip.

Whatever the order and shape of requests, the notes are the same; nothing crosses its grain or lies outside of the video; no more is
read than a grain and its declared context; a part of a lasting thing tells what is there.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent import tools as registry
from analyzer_agent.events import discard
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.protocols import EngineConfig, Frame
from analyzer_agent.sample import sample_path
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.engine_pool import choose_engines

GRAINS = {"scenes": 5_000, "motion": 7_000, "voice": 6_000, "speech": 12_000}
"""Smaller than usual, so that a clip of half a minute has seams."""

STEPS = {"text": 4_000, "objects": 4_000, "tags": 4_000, "moments": 4_000}
OWN_WEIGHTS = {"objects": "yolo", "tracks": "yolo", "captions": "coca", "tags": "clip", "moments": "clip"}
"""Analyzers whose engines bring no weights, and the fixture that makes some."""


class Watched:
    """The sample clip, noting what is read of it."""

    def __init__(self, file: MediaFile) -> None:
        self._file = file
        self.pictures: list[Frame] = []
        self.sound: list[TimeRange] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def frames(self, span: TimeRange, *args: Any, **more: Any) -> Iterator[Frame]:
        for frame in self._file.frames(span, *args, **more):
            nothing: Any = None  # the times are kept, not the pictures
            self.pictures.append(frame._replace(image=nothing))
            yield frame

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> Any:
        self.sound.append(span)
        return self._file.audio(span, rate, track)


@pytest.fixture(scope="module")
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ultralytics", reason="the extra 'gpu' is not installed, so there is no detector to make weights for")
    import tiny_yolo

    return tiny_yolo.random_model(tmp_path_factory.mktemp("yolo"), "yolo11n", size=160)


@pytest.fixture(scope="module")
def coca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed, so there is no captioner to make weights for")
    import tiny_clip

    return tiny_clip.make(tmp_path_factory.mktemp("coca"), tiny_clip.COCA)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed, so there is no CLIP to make weights for")
    import tiny_clip

    return tiny_clip.make(tmp_path_factory.mktemp("clip"), tiny_clip.CLIP)


@pytest.fixture(params=[name for name in registry.names() if not registry.load(name)[0].exact])
def job_of(request: pytest.FixtureRequest) -> Any:
    """A function that binds an analyzer whose notes do not depend on the ranges of a call to a video."""
    name = request.param
    spec, engines = registry.load(name)
    spec = replace(spec, grain=GRAINS.get(name, spec.grain))
    weights = request.getfixturevalue(OWN_WEIGHTS[name]) if name in OWN_WEIGHTS else None
    config = EngineConfig(weights=weights)
    engine = None
    if engines:
        engine = choose_engines(name, engines, config).engine
        if engine is None:
            pytest.skip(f"no engine of {name!r} can run here: {choose_engines(name, engines, config).reason()}")

    def bind(video: Any) -> BoundAnalyzer:
        analyzer = spec.bind({}, engine)
        return BoundAnalyzer(spec, analyzer, make_provenance(spec, analyzer, video, weights=engine.weights if engine else ""))

    return bind


def ask(store: Store, video: Any, job: BoundAnalyzer, spans: Sequence[TimeRange]) -> int:
    """Gather, and return how many ms were analyzed."""
    gap_runner = GapRunner(store, video, job)
    outcome = gap_runner.run(gap_runner.plan(spans, STEPS.get(job.spec.name, job.spec.step)), "call", discard)
    assert outcome.unexamined == []
    return outcome.analyzed_ms


def stored(store: Store, video: Any) -> list[Any]:
    return [note.observation for note in store.notes.read(video.id, TimeRange(0, video.duration))]


def opened(folder: Path, name: str) -> tuple[Store, Watched]:
    store, video = Store(folder / name), Watched(open_video(sample_path()))
    store.notes.add_video(video.id, video.name, str(video.path), video.duration)
    return store, video


def test_notes_do_not_depend_on_how_they_were_asked_for(job_of: Any, tmp_path: Path) -> None:
    store, video = opened(tmp_path, "whole.db")
    job = job_of(video)
    everything = TimeRange(0, video.duration)
    size = job.grain or video.duration
    ask(store, video, job, [everything])
    whole, vectors = stored(store, video), store.vectors.read(video.id, job.provenance.key)
    for found in whole:
        assert 0 <= found.span.start < found.span.end <= video.duration
        assert found.span.start // size == (found.span.end - 1) // size, f"{found} crosses its grain"
        assert found.kind in job.spec.kinds
    assert vectors if job.spec.searched else whole, "the sample clip has something for every analyzer"
    assert ask(store, video, job, [everything]) == 0

    dice = random.Random(job.spec.name)
    store, video = opened(tmp_path, "pieces.db")
    job = job_of(video)
    total = 0
    for _ in range(4):
        start = dice.randrange(0, video.duration - 1_000)
        total += ask(store, video, job, [TimeRange(start, min(video.duration, start + dice.choice([300, 4_000, 9_000])))])
    total += ask(store, video, job, [everything])
    assert stored(store, video) == whole and store.vectors.read(video.id, job.provenance.key) == vectors
    assert total == video.duration, "each grain is analyzed once"


def test_no_more_is_read_than_the_declared_context(job_of: Any, tmp_path: Path) -> None:
    store, video = opened(tmp_path, "one.db")
    job = job_of(video)
    size = job.grain or video.duration
    asked = TimeRange(18_000, 18_500)
    ask(store, video, job, [asked])
    grain = TimeRange(18_000 // size * size, min(video.duration, (18_000 // size + 1) * size))
    reach = TimeRange(max(0, grain.start - job.spec.context), grain.end + job.spec.context)
    for frame in video.pictures:
        assert reach.start <= frame.t < reach.end or frame.pts == 0, f"read {frame.pts} ms for {grain}"
    for span in video.sound:
        assert reach.start <= span.start and span.end <= reach.end, f"listened to {span} for {grain}"


@pytest.mark.parametrize(
    ("analyzer", "asked", "text"),
    [
        ("scenes", TimeRange(17_000, 17_400), "shot 3"),
        ("text", TimeRange(19_000, 19_200), "NORTH ISLAND"),
        ("subtitles", TimeRange(19_000, 19_200), "whale"),
        ("speech", TimeRange(25_600, 25_700), "Margaret"),
        ("motion", TimeRange(26_000, 26_300), "motion"),
        ("voice", TimeRange(30_000, 30_200), "voice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_part_of_a_lasting_thing_tells_what_is_there(
    analyzer: str, asked: TimeRange, text: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if analyzer == "speech":
        request.getfixturevalue("installed_weights")
    store, video = opened(tmp_path, "part.db")
    spec, engines = registry.load(analyzer)
    engine = choose_engines(analyzer, engines, EngineConfig()).engine if engines else None
    bound = spec.bind({}, engine)
    job = BoundAnalyzer(spec, bound, make_provenance(spec, bound, video, weights=engine.weights if engine else ""))
    gap_runner = GapRunner(store, video, job)
    gap_runner.run(gap_runner.plan([asked], spec.step), "call", discard)
    runs = NoteReader(store, {analyzer: spec}).merged_notes(video.id, asked)
    assert any(text in run.text and run.span.overlaps(asked) for run in runs), [(run.span, run.text) for run in runs]
