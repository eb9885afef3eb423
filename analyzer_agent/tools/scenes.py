"""Scenes: where one shot ends and the next begins.

Stores cut *candidates*, as pieces of shots that never leave their grain; `evidence.shots` joins
the pieces and applies the minimum shot length when reading. Detecting cuts is left to the engine.
"""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from queue import SimpleQueue
from typing import Any, Protocol, runtime_checkable

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.prefetch import parallel_map, prefetch
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Pixels, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.sampling import adjoining_runs

DETECTORS = ("adaptive", "content")
CONTEXT_MS = 1000
"""Decoding starts this many ms before a grain.

It starts earlier if that holds fewer frames than the cut finder needs (below three or four per
second). After a grain, only the frames that its last cuts need are read.
"""
_PREFETCHED_FRAMES = 4


class ParallelView(Video, Protocol):
    """A view of a video for one thread at a time; whoever asked for it closes it."""

    def close(self) -> None:
        """Stop reading from this view; the other views are not affected."""


@runtime_checkable
class SupportsParallelDecoding(Protocol):
    """A video whose parts can be decoded in parallel; one that cannot is decoded in one pass."""

    def parallel_views(self, parts: int) -> Sequence[ParallelView]:
        """Return at most `parts` views for parallel dense reading; none if that is not faster."""


class CutFinder(Protocol):
    """An engine's pass over consecutive frames; times in ms; only `pixels` of an image are read."""

    before: int
    after: int
    pixels: Pixels | None

    def push(self, pts: int, image: Any) -> Sequence[int]:
        """Process the next frame; return the starts of shots that are now certain, in ms."""
        ...

    def frame_number(self, elapsed: int) -> int:
        """Return the number of the frame `elapsed` ms after the first one."""
        ...


class Scenes(Analyzer):
    """Find the cut candidates of grains; adjacent grains share one decoding pass."""

    version = "2"

    def __init__(self, options: Mapping[str, Any], engine: Engine) -> None:
        detector = options["detector"]
        if detector not in DETECTORS:
            raise ToolRefusal(f"unknown detector {detector!r}; choose one of {', '.join(map(repr, DETECTORS))}")
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {"detector": detector}
        self._detector: str = detector
        self._engine = engine

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the pieces of shots in it; `evidence.shots` reads them.

        A piece's detail holds `cut` if it starts at a candidate (with `pts`, `frame` and `rate`),
        else `continues`; `first` and `last` at the ends of the picture; and `until`, the time in
        ms of the last frame that starts in it.
        """
        for run in adjoining_runs(grains):
            views = video.parallel_views(len(run)) if isinstance(video, SupportsParallelDecoding) else ()
            yield from self._apart(views, run) if views else self._pass(video, run, _PREFETCHED_FRAMES)

    def _apart(self, views: Sequence[ParallelView], run: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Decode each grain separately, in parallel over the views."""
        free = SimpleQueue[ParallelView]()

        def look(grain: Grain) -> Sequence[tuple[Grain, Sequence[Observation]]]:
            view = free.get()
            try:
                return list(self._pass(view, [grain], 0))
            finally:
                free.put(view)

        def stop() -> None:
            for view in views:
                view.close()

        for view in views:
            free.put(view)
        with closing(parallel_map(look, run, len(views), stop)) as pieces:
            for found in pieces:
                yield from found

    def _pass(self, video: Video, run: Sequence[Grain], depth: int) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Decode once over the run and its context; yield each grain as soon as it is decided.

        Up to `depth` frames are prefetched.
        """
        picture = video.picture
        whole = picture and TimeRange(run[0].span.start, run[-1].span.end).within(picture)
        if picture is None or whole is None:
            yield from ((grain, ()) for grain in run)
            return
        # A single picture has no rate; any value will do.
        finder = self._engine.get().finder(self._detector, video.size, video.rate or Fraction(1))
        found = _PassState(finder, picture, video.rate or Fraction(1))
        waiting, frames = list(run), _frames(video, picture, whole, finder)
        with closing(prefetch(frames, depth) if depth else frames) as coming:
            for frame in coming:
                found.add(frame)
                while waiting and found.beyond(waiting[0].span.end) >= max(finder.after, 1):
                    yield waiting[0], found.pieces(waiting.pop(0).span)
        yield from ((grain, found.pieces(grain.span)) for grain in waiting)


@dataclass(slots=True)
class _PassState:
    """State of a pass: the times of its frames and of the cut candidates among them, in ms."""

    finder: CutFinder
    picture: TimeRange
    rate: Fraction
    seen: list[int] = field(default_factory=list)
    cuts: set[int] = field(default_factory=set)

    def add(self, frame: Frame) -> None:
        self.seen.append(frame.pts)
        self.cuts.update(self.finder.push(frame.pts, frame.image))

    def beyond(self, end: int) -> int:
        """Count the latest frames at or after `end` (ms), up to one more than the finder needs."""
        return sum(pts >= end for pts in self.seen[-self.finder.after - 1 :])

    def pieces(self, grain: TimeRange) -> list[Observation]:
        """Split the part of the grain that has a picture at the candidates.

        Forgets the frames before its end.
        """
        span = grain.within(self.picture)
        if span is None:
            return []
        frames = [pts for pts in self.seen if span.start <= pts < span.end]
        self.seen = [pts for pts in self.seen if pts >= span.end]
        starts = sorted({span.start, *(pts for pts in frames if pts in self.cuts)})
        ends = [*starts[1:], span.end]
        return [self._piece(TimeRange(start, end), frames) for start, end in zip(starts, ends, strict=True)]

    def _piece(self, span: TimeRange, frames: Sequence[int]) -> Observation:
        detail: dict[str, JSON] = {}
        first = span.start == self.picture.start
        if first or span.start in self.cuts:
            number = self.finder.frame_number(span.start - self.picture.start)
            detail |= {"cut": True, "pts": span.start, "frame": number, "rate": str(self.rate)}
        else:
            detail["continues"] = True
        if first:
            detail["first"] = True
        if span.end == self.picture.end:
            detail["last"] = True
        inside = [pts for pts in frames if pts < span.end]
        if inside and inside[-1] >= span.start:
            detail["until"] = inside[-1]
        return Observation(span, "scene", "shot", detail=detail)


def _frames(video: Video, picture: TimeRange, span: TimeRange, finder: CutFinder) -> Generator[Frame, None, None]:
    """Yield the BGR frames of `span`, and at least `finder.before` and `.after` around it."""
    context = CONTEXT_MS
    while True:
        begin = max(picture.start, span.start - context)
        frames = video.frames(TimeRange(begin, picture.end), order="bgr", pixels=finder.pixels)
        lead = list(itertools.islice(frames, finder.before))
        if begin == picture.start or (len(lead) == finder.before and lead[-1].pts < span.start):
            break
        context *= 4
    after = 0
    for frame in itertools.chain(lead, frames):
        yield frame
        after += frame.pts >= span.end
        if after >= max(finder.after, 1):
            return


SPEC = Spec(
    name="scenes",
    tool="find_scenes",
    description="Find the cuts: numbered shots.",
    grain=60_000,
    factory=Scenes,
    needs_engine=True,
    kinds=("scene",),
    options_schema={
        "detector": {
            "type": "string",
            "enum": list(DETECTORS),
            "default": "adaptive",
            "description": "content: any strong change cuts",
        }
    },
    context=CONTEXT_MS,
    needs="picture",
)
