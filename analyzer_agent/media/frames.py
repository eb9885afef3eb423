"""Decode requested frames: those shown at given instants, or all that start in a range.

Groups of pictures without a requested instant are skipped, and so are unrequested non-reference
frames. Times are ticks of the stream; conversion of pixels is left to `frame_converter`.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from analyzer_agent.media.packet_reader import MIN_PTS, PacketReader

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_DROPPABLE = frozenset({"h264", "mpeg1video", "mpeg2video"})
"""Codecs whose non-reference mark on a frame is reliable."""

_PROGRESSIVE = 1
"""`field_order` of progressive pictures (AV_FIELD_PROGRESSIVE in libavcodec/defs.h)."""

_SEEK_AFTER = 2
"""Seconds to the next requested instant above which seeking may be cheaper than reading on."""

_HELD_PACKETS = 512
_HELD_BYTES = 32 * 1024 * 1024
"""Limits of the packets buffered until it is known which of them are requested."""


class FrameRequest(NamedTuple):
    """A request for frames; times are ticks.

    Either the frames shown at `instants` (ascending), or, if that is None, the frames with pts in
    `[start, end)`; with `keys`, only the key frames among the latter.
    """

    start: int = 0
    end: int = 0
    instants: tuple[int, ...] | None = None
    keys: bool = False


def requested_frames(cursor: PacketReader, wish: FrameRequest) -> "Iterator[tuple[int, VideoFrame]]":
    """Yield (index of the instant, frame) in order; without instants the index is always 0."""
    if wish.instants is not None:
        yield from InstantDecoder(cursor, wish.instants)
    else:
        yield from ((0, frame) for frame in (key_frames if wish.keys else all_frames)(cursor, wish.start, wish.end))


def key_frames(cursor: PacketReader, start: int, end: int) -> "Iterator[VideoFrame]":
    """Yield the key frames with pts in `[start, end)`, in order; nothing else is decoded."""
    if cursor.spacing:  # the pts of a frame depends on all frames before it
        yield from (frame for frame in all_frames(cursor, start, end) if frame.key_frame)
        return
    packet = (cursor.seek(start) if start > cursor.read_to else None) or cursor.next_packet()
    while packet is not None and (packet.dts is None or packet.dts < end):
        if packet.is_keyframe and not packet.is_discard:
            cursor.begin_at(packet)
            for frame in (*cursor.decode(packet), *cursor.drain()):
                if frame.key_frame and start <= _pts(frame) < end:
                    yield frame
        packet = cursor.next_packet()


def all_frames(cursor: PacketReader, start: int, end: int) -> "Iterator[VideoFrame]":
    """Yield all frames with pts in `[start, end)`, in order."""
    back = 0
    while (late := (yield from _all_frames(cursor, start, end, back))) and not cursor.from_start:
        back = max(2 * back, late)


def _all_frames(cursor: PacketReader, start: int, end: int, back: int) -> "Generator[VideoFrame, None, int]":
    """Yield like `all_frames` after a seek to `start - back`.

    Returns:
        0, or the number of ticks by which the first valid frame lies after `start`.
    """
    packet = (cursor.seek(start, back) if start > cursor.read_to or back else None) or cursor.next_packet()
    last = None
    while True:
        for frame in cursor.decode(packet) if packet is not None else cursor.drain():
            at = _pts(frame)
            if last is None and at > start and not cursor.from_start:
                return at - start
            last = at
            if at >= end:
                return 0
            if at >= start:
                yield frame
        if packet is None:
            return 0
        packet = cursor.next_packet()


class _RestartError(Exception):
    """The decoded frames do not reach back far enough: restart for the next instant."""


class InstantDecoder:
    """Yields the frames shown at `instants` (ticks, ascending, none before the first frame)."""

    def __init__(self, cursor: PacketReader, instants: Sequence[int]) -> None:
        self._cursor = cursor
        self._instants = instants
        self._assigned = 0
        """Number of instants whose frame is in the packets read so far."""
        self._given = 0
        """Number of instants whose frame was yielded."""
        self._held: VideoFrame | None = None
        self._window: deque[Packet[VideoStream]] = deque()
        self._window_bytes = 0
        self._wanted: set[int | None] = set()
        self._skipped: list[int] = []
        context = cursor.stream.codec_context
        self._may_skip = context.codec.name in _DROPPABLE and context.field_order == _PROGRESSIVE
        self._seek_after = round(_SEEK_AFTER / cursor.at.base)
        self._back = 0
        self._tried = -1
        """Index of the last instant with a seek: a second one would land in the same place."""
        self._whole_until = -1
        """Index up to which all is decoded, because a restart at a key frame failed."""

    def __iter__(self) -> "Iterator[tuple[int, VideoFrame]]":
        """Yield (index of the instant, frame) in order; a frame may be yielded several times."""
        while self._given < len(self._instants):
            try:
                yield from self._advance()
            except _RestartError:
                self._assigned = self._given
                self._seek(self._back)

    def _advance(self) -> "Iterator[tuple[int, VideoFrame]]":
        if self._assigned < len(self._instants) and self._worth_seeking():
            yield from self._finish()
            self._seek()
            return
        packet = self._cursor.next_packet()
        if packet is not None:
            yield from self._take(packet)
            return
        self._assign(to_the_end=True)
        yield from self._feed()
        yield from self._finish()
        if self._given < len(self._instants):
            self._again()

    def _take(self, packet: "Packet[VideoStream]") -> "Iterator[tuple[int, VideoFrame]]":
        if self._window and packet.is_keyframe and packet.pts is not None and not packet.is_discard:
            restart = self._whole_until < self._assigned < len(self._instants)
            if restart and packet.pts <= self._instants[self._assigned]:
                yield from self._finish()
                self._begin(packet)
                return
        self._push(packet)
        self._assign()
        yield from self._feed()
        if len(self._window) > _HELD_PACKETS or self._window_bytes > _HELD_BYTES:
            yield from self._feed(len(self._window) // 2)

    def _begin(self, key: "Packet[VideoStream] | None") -> None:
        """Discard the state and continue at a key frame, or at the current position if None."""
        self._window.clear()
        self._window_bytes = 0
        self._wanted.clear()
        self._skipped.clear()
        self._held = None
        if key is not None:
            self._cursor.begin_at(key)
            self._push(key)

    def _push(self, packet: "Packet[VideoStream]") -> None:
        self._window.append(packet)
        self._window_bytes += packet.size

    def _assign(self, to_the_end: bool = False) -> None:
        """Mark the packets of all instants before the unread packets as wanted."""
        # With `spacing`, packets have no pts; only the decoded frames have one.
        known = self._instants[-1] + 1 if to_the_end else self._cursor.read_to if not self._cursor.spacing else None
        while known is not None and self._assigned < len(self._instants) and self._instants[self._assigned] < known:
            instant = self._instants[self._assigned]
            stamps = [packet.pts for packet in self._window if packet.pts is not None and not packet.is_discard]
            self._wanted.add(max((pts for pts in stamps if pts <= instant), default=None))
            self._assigned += 1

    def _feed(self, count: int = 0) -> "Iterator[tuple[int, VideoFrame]]":
        """Decode the first `count` packets of the window, at least up to the last wanted one."""
        unclear = count
        for index, packet in enumerate(self._window):
            if packet.pts is None or packet.pts in self._wanted:
                count = max(count, index + 1)
        for _ in range(count):
            packet = self._window.popleft()
            self._window_bytes -= packet.size
            skip = self._may_skip and not unclear and packet.pts is not None and packet.pts not in self._wanted
            if skip and packet.pts is not None:
                self._skipped.append(packet.pts)
            for frame in self._cursor.decode(packet, skip=skip):
                yield from self._out(frame)
        if count:
            self._wanted.intersection_update(packet.pts for packet in self._window)

    def _out(self, frame: "VideoFrame") -> "Iterator[tuple[int, VideoFrame]]":
        yield from self._give(_pts(frame), len(self._instants))
        if self._given < len(self._instants) and self._held is None and _pts(frame) > self._instants[self._given]:
            self._again(_pts(frame) - self._instants[self._given])
        self._held = frame
        if self._skipped:
            self._skipped = [pts for pts in self._skipped if pts > _pts(frame)]

    def _give(self, before: int | None, limit: int) -> "Iterator[tuple[int, VideoFrame]]":
        """Yield the held frame for the instants before `before`, the pts of the next frame.

        If it is None, yield it for all instants up to index `limit`.
        """
        while self._held is not None and self._given < limit:
            instant = self._instants[self._given]
            if before is not None and instant >= before:
                return
            if any(pts <= instant for pts in self._skipped):
                # A wrong pts in the container led to skipping the frame shown here: skip no more.
                self._may_skip = False
                raise _RestartError
            yield self._given, self._held
            self._given += 1
            self._assigned = max(self._assigned, self._given)

    def _finish(self) -> "Iterator[tuple[int, VideoFrame]]":
        """Drain the decoder and yield the frames of the instants assigned so far."""
        if self._given == self._assigned:
            return
        for frame in self._cursor.drain():
            yield from self._out(frame)
        yield from self._give(None, self._assigned)
        if self._given < self._assigned:
            self._again()

    def _again(self, late: int = 0) -> None:
        """Restart further back, unless decoding began at the start of the file."""
        if self._cursor.from_start:
            return
        self._back = max(2 * self._back, late, self._seek_after)
        self._whole_until = self._given
        raise _RestartError

    def _worth_seeking(self) -> bool:
        target, read_to = self._instants[self._assigned], self._cursor.read_to
        if not self._cursor.seekable or target - read_to <= self._seek_after or self._assigned <= self._tried:
            return False
        known = self._cursor.key_before(target)
        return known > read_to if known is not None else target - read_to > 2 * self._cursor.longest_gop

    def _seek(self, back: int = 0) -> None:
        target, read_to = self._instants[self._assigned], self._cursor.read_to
        self._begin(None)
        self._tried = self._assigned
        key = self._cursor.seek(target, back)
        if key is not None:
            self._push(key)
        useless = key is None or (key.pts is not None and key.pts <= read_to)
        if useless and not back and self._cursor.key_before(target) is None:
            self._seek_after = 2 * (target - read_to)


def _pts(frame: "VideoFrame") -> int:
    """Return the frame's pts in ticks; frames of a `PacketReader` always have one."""
    return frame.pts if frame.pts is not None else MIN_PTS
