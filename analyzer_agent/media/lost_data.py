"""Tell a pause between two packets from data that were lost there.

A screen recording shows one picture for minutes, and so does a file whose data are damaged where
the demuxer finds no packet. The container's own structure tells them apart.
"""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer_agent.media.avi_index import has_lost_chunks
from analyzer_agent.media.container import StreamClock, open_container

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_PAUSE_S, _PAUSE_FRAMES, _REORDERED_FRAMES = Fraction(1, 4), 5, 20
"""Seconds and usual distances of frames from which on a pause of the decoding times, or of the times of showing, is looked into."""

_SKIPPED_FRAMES = 1.5
"""Usual distances of frames from which on one is missing where each has its packet."""

_TS_SYNC, _TS_SIZES = 0x47, (188, 192, 204)
_FLV_TAGS, _FLV_OVERHEAD = (8, 9, 18), 15
"""Sound, picture and script; bytes of a tag's header and of the length behind it."""

_MOST_BYTES = 16 << 20
"""Bytes read between two packets; what lies behind is not looked at."""

_OVERHEAD, _OVERHEAD_PER_PACKET = 512, 64
"""Bytes of Matroska's own elements between two packets, and per packet."""


class Pauses:
    """Follows the packets of a video stream, and finds the pauses in which data were lost.

    Args:
        path: the file.
        at: the stream's clock.
    """

    def __init__(self, path: Path, at: StreamClock) -> None:
        self._path, self._at = path, at
        self._before: tuple[int, int, int] | None = None

    def restart(self) -> None:
        """Forget the last packet: the container was moved."""
        self._before = None

    def find(self, container: "InputContainer", packet: "Packet[VideoStream]", usual: float) -> int | None:
        """Return from which pts on data were lost before a packet, None if none were.

        Args:
            container: the container that the packet was read from.
            packet: the next packet.
            usual: the usual distance of frames in ticks, 0 if unknown.
        """
        if packet.dts is None or packet.pts is None or packet.pos is None:
            return None
        before = self._before
        self._before = packet.dts, packet.pos, packet.pts if before is None else max(before[2], packet.pts)
        if before is None:
            return None
        dts, pos, latest = before
        # Matroska has no decoding times: libav's lag behind by a few frames.
        least = float(_PAUSE_S / self._at.base)
        steady = container.format.name == "avi" and bool(usual)  # one packet a frame
        longest = _SKIPPED_FRAMES * usual if steady else max(_PAUSE_FRAMES * usual, least)
        if packet.dts - dts < longest and (steady or packet.pts - latest < max(_REORDERED_FRAMES * usual, least)):
            return None
        lost = is_lost_between(container, self._path, pos, packet.pos, float(dts * self._at.base))
        return latest + max(1, round(usual)) if lost else None


def is_lost_between(container: "InputContainer", path: Path, start: int, end: int, seconds: float) -> bool:
    """Return whether data were lost between the packets at two offsets; False for formats that cannot tell.

    Args:
        container: the open container; it is not moved.
        path: the file.
        start: offset of the first packet in bytes.
        end: offset of the second one.
        seconds: the time of the first packet in the container.
    """
    if start < 0 or end <= start:
        return False
    if container.format.name == "mpegts":
        with path.open("rb") as file:
            file.seek(start)
            return _is_interrupted(file.read(min(end - start + _TS_SIZES[-1], _MOST_BYTES)))
    if container.format.name == "avi":
        return has_lost_chunks(path, start, end)
    if container.format.name == "flv":
        return _has_lost_tags(path, start, end)
    if "matroska" in container.format.name:
        return _has_unread_bytes(path, start, end, seconds)
    return False


def _is_interrupted(data: bytes) -> bool:
    """Return whether a piece of a transport stream loses its rhythm, or a counter of its packets jumps."""
    step = next((n for n in _TS_SIZES if len(data) > n and data[n] == _TS_SYNC), 0)
    if not step:
        return len(data) > _TS_SIZES[-1]
    counters: dict[int, int] = {}
    for at in range(0, len(data) - _TS_SIZES[0] + 1, step):
        if data[at] != _TS_SYNC or data[at + 1] & 0x80:
            return True
        pid, flags, count = (data[at + 1] & 0x1F) << 8 | data[at + 2], data[at + 3] >> 4, data[at + 3] & 15
        announced = flags & 2 and data[at + 4] and data[at + 5] & 0x80
        known = counters.get(pid)
        if pid != 0x1FFF and flags & 1:
            if known is not None and count not in (known, (known + 1) & 15) and not announced:
                return True
            counters[pid] = count
    return False


def _has_lost_tags(path: Path, start: int, end: int) -> bool:
    """Return whether the tags of an FLV file from that of a packet at `start` do not lead to that of one at `end`."""
    with path.open("rb") as file:
        while start < end:
            file.seek(start)
            head = file.read(4)
            if len(head) < 4 or head[0] not in _FLV_TAGS:
                return True
            start += _FLV_OVERHEAD + int.from_bytes(head[1:], "big")
    return start != end


def _has_unread_bytes(path: Path, start: int, end: int, seconds: float) -> bool:
    """Return whether much more lies between two packets than all streams' packets."""
    import av

    known, count = 0, 0
    with open_container(path) as container:
        try:
            container.seek(max(0, round((seconds - 1) * 1_000_000)))
        except av.FFmpegError:
            return False
        with suppress(av.FFmpegError):
            for packet in container.demux():
                if packet.pos is not None and packet.pos >= end:
                    break
                if packet.pos is not None and packet.pos >= start:
                    known, count = known + packet.size, count + 1
    return end - start - known > _OVERHEAD + count * _OVERHEAD_PER_PACKET
