"""Tell a pause between two packets from data that were lost there.

A screen recording shows one picture for minutes, and so does a file whose data are damaged where
the demuxer finds no packet. The container's own structure tells them apart.
"""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from analyzer_agent.media.avi_index import has_lost_chunks
from analyzer_agent.media.container import StreamClock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_SKIPPED_FRAMES, _REORDERED_FRAMES = 1.5, 6
"""Usual distances of frames from which on one may be missing, and those from which on no reordering explains a pause."""

_UNKNOWN_S = Fraction(1, 10)
"""Seconds between frames from which on one may be missing where their usual distance is unknown."""

_SILENT_S = Fraction(1, 100)
"""Seconds between two packets of sound from which on one may be missing."""

_TS_SYNC, _TS_SIZES = 0x47, (188, 192, 204)
_TS_AROUND = 16
"""Packets of a transport stream that are looked at before and behind a gap."""

_FLV_TAGS, _FLV_OVERHEAD = (8, 9, 18), 15
"""Sound, picture and script; bytes of a tag's header and of the length behind it."""

_MOST_BYTES = 16 << 20
"""Bytes read between two packets of a transport stream; what lies behind is not looked at."""

_EBML_BLOCKS, _EBML_INSIDE = (b"\xa3", b"\xa1"), (b"\x18S\x80g", b"\x1fC\xb6u", b"\xa0")
"""Matroska's elements with packets, and those with other elements: segment, cluster, group of blocks."""

_EBML_OTHERS = frozenset(
    bytes.fromhex(name)
    for name in (
        *("E7", "A7", "AB", "AF", "A2", "A4", "8E", "9B", "FA", "FB", "FD", "EC", "BF", "5854", "75A1", "75A2", "1C53BB6B", "1254C367"),
        *("114D9B74", "1549A966", "1654AE6B", "1941A469", "1043A770", "1A45DFA3"),
    )
)

_PS_START, _PS_PACK, _PS_END = b"\0\0\1", 0xBA, 0xB9


class Pauses:
    """Follows the packets of a video stream, and finds the pauses in which data were lost.

    Args:
        path: the file.
        at: the stream's clock.
    """

    def __init__(self, path: Path, at: StreamClock) -> None:
        self._path, self._at = path, at
        self._before: tuple[int, int, int] | None = None
        self._reordered = 0
        """The longest step between times of showing, in ticks, that reordered frames explain."""

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
        least = _SKIPPED_FRAMES * usual or float(_UNKNOWN_S / self._at.base)
        # Matroska has no decoding times: libav's lag behind by a few frames.
        step = packet.pts - latest
        if packet.dts - dts < least and step < max(least, self._reordered + 1):
            return None
        if is_lost_between(container, self._path, pos, packet.pos):
            return latest + max(1, round(usual))
        self._reordered = max(self._reordered, min(step, round(_REORDERED_FRAMES * usual)))
        return None


class Silences:
    """Follows the packets of a stream of sound, and finds the gaps in which data were lost.

    Args:
        path: the file.
        at: the stream's clock.
    """

    def __init__(self, path: Path, at: StreamClock) -> None:
        self._path, self._least = path, float(_SILENT_S / at.base)
        self._end: int | None = None
        self._pos = -1

    def find(self, container: "InputContainer", packet: "Packet[Stream]") -> tuple[int, int] | None:
        """Return from which pts to which data were lost before a packet, None if none were.

        Args:
            container: the container that the packet was read from.
            packet: the next packet.
        """
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return None
        end, pos = self._end, self._pos
        self._end, self._pos = stamp + (packet.duration or 0), packet.pos if packet.pos is not None else pos
        if end is None or not packet.duration or stamp - end < self._least:
            return None
        return (end, stamp) if is_lost_between(container, self._path, pos, self._pos) else None


def is_lost_between(container: "InputContainer", path: Path, start: int, end: int) -> bool:
    """Return whether data were lost between the packets at two offsets; False for formats that cannot tell.

    Args:
        container: the open container; it is not moved.
        path: the file.
        start: offset of the first packet in bytes.
        end: offset of the second one.
    """
    name = container.format.name
    if name in ("flac", "ogg"):
        return True  # their sound knows no pauses
    if start < 0 or end <= start:
        return False
    if name == "avi":
        return has_lost_chunks(path, start, end)
    with path.open("rb") as file:
        if name == "mpegts":
            # A counter of four bits may go on by chance: those of the streams around it tell as well.
            around = _TS_AROUND * _TS_SIZES[0]
            file.seek(max(0, start - around))
            start -= around if start >= around and file.read(1)[0] == _TS_SYNC else 0
            file.seek(start)
            return _is_interrupted(file.read(min(end - start + around, _MOST_BYTES)))
        if name == "flv":
            return _has_lost_tags(file, start, end)
        if name == "mpeg":
            return _has_lost_units(file, start, end)
        return name.startswith("matroska") and _has_lost_elements(file, start, end)


def _is_interrupted(data: bytes) -> bool:
    """Return whether a piece of a transport stream loses its rhythm, or a counter of its packets jumps."""
    step = next((n for n in _TS_SIZES if len(data) > n and data[n] == _TS_SYNC), 0)
    if not step:
        return len(data) > _TS_SIZES[-1]
    counters: dict[int, tuple[int, bytes]] = {}
    for at in range(0, len(data) - _TS_SIZES[0] + 1, step):
        if data[at] != _TS_SYNC or data[at + 1] & 0x80:
            return True
        pid, flags, count = (data[at + 1] & 0x1F) << 8 | data[at + 2], data[at + 3] >> 4, data[at + 3] & 15
        announced = flags & 2 and data[at + 4] and data[at + 5] & 0x80
        if pid != 0x1FFF and flags & 1:
            # A packet may come twice (ISO 13818-1, 2.4.3.3), with the same content.
            content = data[at + _TS_SIZES[0] // 2 : at + _TS_SIZES[0]]
            known, before = counters.get(pid, (count, content))
            follows = count == (known + 1) & 15 or (count == known and content == before)
            if not follows and not announced:
                return True
            counters[pid] = count, content
    return False


def _has_lost_tags(file: BinaryIO, start: int, end: int) -> bool:
    """Return whether the tags of an FLV file from that of a packet at `start` do not lead to that of one at `end`."""
    while start < end:
        file.seek(start)
        head = file.read(4)
        if len(head) < 4 or head[0] not in _FLV_TAGS:
            return True
        start += _FLV_OVERHEAD + int.from_bytes(head[1:], "big")
    return start != end


def _has_lost_units(file: BinaryIO, start: int, end: int) -> bool:
    """Return whether the packs and packets of an MPEG program stream from one at `start` do not lead to one at `end`."""
    while start < end:
        file.seek(start)
        head = file.read(14)
        if len(head) < len(_PS_START) + 3 or not head.startswith(_PS_START) or head[3] < _PS_END:
            return True
        if head[3] == _PS_PACK:
            start += 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
        else:
            start += 4 if head[3] == _PS_END else 6 + int.from_bytes(head[4:6], "big")
    return start != end


def _has_lost_elements(file: BinaryIO, start: int, end: int) -> bool:
    """Return whether Matroska's elements from the block with data at `start` do not lead to the one with data at `end`.

    The file's own beginning and end may take their places.
    """
    file.seek(max(0, start - 9))
    before = file.read(min(9, start))
    sizes = [n for n in range(1, len(before)) if 9 - before[-n].bit_length() == n and before[-n - 1 : -n] in _EBML_BLOCKS]
    if start and not sizes:
        return False
    at = start - sizes[0] - 1 if start else 0
    while at < end:
        file.seek(at)
        head = file.read(12)
        wide = 9 - head[0].bit_length() if head else 9
        if wide > 4 or len(head) <= wide or not head[wide]:
            return True
        name, length = head[:wide], 9 - head[wide].bit_length()
        size = int.from_bytes(head[wide : wide + length], "big") & ((1 << 7 * length) - 1)
        at += wide + length
        if name in _EBML_BLOCKS and at == end:
            return False
        if name in _EBML_BLOCKS or name in _EBML_OTHERS:
            at += size
        elif name not in _EBML_INSIDE:
            return True
    return at != end
