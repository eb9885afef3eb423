"""Split an audio track into blocks, at quiet points just before multiples of ten minutes.

A recognizer transcribes a word differently if its context changes, so the context must not depend
on the requested range. Blocks depend only on the track.
"""

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange

SAMPLE_RATE = 16_000
"""Sample rate of all audio analyzers, in Hz."""

CHUNK_MS = 600_000
"""Length of a block, in ms.

The last window of a block is seldom full: in continuous speech, blocks of ten minutes cost 1 % more
windows than no blocks, those of five minutes 5 %. Any request runs voice detection over all of a
block, at about 400 x real time.
"""

SEARCH_MS, MARGIN_MS = 5_000, 1_000
"""A block starts at most and at least this many ms before its multiple of ten minutes.

The minimum exceeds the pause that ends a sentence, so the words just before the multiple are known
from the block that starts there.
"""

CONTEXT_MS = CHUNK_MS + SEARCH_MS + MARGIN_MS
"""How far the blocks that overlap a grain can extend beyond it, in ms."""

_ENERGY_WINDOW_MS, _ENERGY_HOP_MS = 100, 10


def quietest_point(samples: NDArray[np.float32]) -> int:
    """Return the middle of the 100 ms with the least energy, in ms; the first one on ties.

    Args:
        samples: float32[n], mono at `SAMPLE_RATE`; if shorter than 100 ms, its middle is returned.
    """
    width, hop = _ENERGY_WINDOW_MS * SAMPLE_RATE // 1000, _ENERGY_HOP_MS * SAMPLE_RATE // 1000
    if len(samples) <= width:
        return len(samples) * 1000 // SAMPLE_RATE // 2
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    starts = np.arange(0, len(samples) - width + 1, hop)
    return int(np.argmin(energy[starts + width] - energy[starts])) * _ENERGY_HOP_MS + _ENERGY_WINDOW_MS // 2


class AudioChunks:
    """The blocks of one audio track; each start is computed once."""

    def __init__(self, video: Video, track: int) -> None:
        self._video = video
        self._track = track
        self._known: dict[int, int] = {}

    def touching(self, span: TimeRange) -> list[TimeRange]:
        """Return the blocks that overlap `span`, in time order."""
        # A block starts up to SEARCH_MS before its multiple of ten minutes.
        numbers = range(span.start // CHUNK_MS, (span.end + SEARCH_MS) // CHUNK_MS + 1)
        blocks = [TimeRange(self._start(number), self._start(number + 1)) for number in numbers]
        return [block for block in blocks if block.overlaps(span)]

    def _start(self, number: int) -> int:
        edge = number * CHUNK_MS
        if not 0 < edge < self._video.duration:
            return min(edge, self._video.duration)
        if number not in self._known:
            before = TimeRange(edge - SEARCH_MS, edge - MARGIN_MS)
            self._known[number] = before.start + quietest_point(self._video.audio(before, SAMPLE_RATE, self._track))
        return self._known[number]
