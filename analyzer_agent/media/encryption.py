"""Tell which streams and packets are encrypted, so that their content is not taken for pictures or sound.

Decoders put out noise for encrypted packets, often without any error.
"""

from collections.abc import Iterator
from itertools import islice
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.media.container import discard_other_streams, open_container, packets
from analyzer_agent.media.remote_path import mapped
from analyzer_agent.timeline import clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

_PROTECTED = frozenset({b"encv", b"enca", b"drms", b"drmi", b"aavd"})
"""Types of encrypted sample entries in MP4 (ISO 14496-12, 8.12; Apple; Audible)."""

_PARENTS = (b"moov", b"mdia", b"minf", b"stbl")
_ASF_LOCKS = (bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"), bytes.fromhex("14e68a292226174cb935dae07ee9289c"))
"""GUIDs of ASF's objects of (extended) content encryption."""

_PACKETS_TESTED = 2_000

_TS_PACKET, _TS_SYNC, _TS_SCRAMBLED = 188, 0x47, 0x40
_HEAD_BYTES = 1 << 20


def is_encrypted(packet: "Packet[Any]") -> bool:
    """Return whether a packet is marked as encrypted (Common Encryption)."""
    return packet.has_sidedata("encryption_info")


def encrypted_streams(container: "InputContainer", path: Path) -> frozenset[int]:
    """Return the indices of the streams that are encrypted from their beginning.

    Those that only mark some later packets (`is_encrypted`) are not among them.
    """
    name, streams = container.format.name, container.streams
    found = {stream.index for stream in streams if "enc_key_id" in stream.metadata}  # Matroska, WebM
    if "mp4" in name:
        named = {index for index, kind in enumerate(_sample_entries(path)) if kind in _PROTECTED and index < len(streams)}
        found |= {index for index in named if not _begins_clear(path, index)}
    elif name == "asf":
        head = _head(path)
        found |= {stream.index for stream in streams if any(lock in head for lock in _ASF_LOCKS)}
    elif name == "mpegts":
        locked = _scrambled_pids(_head(path))
        found |= {stream.index for stream in streams if stream.id in locked}
    return frozenset(found)


def _begins_clear(path: Path, index: int) -> bool:
    """Return whether a stream begins with packets that are not encrypted, and marks those that are."""
    with open_container(path) as container:
        stream = container.streams[index]
        discard_other_streams(container, stream)
        marks = [is_encrypted(packet) for packet in islice(packets(container, stream, path, lambda: clock(0)), _PACKETS_TESTED)]
    return any(marks) and not marks[0]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _sample_entries(path: Path) -> list[bytes]:
    """Return the type of each track's first sample entry; only the headers of boxes are read."""
    with mapped(path) as data:
        return [kind for kind, _, _ in _tracks(data, 0, len(data))]


def _tracks(data: mmap, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for kind, inside, after in _boxes(data, start, end):
        if kind == b"trak":
            yield next(_tracks(data, inside, after), (b"", inside, after))
        elif kind in _PARENTS:
            yield from _tracks(data, inside, after)
        elif kind == b"stsd":
            yield from _boxes(data, inside + 8, after)


def _boxes(data: mmap, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, begin of the content, end) of the boxes of an MP4 file between two offsets."""
    while start + 8 <= end:
        head = data[start : start + 16]
        length, kind, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        after = start + length if length else end
        if after < start + skip:
            return
        yield kind, start + skip, min(after, end)
        start = after


def _scrambled_pids(data: bytes) -> set[int]:
    """Return the PIDs of a transport stream most of whose packets are scrambled."""
    step = next((n for n in (_TS_PACKET, 192, 204) if _synchronous(data, n)), 0)
    if not step:
        return set()
    first = data.find(_TS_SYNC)
    if max(data[first + 3 :: step], default=0) < _TS_SCRAMBLED:  # nearly always, and a slice is quick
        return set()
    locked: dict[int, int] = {}
    for at in range(first, len(data) - 4, step):
        if data[at] == _TS_SYNC:
            pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
            locked[pid] = locked.get(pid, 0) + (1 if data[at + 3] >= _TS_SCRAMBLED else -1)
    return {pid for pid, more in locked.items() if more > 0}


def _synchronous(data: bytes, step: int) -> bool:
    first = data.find(_TS_SYNC)
    places = range(first, min(len(data), first + 20 * step), step)
    return first >= 0 and len(places) > 1 and all(data[at] == _TS_SYNC for at in places)
