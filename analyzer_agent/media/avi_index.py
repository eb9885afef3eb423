"""Stamp the packets of a damaged AVI file by its index: its packets have no times, libav counts those that it finds."""

import re
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.media.remote_path import mapped

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_HEADER = 8
"""Bytes of a chunk's name and length, before its data."""

_CHUNK = re.compile(rb"[0-9a-zA-Z]{2}(db|dc|wb|tx|sb|pc)|JUNK|idx1|ix[0-9a-zA-Z]{2}|avih|str[hfdn]|vprp|dmlh|I[A-Z]{3}", re.DOTALL)


class AviIndex:
    """The index of a stream: the offset of each packet in the file, and its time.

    Args:
        stream: the stream, as the container was opened: later libav adds what it met.
    """

    def __init__(self, stream: "Stream") -> None:
        self._entries: Any = stream.index_entries
        self._count = len(self._entries)
        self._time_at: dict[int, int] | None = None
        self._fits: bool | None = None

    def restamp(self, packet: "Packet[Stream]") -> "Packet[Stream]":
        """Give a packet the time of its place, where it differs; no time if its place is not in the index."""
        self._place(packet)
        return packet

    def _place(self, packet: "Packet[Stream]") -> None:
        if packet.dts is None or packet.pos is None or self._fits is False or not self._count:
            return
        if self._fits is None and packet.stream.type == "audio" and not self._counts_packets(packet):
            self._fits = False
            return
        nearest = self._entries.search_timestamp(packet.dts, backward=True, any_frame=True)
        if nearest >= 0 and self._entries[nearest].pos + _HEADER == packet.pos:
            self._fits = True
            return
        if self._time_at is None:
            self._time_at = {self._entries[n].pos + _HEADER: self._entries[n].timestamp for n in range(self._count)}
        there = self._time_at.get(packet.pos)
        if self._fits is None:  # some writers count offsets in another way
            self._fits = there is not None
        if not self._fits:
            return
        late = None if there is None else there - packet.dts
        packet.pts = None if late is None or packet.pts is None else packet.pts + late
        packet.dts = there

    def _counts_packets(self, packet: "Packet[Stream]") -> bool:
        """Return whether the index of a track of sound counts its packets; that of others (PCM) counts bytes."""
        return self._count > 1 and self._entries[1].timestamp - self._entries[0].timestamp == packet.duration


def readable_bytes(path: Path, *, counted: bool = False) -> int | None:
    """Return up to which byte the times of an AVI file's packets are known; None for the whole file.

    Without an index that is where a chunk does not begin at the end of the one before it: how many
    packets are missing there nobody knows. The chunk before it is damaged as well.

    Args:
        path: the file.
        counted: whether frames are counted as they come, so that the index does not help: H.264.
    """
    with mapped(path) as data:
        at = data.find(b"movi") + 4
        indexed = at - 4 + int.from_bytes(data[at - 8 : at - 4], "little")
        if at < _HEADER or (not counted and (data[indexed : indexed + 4] == b"idx1" or b"indx" in data[:at])):
            return None
        before, end = _last_chunk(data, at, len(data) - _HEADER)
        return None if len(data) - _HEADER < end <= len(data) + 1 else before


def chunks_before_loss(path: Path, start: int, end: int) -> int | None:
    """Return 0 if nothing follows the chunk of a packet at `start`, 1 if others do, None if they lead to the one at `end`."""
    with mapped(path) as data:
        before, after = _last_chunk(data, start - _HEADER, end - _HEADER - 1)
    return None if after == end - _HEADER else int(before != start - _HEADER)


def _last_chunk(data: mmap, at: int, last: int) -> tuple[int, int]:
    """Follow the chunks from one at `at` to the first that begins behind `last`, or is none.

    Returns:
        The offsets of the chunk before it, and of this one.
    """
    before = at
    while at <= last:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + _HEADER], "little")
        if name in (b"LIST", b"RIFF"):
            before, at = at, at + _HEADER + 4
        elif _CHUNK.fullmatch(name):
            before, at = at, at + _HEADER + size + size % 2
        else:
            break
    return before, at
