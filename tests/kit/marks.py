"""Marks in sound: each quarter of a second has a chord that no other has, so that samples tell where they belong."""

import numpy as np
from numpy.typing import NDArray

SLOT_MS = 250
_LOW, _HIGH = tuple(400 + 90 * n for n in range(8)), tuple(1500 + 150 * n for n in range(8))
_QUIET = 0.02
"""Amplitude of each of its two tones below which there is no mark; it is twelve times as loud."""


def marks(at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the sound at times in seconds, below 16: an amplitude of at most 1."""
    slot = (at * 1000 // SLOT_MS).astype(int)
    low, high = np.asarray(_LOW)[slot % 8], np.asarray(_HIGH)[slot // 8]
    sound: NDArray[np.float32] = ((np.sin(2 * np.pi * low * at) + np.sin(2 * np.pi * high * at)) / 2).astype(np.float32)
    return sound


def mark_in(samples: NDArray[np.float32], rate: int = 16_000) -> int | None:
    """Return the number of the slot that samples belong to; None for silence, noise and half a mark."""
    at = np.arange(len(samples)) / rate
    window = np.hanning(len(samples))
    waves = np.exp(-2j * np.pi * np.outer((*_LOW, *_HIGH), at))
    levels = np.abs(waves @ (samples * window)) * 2 / max(1e-9, window.sum())
    low, high = int(np.argmax(levels[:8])), int(np.argmax(levels[8:]))
    others = np.delete(levels, [low, 8 + high]).max()
    found = min(levels[low], levels[8 + high])
    return high * 8 + low if found > max(_QUIET, 3 * others) else None
