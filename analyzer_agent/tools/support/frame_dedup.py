"""Share one reading among the frames around an instant that look the same: that of its *anchor*.

The anchor of an instant depends only on the video and the instant, not on the requested range, its
order or earlier calls. Candidates are the instants just before and after it on ever finer grids;
the coarsest one whose frame looks the same is the anchor. While a picture does not change, one
instant is on the coarsest grid (or several are on the widest), so all its instants share an anchor.
Frames are compared directly, not through frames between them, so slow changes do not accumulate
unnoticed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.prefetch import prefetch
from analyzer_agent.protocols import Frame, Grain, Video
from analyzer_agent.timeline import TimeRange, first_instant
from analyzer_agent.tools.support.sampling import ByTime

T = TypeVar("T")

COARSEST_MS, FINEST_MS = 32_000, 1_000
"""Steps of the widest and the finest candidate grid, in ms; each grid halves the step before it."""

_PREFETCHED_FRAMES = 8
"""Number of frames of the next stretch that are prefetched."""

_HELD_BYTES = 256 * 1024 * 1024
"""Maximum bytes of the frames of one stretch; larger frames make the widest grid finer."""


def deduplicated(
    video: Video,
    run: Sequence[Grain],
    alike: Callable[[NDArray[np.uint8], NDArray[np.uint8]], bool],
    read: Callable[[NDArray[np.uint8]], T],
) -> Iterator[tuple[Frame, T]]:
    """Yield the BGR frame at each instant of a run, with the reading of its anchor's frame.

    Candidates are decoded in one pass, one stretch (a step of the widest grid) at a time; instants
    off the finest grid, which are no candidates for others, in a second parallel pass. Each anchor
    is read once. Nothing is decoded for empty grains.

    Args:
        video: the video to sample.
        run: grains in time order.
        alike: symmetric; tells whether two images (H x W x 3, uint8, BGR) look the same.
        read: returns the reading of an image (H x W x 3, uint8, BGR).
    """
    picture, asked = video.picture, [t for grain in run for t in grain.instants]
    if picture is None or not asked:
        return
    wide = coarsest_step(video.size)
    shared = sorted({near for t in asked for near in anchor_candidates(t, wide, picture) if _is_on_a_grid(near, picture)})
    beside = ByTime(_frames(video, [t for t in asked if not _is_on_a_grid(t, picture)]), _time)
    held: dict[int, _LazyReading[T]] = {}
    with closing(prefetch(_frames(video, shared), _PREFETCHED_FRAMES)) as prefetched:
        coming = ByTime(prefetched, _time)
        for stretch, instants in groupby(asked, lambda t: t // wide):
            begin, end = stretch * wide, (stretch + 1) * wide
            # The last frame of a stretch is the first one of the next.
            held = {t: sight for t, sight in held.items() if t >= begin}
            if wanted := shared[bisect_left(shared, begin) : bisect_right(shared, end)]:
                held |= {frame.t: _LazyReading(frame, read) for frame in coming.up_to(wanted[-1])}
            for t in instants:
                sight = held.get(t) or next((_LazyReading(frame, read) for frame in beside.up_to(t)), None)
                if sight is None:
                    continue  # its frame cannot be decoded
                yield sight.frame, _anchor(sight, anchor_candidates(t, wide, picture), held, alike).found


def coarsest_step(size: tuple[int, int]) -> int:
    """Return the step of the widest grid, in ms, for frames of (width, height) pixels."""
    step = COARSEST_MS
    while step > FINEST_MS and (step // FINEST_MS + 1) * size[0] * size[1] * 3 > _HELD_BYTES:
        step //= 2
    return step


def anchor_candidates(instant: int, wide: int, picture: TimeRange) -> list[int]:
    """Return the candidates for an instant's anchor, in ms, coarsest first; the instant last.

    The instant of the first frame is on every grid.
    """
    root, found, step = first_instant(picture), dict[int, None](), wide
    while step >= FINEST_MS:
        for near in (max(instant // step * step, root), -(-instant // step) * step):
            if near == instant:
                return [*found, instant]
            if near < picture.end:
                found[near] = None
        step //= 2
    return [*found, instant]


class _LazyReading(Generic[T]):
    """A frame with its reading, computed on first use."""

    def __init__(self, frame: Frame, read: Callable[[NDArray[np.uint8]], T]) -> None:
        self.frame = frame
        self._read = read

    @cached_property
    def found(self) -> T:
        return self._read(self.frame.image)


def _anchor(
    sight: _LazyReading[T],
    chosen: Sequence[int],
    held: Mapping[int, _LazyReading[T]],
    alike: Callable[[NDArray[np.uint8], NDArray[np.uint8]], bool],
) -> _LazyReading[T]:
    others = (held[t] for t in chosen[:-1] if t in held)
    return next((other for other in others if alike(other.frame.image, sight.frame.image)), sight)


def _time(frame: Frame) -> int:
    return frame.t


def _is_on_a_grid(instant: int, picture: TimeRange) -> bool:
    return instant % FINEST_MS == 0 or instant == first_instant(picture)


def _frames(video: Video, instants: Sequence[int]) -> Iterator[Frame]:
    if instants:
        yield from video.frames(TimeRange(instants[0], instants[-1] + 1), instants=instants, order="bgr")
