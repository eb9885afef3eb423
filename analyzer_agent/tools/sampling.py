"""What sampled analyzers share: one pass over the video for the instants of many grains, in batches across them.

Knows nothing of what is looked for.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from analyzer_agent.protocols import Frame, Grain, Video
from analyzer_agent.timeline import TimeRange, sample_end

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Batched(Protocol):
    """An engine that takes several pictures at once."""

    batch: int


B = TypeVar("B", bound=Batched)
T = TypeVar("T")


def ascending(grains: Sequence[Grain]) -> Iterator[list[Grain]]:
    """Split grains, in the order given, into runs that go forward in time: each run is one pass over the video."""
    run: list[Grain] = []
    for grain in grains:
        if run and grain.span.start < run[-1].span.end:
            yield run
            run = []
        run.append(grain)
    if run:
        yield run


def sampled(video: Video, run: Sequence[Grain]) -> Iterator[Frame]:
    """Yield the BGR frame shown at each instant of a run of grains, in one pass; nothing is decoded for empty grains."""
    instants = [t for grain in run for t in grain.instants]
    if instants:
        yield from video.frames(TimeRange(run[0].span.start, run[-1].span.end), instants=instants, order="bgr")


def shown_for(video: Video, grain: Grain, frame: Frame) -> TimeRange:
    """Return how long a frame stands for: until the next instant of the grain's grid, or the end of the grain or picture."""
    limit = min(grain.span.end, video.picture.end) if video.picture else grain.span.end
    return TimeRange(frame.t, sample_end(frame.t, grain.step, limit))


def seen(
    frames: Iterator[Frame], get: Callable[[], B], look: Callable[[B, "list[NDArray[np.uint8]]"], Sequence[T]]
) -> Iterator[tuple[Frame, T]]:
    """Yield each frame with what `look` sees on it: the engine loads with the first frame and gets as many pictures as it takes at once.

    A frame with the bytes of the one before is not looked at again, so equal pictures must give equal results.
    """
    last: tuple[NDArray[np.uint8], T] | None = None
    while first := next(frames, None):
        engine = get()
        batch = [first, *islice(frames, engine.batch - 1)]
        before = [last[0] if last else None, *(frame.image for frame in batch)]
        fresh = [old is None or not np.array_equal(old, frame.image) for old, frame in zip(before, batch, strict=False)]
        wanted = [frame.image for frame, new in zip(batch, fresh, strict=True) if new]
        found = iter(look(engine, wanted) if wanted else ())
        for frame, new in zip(batch, fresh, strict=True):
            if new or last is None:
                last = (frame.image, next(found))
            yield frame, last[1]
