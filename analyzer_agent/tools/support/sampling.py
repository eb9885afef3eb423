"""What sampled analyzers share: one pass over the video for the instants of many grains, in batches across them.

Knows nothing of what is looked for.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from analyzer_agent.prefetch import prefetch
from analyzer_agent.protocols import Frame, Grain, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, sample_end

MAX_HELD_BYTES = 256 << 20
"""Bytes of pictures that are held at once for an engine, and as many more that wait for it."""

_MIN_PREFETCHED = 2

E = TypeVar("E")
T = TypeVar("T")


def observe_grains(
    video: Video,
    grains: Sequence[Grain],
    get: Callable[[], E],
    look: Callable[[E, list[Any]], Sequence[T]],
    observe: Callable[[TimeRange, Frame, T], Iterable[Observation]],
) -> Iterator[tuple[Grain, list[Observation]]]:
    """Yield each grain with what is observed on the frames at its instants.

    The frames of grains that follow each other come from one `video.frames` call, in batches across grains.

    Args:
        video: what is sampled.
        grains: in any order; each run of them that goes forward in time is one pass.
        get: gives the engine; called when there is a frame to look at, so that nothing loads for empty grains.
        look: asks the engine about BGR pictures, or what its `prepare` makes of each where it has one, as many at once as its `batch` says
            (one where it does not say). It must give equal results for equal pictures, whatever the pictures beside them: a frame with the
            bytes of the one before is not looked at again.
        observe: makes observations of a result, given the frame and how long it stands for.
    """
    for run in ascending_runs(grains):
        found = process_frames(sampled_frames(video, run), get, look)
        for grain in run:
            looked = islice(found, len(grain.instants))
            yield grain, [one for frame, what in looked for one in observe(frame_span(video, grain, frame), frame, what)]


def ascending_runs(grains: Sequence[Grain]) -> Iterator[list[Grain]]:
    """Split grains, in the order given, into runs that go forward in time: each run is one pass over the video."""
    run: list[Grain] = []
    for grain in grains:
        if run and grain.span.start < run[-1].span.end:
            yield run
            run = []
        run.append(grain)
    if run:
        yield run


def sampled_frames(video: Video, run: Sequence[Grain]) -> Iterator[Frame]:
    """Yield the BGR frame shown at each instant of a run of grains, in one pass; nothing is decoded for empty grains."""
    instants = [t for grain in run for t in grain.instants]
    if instants:
        yield from video.frames(TimeRange(run[0].span.start, run[-1].span.end), instants=instants, order="bgr")


def frame_span(video: Video, grain: Grain, frame: Frame) -> TimeRange:
    """Return how long a frame stands for: until the next instant of the grain's grid, or the end of the grain or picture."""
    limit = min(grain.span.end, video.picture.end) if video.picture else grain.span.end
    return TimeRange(frame.t, sample_end(frame.t, grain.step, limit))


def process_frames(
    frames: Iterator[Frame], get: Callable[[], E], look: Callable[[E, "list[Any]"], Sequence[T]]
) -> Iterator[tuple[Frame, T]]:
    """Yield each frame with what `look` sees on it. While it looks, the frames that come next are decoded and prepared."""
    start = next(frames, None)
    if start is None:
        return
    engine, last = get(), None
    many = max(1, min(getattr(engine, "batch", 1), MAX_HELD_BYTES // max(1, start.image.nbytes)))
    with closing(prefetch(_prepared(chain([start], frames), engine), max(_MIN_PREFETCHED, many))) as coming:
        while batch := list(islice(coming, many)):
            before = [last[0] if last else None, *(frame.image for frame, _ in batch)]
            fresh = [old is None or not np.array_equal(old, frame.image) for old, (frame, _) in zip(before, batch, strict=False)]
            wanted = [taken for (_, taken), new in zip(batch, fresh, strict=True) if new]
            found = iter(look(get(), wanted) if wanted else ())
            for (frame, _), new in zip(batch, fresh, strict=True):
                if new or last is None:
                    last = (frame.image, next(found))
                yield frame, last[1]


def _prepared(frames: Iterator[Frame], engine: object) -> "Generator[tuple[Frame, Any], None, None]":
    """Yield each frame with what the engine takes of it: the picture, or what it makes of pictures beforehand."""
    prepare = getattr(engine, "prepare", lambda image: image)
    yield from ((frame, prepare(frame.image)) for frame in frames)
