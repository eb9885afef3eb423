"""Sample frames for many grains in one pass over the video, in batches across grains."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, islice
from math import ceil
from typing import Any, Generic, TypeVar

import numpy as np

from analyzer_agent.prefetch import prefetch
from analyzer_agent.protocols import Frame, Grain, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, sample_end

MAX_HELD_BYTES = 256 << 20
"""Maximum bytes of frames in a batch; as many again may be prefetched."""

_MIN_PREFETCHED = 2

_SMALLEST_SEEN = 16
"""Pixels that a thing must have in what a network looks at: two cells of a detector, a patch of a CLIP."""

E = TypeVar("E")
T = TypeVar("T")


def min_score_filter(default: float, description: str) -> Mapping[str, Any]:
    """Return the JSON schema of the filter `min_score`."""
    return {"type": "number", "minimum": 0, "maximum": 1, "default": default, "description": description}


def names_filter(description: str) -> Mapping[str, Any]:
    """Return the JSON schema of a filter by names."""
    return {"type": "array", "items": {"type": "string"}, "description": description}


def too_small_text(what: str, side: int, input_side: int, missed: str = "not seen") -> str:
    """Return how small things are missed in pictures of which `side` pixels become `input_side`; "" if that is 0: not known."""
    if not input_side:
        return ""
    return f"{what} smaller than about {ceil(_SMALLEST_SEEN * max(1.0, side / input_side))} pixels of this picture are {missed}"


def observe_grains(
    video: Video,
    grains: Sequence[Grain],
    get: Callable[[], E],
    look: Callable[[E, list[Any]], Sequence[T]],
    observe: Callable[[TimeRange, Frame, T], Iterable[Observation]],
) -> Iterator[tuple[Grain, list[Observation]]]:
    """Yield each grain with the observations on the frames at its instants.

    Each run of grains in time order is one `video.frames` call, with batches across grains.

    Args:
        video: the video to sample.
        grains: in any order.
        get: returns the engine; called when there is a frame, so nothing loads for empty grains.
        look: runs the engine on up to its `batch` (default 1) images, H x W x 3, uint8, BGR, or on
            what its `prepare`, if any, returned for each. Equal images must give equal results in
            any batch: a frame with the same bytes as the previous one is not analyzed again.
        observe: makes observations from a frame's span, the frame and its result.
    """
    for run in ascending_runs(grains):
        for grain, looked in by_grain(process_frames(sampled_frames(video, run), get, look), run):
            yield grain, [one for frame, what in looked for one in observe(frame_span(video, grain, frame), frame, what)]


class ByTime(Generic[T]):
    """Reads items in order of time without passing a given one: damaged frames are missing among them."""

    def __init__(self, items: Iterator[T], time: Callable[[T], int]) -> None:
        self._items, self._time = items, time
        self._held: list[T] = []

    def up_to(self, limit: int) -> Iterator[T]:
        """Yield the next items until `limit` ms; nothing is read beyond an item at `limit` itself."""
        while (item := self._held.pop() if self._held else next(self._items, None)) is not None:
            at = self._time(item)
            if at > limit:
                self._held.append(item)
                return
            yield item
            if at == limit:
                return


def by_grain(found: Iterator[tuple[Frame, T]], run: Sequence[Grain]) -> Iterator[tuple[Grain, Iterator[tuple[Frame, T]]]]:
    """Divide the findings on the frames of a run among its grains; an instant may have no frame."""
    coming = ByTime(found, lambda item: item[0].t)
    for grain in run:
        yield grain, coming.up_to(grain.instants[-1]) if grain.instants else iter(())


def ascending_runs(grains: Sequence[Grain]) -> Iterator[Sequence[Grain]]:
    """Split grains, in the order given, into runs that go forward in time: each run is one pass over the video."""
    return _runs(grains, lambda last, grain: grain.span.start >= last.span.end)


def adjoining_runs(grains: Sequence[Grain]) -> Iterator[Sequence[Grain]]:
    """Split grains into runs in which each begins where the one before it ends."""
    return _runs(grains, lambda last, grain: grain.span.start == last.span.end)


def _runs(grains: Sequence[Grain], go_together: Callable[[Grain, Grain], bool]) -> Iterator[Sequence[Grain]]:
    starts = [at for at in range(len(grains)) if not at or not go_together(grains[at - 1], grains[at])]
    return (grains[start:end] for start, end in zip(starts, [*starts[1:], len(grains)], strict=False))


def sampled_frames(video: Video, run: Sequence[Grain]) -> Iterator[Frame]:
    """Yield the BGR frame at each instant of a run, in one pass; skip grains without instants."""
    instants = [t for grain in run for t in grain.instants]
    if instants:
        yield from video.frames(TimeRange(run[0].span.start, run[-1].span.end), instants=instants, order="bgr")


def frame_span(video: Video, grain: Grain, frame: Frame) -> TimeRange:
    """Return a frame's span, up to the next instant or the end of the grain or picture."""
    limit = min(grain.span.end, video.picture.end) if video.picture else grain.span.end
    return TimeRange(frame.t, sample_end(frame.t, grain.step, limit))


def process_frames(
    frames: Iterator[Frame], get: Callable[[], E], look: Callable[[E, "list[Any]"], Sequence[T]]
) -> Iterator[tuple[Frame, T]]:
    """Yield each frame with the result of `look`; the next frames are prefetched and prepared."""
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
    """Yield each frame with the engine's input: the image, or what `prepare` makes of it."""
    prepare = getattr(engine, "prepare", lambda image: image)
    yield from ((frame, prepare(frame.image)) for frame in frames)
