"""Tell where the sound is quiet, normal or loud: an audio analyzer with an option, as a plug-in.

After `pip install ./examples/loudness`, every session offers the tool `measure_loudness`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from analyzer_agent.protocols import Analyzer, Engine, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange

_RATE = 16_000
_QUIET_DB, _LOUD_DB = -45.0, -20.0


class Loudness(Analyzer):
    """Measures the level of the audio in windows; equal neighbours are joined when read."""

    version = "1"
    engine = "numpy"

    def __init__(self, window: float) -> None:
        self._window = round(window * 1000)
        self.params: Mapping[str, JSON] = {"window": self._window}

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with one observation per window; levels in dB relative to full scale."""
        for grain in grains:
            found = []
            for start in range(grain.span.start, grain.span.end, self._window):
                span = TimeRange(start, min(start + self._window, grain.span.end))
                level = _decibels(video.audio(span, _RATE))
                word = "quiet" if level < _QUIET_DB else "loud" if level > _LOUD_DB else "normal"
                found.append(Observation(span, "loudness", word, detail={"db": round(level, 1), "continues": start > grain.span.start}))
            yield grain, found


def _decibels(samples: "np.ndarray[Any, np.dtype[np.float32]]") -> float:
    power = float(np.mean(samples**2)) if len(samples) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


def _bind(options: Mapping[str, Any], engine: Engine | None) -> Loudness:
    return Loudness(float(options["window"]))


SPEC = Spec(
    name="loudness",
    tool="measure_loudness",
    description="Tell where the sound is quiet, normal or loud. Good for finding silence, applause and shouting; it understands no words.",
    grain=60_000,
    factory=_bind,
    kinds=("loudness",),
    options_schema={
        "window": {"type": "number", "minimum": 0.25, "maximum": 60, "default": 1, "description": "seconds that are measured together"}
    },
    needs="audio",
)
