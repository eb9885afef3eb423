"""Clips for the measurements, drawn and encoded here on first use. Nothing is downloaded.

The needle benchmark draws them: landscapes, towns and rooms with cuts, camera motion and moving
things.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from benchmarks.made import encode, made_once
from benchmarks.needles.scenes import frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 25
_SIZE = (1280, 720)
_DRAWN_S = 60
"""Seconds that are drawn and encoded; longer clips repeat their packets."""
_LIGHT, _HEAVY = (2, {"crf": "23"}), (6, {"b": "4M"})
"""Standard deviation of the camera noise, in levels of 256, and the encoder's rate control."""


def clip(folder: Path, seconds: int, key_every: int = 2 * RATE, heavy: bool = False) -> Path:
    """Return an H.264 clip of 720p, created on first use.

    Args:
        folder: where it is stored.
        seconds: duration.
        key_every: key frame interval, in frames.
        heavy: 4 Mbit/s, most of it noise, in place of about 0.1 Mbit/s (x264's crf 23).
    """
    look, shortest = f"key{key_every}{'-4M' * heavy}", min(seconds, _DRAWN_S)

    def make(path: Path) -> None:
        drawn = folder / f"drawn-{_SIZE[1]}p-{shortest}s-{look}.mp4"
        _repeat(made_once(drawn, lambda path: _draw(path, shortest, key_every, heavy)), path, seconds)

    return made_once(folder / f"{_SIZE[1]}p-{seconds}s-{look}.mp4", make)


def pictures(count: int, size: tuple[int, int]) -> "Iterator[NDArray[np.uint8]]":
    """Yield drawn pictures (H x W x 3, uint8, RGB), with a new drawing every 12 seconds."""
    for part in range(-(-count // (12 * RATE))):
        for picture in islice(frames(f"speed {part}", 12 * RATE), min(12 * RATE, count - part * 12 * RATE)):
            yield np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _draw(path: Path, seconds: int, key_every: int, heavy: bool) -> None:
    strength, kept = _HEAVY if heavy else _LIGHT
    noise = [np.random.default_rng(n).normal(0, strength, (_SIZE[1], _SIZE[0], 3)).astype(np.int8) for n in range(8)]
    # Without camera noise, pictures would be skipped blocks, unusually fast to decode.
    noisy = (cv2.add(picture, noise[n * 5 % len(noise)], dtype=cv2.CV_8U) for n, picture in enumerate(pictures(seconds * RATE, _SIZE)))
    # Closed GOPs, so that packets can be repeated; B-frames by the encoder's defaults.
    fixed = {"g": str(key_every), "keyint_min": str(key_every), "sc_threshold": "0", "flags": "+cgop"}
    encode(path, (np.asarray(picture, np.uint8) for picture in noisy), _SIZE, RATE, **kept, **fixed)


def _repeat(drawn: Path, path: Path, seconds: int) -> None:
    with av.open(str(drawn)) as source, av.open(str(path), "w", format="mp4") as file:
        old = source.streams.video[0]
        new = file.add_stream_from_template(old)
        packets = [packet for packet in source.demux(old) if packet.size]
        kept = [(bytes(packet), packet.pts, packet.dts, packet.duration, packet.is_keyframe) for packet in packets]
        length = sum(duration or 0 for *_, duration, _ in kept)
        base = old.time_base
        for turn in range(-(-seconds // _DRAWN_S)):
            for data, pts, dts, duration, key in kept:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.duration, packet.is_keyframe = new, base or Fraction(1), duration or 0, key
                packet.pts, packet.dts = (pts or 0) + turn * length, (dts or 0) + turn * length
                file.mux(packet)
