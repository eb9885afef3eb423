"""Give an MP4 file the edit lists that a test wants: which part of the media is played when."""

from collections.abc import Iterator, Sequence
from pathlib import Path

Edit = tuple[float, float | None]
"""Seconds that are played, and where in the media they begin; None for a pause."""


def edited(path: Path, edits: Sequence[Edit], kinds: Sequence[bytes] = (b"vide", b"soun")) -> Path:
    """Set the edit list of the tracks of some kinds, in place; the file has its index at the end."""
    data = path.read_bytes()
    (moov,) = [(at, size) for kind, at, size in _boxes(data, 0, len(data)) if kind == b"moov"]
    assert moov[0] + moov[1] == len(data), "what lies behind would move"
    body = data[moov[0] + 8 :]
    scale = _number(body, next(at for kind, at, _ in _boxes(body, 0, len(body)) if kind == b"mvhd") + 20)
    made = b"".join(
        _track(body[at : at + size], edits, scale, kinds) if kind == b"trak" else body[at : at + size]
        for kind, at, size in _boxes(body, 0, len(body))
    )
    path.write_bytes(data[: moov[0]] + _box(b"moov", made))
    return path


def _track(trak: bytes, edits: Sequence[Edit], movie: int, kinds: Sequence[bytes]) -> bytes:
    media = next(trak[at : at + size] for kind, at, size in _boxes(trak, 8, len(trak)) if kind == b"mdia")
    inside = {kind: media[at : at + size] for kind, at, size in _boxes(media, 8, len(media))}
    if inside[b"hdlr"][16:20] not in kinds:
        return trak
    scale = _number(inside[b"mdhd"], 20)
    rows = b"".join(
        round(length * movie).to_bytes(4, "big") + (b"\xff" * 4 if start is None else round(start * scale).to_bytes(4, "big")) + b"\0\1\0\0"
        for length, start in edits
    )
    wanted = _box(b"edts", _box(b"elst", bytes(4) + len(edits).to_bytes(4, "big") + rows))
    parts = [(kind, trak[at : at + size]) for kind, at, size in _boxes(trak, 8, len(trak)) if kind != b"edts"]
    return _box(b"trak", b"".join(part + (wanted if kind == b"tkhd" else b"") for kind, part in parts))


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        size = _number(data, at)
        yield data[at + 4 : at + 8], at, size
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
