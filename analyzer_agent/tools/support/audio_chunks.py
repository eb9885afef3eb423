"""Where a sound track is cut into blocks: at quiet points a little before the multiples of ten minutes.

A recognizer hears a word differently when the sound around it changes, so what it hears together must not depend on what is asked.
Blocks depend on the track alone. Knows nothing of words, engines or grains.
"""

from typing import TYPE_CHECKING

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second that all sound analyzers ask for."""

CHUNK_MS = 600_000
"""Length of a block, in ms. The last window of a block is seldom full: of continuous speech ten minutes make 1 % more windows than
cutting nowhere, five minutes 5 %. A question about any part of a block searches all of it for voices, at some 400 x real time."""

SEARCH_MS, MARGIN_MS = 5_000, 1_000
"""How far before its edge a block begins at most and at least, in ms. The margin is more than the pause that ends a sentence, so that
the words just before an edge (or their absence) are known from the block that begins there."""

CONTEXT_MS = CHUNK_MS + SEARCH_MS + MARGIN_MS
"""How far around a grain the blocks that it touches may reach, in ms."""

_ENERGY_WINDOW_MS, _ENERGY_HOP_MS = 100, 10


def quietest_point(samples: "NDArray[np.float32]") -> int:
    """Return the middle of the 100 ms with the least energy, in ms from the start; the first on ties.

    Args:
        samples: mono at `SAMPLE_RATE`; shorter than a window, its middle is returned.
    """
    import numpy as np

    width, hop = _ENERGY_WINDOW_MS * SAMPLE_RATE // 1000, _ENERGY_HOP_MS * SAMPLE_RATE // 1000
    if len(samples) <= width:
        return len(samples) * 1000 // SAMPLE_RATE // 2
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    starts = np.arange(0, len(samples) - width + 1, hop)
    return int(np.argmin(energy[starts + width] - energy[starts])) * _ENERGY_HOP_MS + _ENERGY_WINDOW_MS // 2


class AudioChunks:
    """The blocks of one audio track; where one begins is looked for once."""

    def __init__(self, video: Video, track: int) -> None:
        self._video = video
        self._track = track
        self._known: dict[int, int] = {}

    def touching(self, span: TimeRange) -> list[TimeRange]:
        """Return the blocks that overlap `span`, in time order."""
        # A block begins up to `SEARCH_MS` before its edge.
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
