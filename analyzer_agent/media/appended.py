"""Find recordings that were appended to a file whose format ends with the first one.

MP4, WAV, FLV and Matroska files that were put end to end hold several whole files, of which libav
reads the first ones only. What it does not read is told, with its length.
"""

import os
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from analyzer_agent.media.mp4_fragments import further_recordings
from analyzer_agent.media.remote_path import part_of

_FLV_HEAD = re.compile(rb"FLV\x01[\x01\x04\x05]\0\0\0\x09")
_SEARCHED = 1 << 22
"""Bytes after the last packet in which the next FLV header is searched."""


def appended_seconds(path: Path, format: str, read: int, last_byte: int) -> Fraction:
    """Return the length of the recordings that are not read, in seconds.

    Args:
        path: the file.
        format: libav's name of its format.
        read: the number of recordings that are read.
        last_byte: where the last packet lies.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if "mp4" in format:
            begins = list(further_recordings(path))
        elif format == "wav":
            begins = list(_waves(file, size))
        elif format.startswith("matroska"):
            begins = list(_segments(file, size))
        else:
            begins = list(_flvs(file, last_byte)) if format == "flv" else []
    return sum((_seconds(path, begin, end) for begin, end in pairwise([*begins[read - 1 :], size])), Fraction(0))


def _seconds(path: Path, begin: int, end: int) -> Fraction:
    import av

    source = part_of(path, begin, end) or f"subfile,,start,{begin},end,{end},,:{path.resolve()}"
    try:
        with av.open(source, "r", options={"protocol_whitelist": "file,subfile"}, metadata_errors="replace") as container:
            return Fraction(container.duration or 0, 1_000_000)
    except (av.FFmpegError, ValueError):
        return Fraction(0)


def _waves(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        if at:
            yield at
        at += 8 + int.from_bytes(head[4:8], "little")


def _segments(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while True:
        begin = at
        for expected in (b"\x1aE\xdf\xa3", b"\x18S\x80g"):
            file.seek(at)
            head = file.read(12)
            if head[:4] != expected or len(head) < 12 or not head[4]:
                return
            width = 9 - head[4].bit_length()
            length = int.from_bytes(head[4 : 4 + width], "big") & ((1 << (7 * width)) - 1)
            if length == (1 << (7 * width)) - 1:
                return
            at += 4 + width + length
        if begin:
            yield begin
        if at >= size:
            return


def _flvs(file: BinaryIO, last_byte: int) -> Iterator[int]:
    file.seek(last_byte)
    data = file.read(_SEARCHED)
    yield from (last_byte + found.start() for found in _FLV_HEAD.finditer(data))
