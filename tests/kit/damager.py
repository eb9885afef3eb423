"""Damage files by a seed: cut off, zeroed, or with flipped bits, as broken disks and downloads do."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from media_maker import Clip, Tone, write

_FAST = {"movflags": "faststart"}
_TIMES = [number * 40 for number in range(150)]
_SOUND = {"mp3": "libmp3lame", "flac": "flac", "wav": "pcm_s16le"}
_CLIP = Clip(times=_TIMES, bframes=0, timebase=Fraction(1, 25), tones=[Tone(end=6.0)])

CLIPS = {
    "mp4": Clip(times=_TIMES, timebase=Fraction(1, 25), bframes=0, tones=[Tone(end=6.0)], muxer=_FAST),
    "mkv": _CLIP,
    "ts": _CLIP,
    "webm": Clip(codec="libvpx", times=_TIMES, bframes=0, timebase=Fraction(1, 25), tones=[Tone(codec="libopus", rate=48_000, end=6.0)]),
    "avi": Clip(codec="mpeg4", times=_TIMES, bframes=0, timebase=Fraction(1, 25), tones=[Tone(codec="libmp3lame", end=6.0)]),
    **{suffix: Clip(picture=False, tones=[Tone(codec=codec, end=6.0)]) for suffix, codec in _SOUND.items()},
}

KINDS = ("cut", "cut", "cut", "zeros", "zeros", "zeros", "header", "header", "index", "index", "middle", "middle")
"""What is done to each format; every one is another draw."""


@dataclass(frozen=True)
class Damaged:
    """A damaged file: its name tells the format and what was done."""

    name: str
    data: bytes


def damaged(folder: Path, formats: Iterable[str] = CLIPS, seed: int = 13) -> Iterator[Damaged]:
    """Yield damaged files, twelve of each format: 96 of all eight."""
    for suffix in formats:
        whole = write(folder / f"whole.{suffix}", CLIPS[suffix]).read_bytes()
        for number, kind in enumerate(KINDS):
            chance = random.Random(f"{seed} {suffix} {number}")
            yield Damaged(f"{kind}{number}.{suffix}", _damage(whole, kind, chance))


def _damage(whole: bytes, kind: str, chance: random.Random) -> bytes:
    size = len(whole)
    if kind == "cut":
        return whole[: chance.randrange(size // 20, size)]
    data = bytearray(whole)
    if kind == "zeros":
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(size)
            length = min(chance.choice((512, 4096, 16_384)), size - at)
            data[at : at + length] = bytes(length)
        return bytes(data)
    first, last = {"header": (0, 1024), "index": (size - 2048, size), "middle": (size // 4, size * 3 // 4)}[kind]
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(first, last)] ^= 1 << chance.randrange(8)
    return bytes(data)
