"""Raise quiet sound to the level at which voice detectors were trained."""

import numpy as np
from numpy.typing import NDArray

_WINDOW = 512
_QUIET, _USUAL = 10 ** (-30 / 20), 10 ** (-26 / 20)
"""Loudest level (RMS of 32 ms, full scale is 1) of sound that is raised, and the level it is raised to."""

_MOST = 100.0
"""Maximum gain, 40 dB: the noise of a sound card stays below -50 dB."""


def lifted(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return quiet sound amplified by one factor, and any other sound as it is.

    Measured with Silero: of the windows of voice found at -20 dB, it finds 96 % at -45 dB and 61 to
    100 % at -65 dB; amplified 99 to 100 %, and none in silence, noise, hum, tones, clicks or a siren.

    Args:
        samples: float32[n], mono, 16 kHz.
    """
    count = len(samples) // _WINDOW
    if not count:
        return samples
    levels = np.sqrt(np.mean(np.square(samples[: count * _WINDOW].reshape(count, _WINDOW)), axis=1))
    # A single click is no reason to leave a voice quiet.
    loudest = float(np.percentile(levels, 99))
    if not 0 < loudest < _QUIET:
        return samples
    return np.asarray(np.clip(samples * np.float32(min(_USUAL / loudest, _MOST)), -1, 1), np.float32)
