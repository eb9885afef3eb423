"""Resample the pieces of a mono track as one signal."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

_SILENCE_BLOCK = 48_000
"""Samples of silence that are resampled at a time."""


class Resampler:
    """Resamples pieces as one continuous signal from `origin` seconds, with silence in the gaps."""

    def __init__(self, source: int, target: int, origin: int) -> None:
        from av.audio.resampler import AudioResampler

        self._source = source
        self._cursor = origin * source
        self._resampler = AudioResampler(format="flt", layout="mono", rate=target)

    def resampled(self, pieces: "Iterator[tuple[int, NDArray[np.float32]]]") -> "Iterator[NDArray[np.float32]]":
        """Yield the resampled signal in blocks of float32[n]; pieces are (position, samples)."""
        import numpy as np

        for place, piece in pieces:
            while place > self._cursor:
                yield from self._push(np.zeros(min(place - self._cursor, _SILENCE_BLOCK), dtype=np.float32))
            yield from self._push(piece[self._cursor - place :])
        yield from map(_flat, self._resampler.resample(None))

    def _push(self, piece: "NDArray[np.float32]") -> "Iterator[NDArray[np.float32]]":
        import numpy as np
        from av.audio.frame import AudioFrame

        if not len(piece):
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece).reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = self._source
        frame.time_base = Fraction(1, self._source)
        frame.pts = self._cursor
        self._cursor += len(piece)
        yield from map(_flat, self._resampler.resample(frame))


def _flat(frame: "AudioFrame") -> "NDArray[np.float32]":
    import numpy as np

    return frame.to_ndarray().reshape(-1).astype(np.float32, copy=False)
