"""One decoding pass for several readers: each frame is decoded once.

Readers run in their own threads at their own pace; a reader that needs a frame decodes the next one
for all. Times are ticks of the stream.
"""

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from analyzer_agent.media.frames import FrameRequest
from analyzer_agent.media.packet_reader import pts_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Source: TypeAlias = "Callable[[FrameRequest], Generator[tuple[int, VideoFrame], None, None]]"
"""Yields (index of the instant, frame) for a request; see `frames.requested_frames`."""

JOIN_TIMEOUT_S = 10.0
"""Time that readers wait for an expected one that has not made its request."""

STALL_TIMEOUT_S = 60.0
"""Time that readers wait for one that takes no frames; some process large batches for long."""

_MAX_QUEUED_FRAMES = 8
"""Maximum number of frames queued for a reader."""

_POLL_S = 0.5
_MIN_TICK = -(1 << 62)


class SharedPass:
    """The shared pass. A reader that is late or stalls the others continues with its own decoder.

    Args:
        decode: starts a separate decoding pass over the video.
        expected: number of readers; they are numbered from 0.
        patience: seconds to wait for readers to make their requests.
        stalled: seconds to wait for a reader that takes no frames.
    """

    def __init__(self, decode: Source, expected: int, patience: float = JOIN_TIMEOUT_S, stalled: float = STALL_TIMEOUT_S) -> None:
        self._decode, self._patience, self._stalled = decode, patience, stalled
        self._changed = threading.Condition()
        self._coming = set(range(expected))
        self._deadline: float | None = None
        self._readers: list[_PassReader] = []
        self._fed: list[_PassReader] = []
        """The readers that the current source was planned for."""
        self._source: Generator[_DecodedFrame, None, None] | None = None
        self._decoding = False
        self._reached = _MIN_TICK

    def read(self, number: int, wish: FrameRequest) -> "Generator[tuple[int, VideoFrame], None, None]":
        """Yield the frames of `decode(wish)` to reader `number`."""
        reader = self._join(number, wish)
        try:
            while (found := self._next(reader)) is not None:
                yield found
        finally:
            self._leave(reader)
        if not reader.done:
            given = reader.at
            with closing(self._decode(reader.rest())) as own:
                yield from ((given + index, frame) for index, frame in own)

    def leave(self, number: int) -> None:
        """Stop waiting for this reader."""
        with self._changed:
            self._coming.discard(number)
            self._changed.notify_all()

    # --- readers --------------------------------------------------------------------------------

    def _join(self, number: int, wish: FrameRequest) -> "_PassReader":
        reader = _PassReader(wish)
        with self._changed:
            self._coming.discard(number)
            if self._deadline is None:
                self._deadline = time.monotonic() + self._patience
            if not wish.keys and reader.first > self._reached:
                self._readers.append(reader)
                self._replan()
            self._changed.notify_all()
        return reader

    def _leave(self, reader: "_PassReader") -> None:
        with self._changed:
            self._let_go(reader)

    def _let_go(self, reader: "_PassReader") -> None:
        if reader in self._readers:
            self._readers.remove(reader)
            if not reader.done or not self._readers:
                self._replan()
        self._changed.notify_all()

    def _next(self, reader: "_PassReader") -> "tuple[int, VideoFrame] | None":
        """Return the reader's next frame; None if it is done or no longer part of the pass."""
        while True:
            with self._changed:
                if reader.ready:
                    reader.taken = time.monotonic()
                    self._changed.notify_all()
                    return reader.ready.popleft()
                if reader.done or reader not in self._readers:
                    return None
                if not self._may_decode():
                    self._changed.wait(_POLL_S)
                    continue
                source = self._planned()
                self._decoding = True
            self._advance(source)

    def _may_decode(self) -> bool:
        """Return whether to decode the next frame now.

        That is: no other reader decodes, all expected readers have joined, and no queue is full.
        """
        now = time.monotonic()
        if self._decoding or (self._coming and now < (self._deadline or now)):
            return False
        full = [reader for reader in self._readers if len(reader.ready) >= _MAX_QUEUED_FRAMES]
        for reader in full:
            if now - reader.taken > self._stalled:
                self._let_go(reader)
        return not any(reader in self._readers for reader in full)

    # --- decoding -------------------------------------------------------------------------------

    def _replan(self) -> None:
        """Discard the source; the next frame comes from a pass over the requests of that time."""
        source, self._source = self._source, None
        if source is not None and not self._decoding:
            source.close()

    def _planned(self) -> "Generator[_DecodedFrame, None, None]":
        if self._source is None:
            self._fed = [reader for reader in self._readers if not reader.done]
            for reader in self._fed:
                reader.begun = reader.start
            self._source = _merged_requests(self._decode, [reader.rest() for reader in self._fed])
        return self._source

    def _advance(self, source: "Generator[_DecodedFrame, None, None]") -> None:
        """Decode a frame and distribute it.

        After an error each reader continues with its own decoder, which raises the error there.
        """
        found: _DecodedFrame | None = None
        failed = True
        try:
            with suppress(Exception):
                found = next(source, None)
                failed = False
        finally:
            with self._changed:
                self._decoding = False
                if source is not self._source:
                    source.close()
                for reader in self._fed:
                    if failed:
                        self._let_go(reader)
                    elif reader in self._readers:
                        reader.take(found)
                if found is not None:
                    self._reached = max(self._reached, found.at)
                self._changed.notify_all()


class _DecodedFrame(NamedTuple):
    """A frame with pts `at`; or, if `is_shown`, the frame shown at the instant `at`."""

    at: int
    frame: "VideoFrame"
    is_shown: bool


class _PassReader:
    """The request of one reader and its progress."""

    def __init__(self, wish: FrameRequest) -> None:
        self.wish = wish
        self.at = 0
        """Number of instants whose frame was found."""
        self.start = self.begun = wish.start
        """Start of the missing frames, now and when the current source was planned."""
        self.ready: deque[tuple[int, VideoFrame]] = deque()
        self.taken = time.monotonic()
        self.done = wish.instants is not None and not wish.instants

    @property
    def first(self) -> int:
        instants = self.wish.instants
        return self.start if instants is None else instants[self.at] if self.at < len(instants) else _MIN_TICK

    def rest(self) -> FrameRequest:
        """Return the request for the missing frames."""
        instants = self.wish.instants
        return self.wish._replace(start=self.start) if instants is None else FrameRequest(instants=instants[self.at :])

    def take(self, found: _DecodedFrame | None) -> None:
        """Queue a frame if it was requested; None marks the end of the pass."""
        instants = self.wish.instants
        if found is None:
            self.done = True
        elif instants is None:
            # Damaged files repeat a pts, so compare with the start of the source, not `self.start`.
            if not found.is_shown and self.begun <= found.at < self.wish.end:
                self.ready.append((0, found.frame))
                self.start = found.at + 1
        elif found.is_shown:
            while self.at < len(instants) and instants[self.at] == found.at:
                self.ready.append((self.at, found.frame))
                self.at += 1
            self.done = self.at == len(instants)


def _merged_requests(decode: Source, wishes: Sequence[FrameRequest]) -> "Generator[_DecodedFrame, None, None]":
    """Yield the frames of all requests in time order; each frame is decoded once."""
    instants = tuple(sorted({at for wish in wishes for at in wish.instants or ()}))
    whole = [wish for wish in wishes if wish.instants is None]
    start, end = min((wish.start for wish in whole), default=0), max((wish.end for wish in whole), default=0)
    if not whole:
        yield from _shown(decode, instants)
        return
    done = bisect_left(instants, start)
    yield from _shown(decode, instants[:done])
    last: VideoFrame | None = None
    with closing(decode(FrameRequest(start, end))) as frames:
        for _, frame in frames:
            passed = bisect_left(instants, pts_of(frame), done)
            yield from _shown_by(last, decode, instants[done:passed])
            yield _DecodedFrame(pts_of(frame), frame, False)
            last, done = frame, passed
    passed = bisect_left(instants, end, done)
    yield from _shown_by(last, decode, instants[done:passed])
    yield from _shown(decode, instants[passed:])


def _shown_by(frame: "VideoFrame | None", decode: Source, instants: tuple[int, ...]) -> "Iterator[_DecodedFrame]":
    """Yield `frame` for each instant; if it is None, the wanted frame lies before: decode it."""
    if frame is None:
        yield from _shown(decode, instants)
    else:
        yield from (_DecodedFrame(at, frame, True) for at in instants)


def _shown(decode: Source, instants: tuple[int, ...]) -> "Generator[_DecodedFrame, None, None]":
    if instants:
        with closing(decode(FrameRequest(instants=instants))) as found:
            yield from (_DecodedFrame(instants[index], frame, True) for index, frame in found)
