"""Reading one video stream packet by packet: seeking to key frames, and decoding without stale pictures.

Knows nothing of instants wanted or of pixels; times are the stream's own ticks.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer_agent.media.door import Clock, decoded, packets
from analyzer_agent.timeline import clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_BEFORE_EVERYTHING = -(1 << 62)
_INDEXED = 2
_FIRST_STEP_BACK = 1
"""Seconds to step back at first where a seek lands late; doubled each time."""


def pts_of(frame: "VideoFrame") -> int:
    """Return the frame's time stamp; frames of a `Cursor` have one."""
    return frame.pts if frame.pts is not None else _BEFORE_EVERYTHING


class Cursor:
    """A place in a video stream, and the decoder that follows it."""

    def __init__(self, container: "InputContainer", stream: "VideoStream", at: Clock, path: Path, start: int) -> None:
        self.stream = stream
        self.at = at
        self.read_to = start
        """Decoding time up to which packets were read: no later packet is shown before it."""
        self.longest_gop = 0
        self.damaged = 0
        self._container = container
        self._path = path
        self._start = start
        self._begin = _BEFORE_EVERYTHING
        self._seekable = True
        self._drained = False
        self._packets = self._demux()
        self._last_key: int | None = None

    @property
    def from_start(self) -> bool:
        """Whether everything since the start of the file was decoded, so that nothing lies further back."""
        return self._begin == _BEFORE_EVERYTHING

    def key_before(self, target: int) -> int | None:
        """Return the decoding time of the last key frame up to `target`, None where the container's index does not reach it."""
        entries = self.stream.index_entries
        if len(entries) < _INDEXED or entries[len(entries) - 1].timestamp < target:
            return None
        place = entries.search_timestamp(target, backward=True)
        return entries[place].timestamp if place >= 0 else None

    def next_packet(self) -> "Packet[VideoStream] | None":
        """Return the next packet, None at the end."""
        packet = next(self._packets, None)
        if packet is None:
            return None
        if packet.dts is not None:
            self.read_to = max(self.read_to, packet.dts)
        if packet.is_keyframe and packet.pts is not None:
            if self._last_key is not None:
                self.longest_gop = max(self.longest_gop, packet.pts - self._last_key)
            self._last_key = packet.pts
        return packet

    def decode(self, packet: "Packet[VideoStream]", *, skip: bool = False) -> "Iterator[VideoFrame]":
        """Yield the frames that come out when `packet` goes in; with `skip`, the packet itself may be left out if nothing refers to it."""
        context = self.stream.codec_context
        if self._drained:
            context.flush_buffers()
            self._drained = False
        context.skip_frame = "NONREF" if skip else "DEFAULT"
        frames = decoded(packet.decode)
        if frames is None:
            self.damaged += 1
            return
        yield from self._clean(frames)

    def drain(self) -> "Iterator[VideoFrame]":
        """Yield the frames that the decoder still holds."""
        if self._drained:
            return
        self._drained = True
        yield from self._clean(decoded(lambda: self.stream.codec_context.decode(None)) or [])

    def begin_at(self, key: "Packet[VideoStream]") -> None:
        """Start the decoder anew at a key frame: what is shown before it is not to be trusted."""
        if not self._drained:
            self.stream.codec_context.flush_buffers()
        self._begin = key.pts if key.pts is not None else _BEFORE_EVERYTHING

    def seek(self, target: int, extra: int = 0) -> "Packet[VideoStream] | None":
        """Go to the last key frame found that is shown at or before `target` and return it; None: reading begins at the start.

        Steps further back where a seek lands late or finds nothing; `extra` ticks more from the beginning.
        """
        tick = Fraction(1) / self.at.base
        back = extra
        step = max(round(_FIRST_STEP_BACK * tick), self.longest_gop)
        while self._seekable and target - back > self._start:
            key = self._land(target - back, target)
            if key is not None:
                return key
            back = max(back * 2, step)
        self._rewind()
        return None

    def _land(self, to: int, target: int) -> "Packet[VideoStream] | None":
        if not self._jump(to):
            return None
        from av.format import Flags

        broken_first = bool(self._container.format.flags & Flags.ts_discont.value)
        while (packet := self.next_packet()) is not None:
            if broken_first:
                broken_first = False
                continue
            if packet.is_keyframe and packet.pts is not None and not packet.is_discard:
                if packet.pts > target:
                    return None
                self.begin_at(packet)
                return packet
            if packet.dts is not None and packet.dts > target:
                return None
        return None

    def _jump(self, to: int) -> bool:
        import av

        try:
            self._container.seek(to, stream=self.stream)
        except (av.FFmpegError, OverflowError):
            return False
        self._reset()
        return True

    def _rewind(self) -> None:
        import av

        self._begin = _BEFORE_EVERYTHING
        try:
            self._container.seek(self._start - round(Fraction(10) / self.at.base), stream=self.stream)
        except av.FFmpegError:
            try:
                self._container.seek(0)
            except av.FFmpegError:
                self._seekable = False
                return
        self._reset()

    def _reset(self) -> None:
        self._drained = False
        self._last_key = None
        self.read_to = _BEFORE_EVERYTHING
        self._packets = self._demux()

    def _demux(self) -> "Iterator[Packet[VideoStream]]":
        return packets(self._container, self.stream, self._path, lambda: clock(max(0, self.at.ms(self.read_to))))  # type: ignore[return-value]

    def _clean(self, frames: "list[VideoFrame]") -> "Iterator[VideoFrame]":
        for frame in frames:
            if frame.pts is not None and frame.pts >= self._begin:
                yield frame
