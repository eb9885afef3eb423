"""What libav does not tell of an MP4 file, from its boxes.

It reads fragments up to the first that is damaged, and of files that were put end to end those that
the first one's index knows, without a word.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

from analyzer_agent.media.remote_path import mapped

_HEADER, _WIDE_HEADER = 8, 16
"""Bytes of a box before its content, without and with a length of 64 bits."""

_CONTAINERS = (b"moov", b"trak", b"mdia", b"moof", b"traf")
_TFHD_FIELDS = ((0x1, 8), (0x2, 4))
"""Flags of a track fragment's header, and the bytes of the fields before the duration of a sample."""


def promised_end(path: Path) -> Fraction | None:
    """Return the end of a fragmented MP4 file that is damaged or cut off, in seconds.

    That of the last fragment that can be found; None if the file is whole, or has no fragments.
    """
    return _walked(path).promised


def further_recordings(path: Path) -> Sequence[int]:
    """Return where in an MP4 file others begin that were appended to it."""
    return _walked(path).begins


def has_fragments(path: Path) -> bool:
    """Return whether an MP4 file has fragments.

    There libav marks packets as not to be shown whose time has been before. In other files it marks
    those that their edit list leaves out.
    """
    return _walked(path).fragmented


class _Boxes(NamedTuple):
    promised: Fraction | None = None
    begins: Sequence[int] = ()
    fragmented: bool = False


def _walked(path: Path) -> _Boxes:
    about = path.stat()
    return _walk(path, about.st_size, about.st_mtime_ns) if about.st_size else _Boxes()


@lru_cache(maxsize=4)
def _walk(path: Path, size: int, _changed: int) -> _Boxes:
    with mapped(path) as data:
        end, last, moov = 0, -1, -1
        begins: list[int] = []
        indexed = False
        for kind, at, _, following in _boxes(data, 0, size):
            if kind == b"ftyp" and indexed:
                begins.append(at)
            indexed = kind == b"moov" or (indexed and kind != b"ftyp")
            if following > size:
                break
            end = following
            last = at if kind == b"moof" else last
            moov = at if kind == b"moov" and moov < 0 else moov
        whole = end == size or last < 0 or moov < 0
        return _Boxes(None if whole else _last_end(data, moov, last), tuple(begins), last >= 0)


def _last_end(data: mmap, moov: int, last: int) -> Fraction | None:
    """Return the end of the last fragment that can be found behind damage, else of the `last` before it."""
    scales = _time_scales(data, moov)
    found = data.rfind(b"moof")
    while found - 4 > last:
        ends = _ends(data, found - 4, scales)
        if ends:
            return max(ends)
        found = data.rfind(b"moof", 0, found)
    return max(_ends(data, last, scales), default=None)


def _boxes(data: mmap, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield (kind, offset, offset of the content, offset of the next) of boxes, up to one that is damaged."""
    while at + _HEADER <= end:
        length, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + _HEADER])
        content = at + _HEADER
        if length == 1:
            length, content = int.from_bytes(data[at + _HEADER : at + _WIDE_HEADER], "big"), at + _WIDE_HEADER
        if length == 0:
            length = end - at
        if length < _HEADER or not kind.isascii() or not kind.strip().isalnum():
            return
        yield kind, at, content, at + length
        at += length


def _within(data: mmap, at: int, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield (kind, offset of the content) of the boxes in the one at an offset, however deep."""
    for _, _, content, end in _boxes(data, at, size):
        for kind, inner, place, _ in _boxes(data, content, min(end, size)):
            yield kind, place
            if kind in _CONTAINERS:
                yield from _within(data, inner, size)
        return


def _time_scales(data: mmap, moov: int) -> dict[int, int]:
    """Return the ticks per second of each track, by its id."""
    scales: dict[int, int] = {}
    track = 0
    for kind, at in _within(data, moov, len(data)):
        if kind == b"tkhd":
            track = _number(data, at + (20 if data[at] else 12))
        elif kind == b"mdhd":
            scales[track] = _number(data, at + (20 if data[at] else 12))
    return scales


def _ends(data: mmap, moof: int, scales: dict[int, int]) -> list[Fraction]:
    """Return the ends of the tracks in a fragment in seconds; none if it is damaged."""
    ends: list[Fraction] = []
    track = begin = each = 0
    try:
        for kind, at in _within(data, moof, len(data)):
            flags = _number(data, at) & 0xFFFFFF
            if kind == b"tfhd":
                track, place = _number(data, at + 4), at + 8 + sum(size for flag, size in _TFHD_FIELDS if flags & flag)
                each = _number(data, place) if flags & 8 else 0
            elif kind == b"tfdt":
                begin = int.from_bytes(data[at + 4 : at + (12 if data[at] else 8)], "big")
            elif kind == b"trun":
                ends.append(Fraction(begin + _lasting(data, at, flags, each), scales[track]))
    except (IndexError, KeyError, ZeroDivisionError):
        return []
    return ends


def _lasting(data: mmap, at: int, flags: int, each: int) -> int:
    """Return the ticks that the samples of a run last."""
    count, place = _number(data, at + 4), at + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
    if not flags & 0x100:
        return count * each
    wide = 4 * sum(bool(flags & flag) for flag in (0x100, 0x200, 0x400, 0x800))
    return sum(_number(data, place + number * wide) for number in range(min(count, (len(data) - place) // wide)))


def _number(data: mmap, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
