"""Where a sound track may be cut: quiet points around the edges of grains, and the units between them.

A recognizer hears a word differently when the sound around it changes, so the timeline is cut into units that depend on the
edges alone. Each unit is decoded on its own: both grains beside an edge get the very same words from the unit that spans it.
Knows nothing of words or engines.
"""

from typing import TYPE_CHECKING

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000
"""Samples per second that all sound analyzers ask for."""

CONTEXT = 5_000
"""How far from an edge a quiet point may lie, in ms."""

MARGIN = 1_000
"""How far from an edge a quiet point lies at least, in ms: more than the pause that ends a sentence, so that the words just
before an edge (or their absence) tell whether a sentence goes on."""

_WINDOW, _HOP = 100, 10


def quietest(samples: "NDArray[np.float32]") -> int:
    """Return the middle of the 100 ms with the least energy, in ms from the start; the first on ties.

    Args:
        samples: mono at `RATE`; shorter than a window, its middle is returned.
    """
    import numpy as np

    width, hop = _WINDOW * RATE // 1000, _HOP * RATE // 1000
    if len(samples) <= width:
        return len(samples) * 1000 // RATE // 2
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    starts = np.arange(0, len(samples) - width + 1, hop)
    return int(np.argmin(energy[starts + width] - energy[starts])) * _HOP + _WINDOW // 2


class Seams:
    """The units of one audio track, found edge by edge; an edge is looked at once."""

    def __init__(self, video: Video, track: int) -> None:
        self._video = video
        self._track = track
        self._known: dict[int, TimeRange] = {}

    def around(self, edge: int) -> TimeRange:
        """Return the seam unit: from a quiet point before `edge` to one after it. At the ends of the video it is empty."""
        if not 0 < edge < self._video.duration:
            return TimeRange(edge, edge)
        if edge not in self._known:
            before = TimeRange(max(edge - CONTEXT, 0), max(edge - MARGIN, 0))
            after = TimeRange(min(edge + MARGIN, self._video.duration), min(edge + CONTEXT, self._video.duration))
            self._known[edge] = TimeRange(self._quiet(before, rim=before.start), self._quiet(after, rim=after.end))
        return self._known[edge]

    def between(self, grain: TimeRange) -> TimeRange:
        """Return the main unit of a grain: from the seam at its start to the seam at its end.

        A grain that ends before the video does must be at least 2 x `CONTEXT` long, or its seams would overlap.
        """
        return TimeRange(self.around(grain.start).end, self.around(grain.end).start)

    def _quiet(self, span: TimeRange, rim: int) -> int:
        # The rim of the video is as good a cut as any: nothing lies beyond it.
        if span.length <= _WINDOW or rim in (0, self._video.duration):
            return rim
        return span.start + quietest(self._video.audio(span, RATE, self._track))
