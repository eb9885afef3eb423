"""Tell whether the picture is dark, dim or bright: a complete analyzer as a plug-in package.

After `pip install ./examples/brightness`, every session offers the tool `measure_brightness`. An
analyzer only yields observations for the given grains; caching, resuming, joining and citing are
left to analyzer-agent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer_agent.protocols import Analyzer, Engine, Grain, Spec, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, sample_end

_STEPS = ((0.25, "dark"), (0.55, "dim"), (1.01, "bright"))


class Brightness(Analyzer):
    """Classifies the brightness of each sampled frame; equal neighbours are joined when read."""

    version = "1"
    engine = "numpy"

    def __init__(self) -> None:
        self.params: Mapping[str, Any] = {}

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with one observation per instant."""
        for grain in grains:
            found = []
            for frame in video.frames(grain.span, instants=grain.instants):
                light = float(frame.image.mean()) / 255
                word = next(word for limit, word in _STEPS if light < limit)
                end = sample_end(frame.t, grain.step, min(grain.span.end, video.duration))
                found.append(Observation(TimeRange(frame.t, end), "light", word, round(light, 3), {"pts": frame.pts}))
            yield grain, found


def _bind(options: Mapping[str, Any], engine: Engine | None) -> Brightness:
    return Brightness()


SPEC = Spec(
    name="brightness",
    tool="measure_brightness",
    description="Tell when the picture is dark, dim or bright.",
    grain=8_000,
    step=1_000,
    factory=_bind,
    kinds=("light",),
    needs="picture",
)
