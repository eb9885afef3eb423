"""Tell day from night with a tiny classifier: a plug-in package with an engine that loads weights.

The weights of a logistic regression over the mean colour are an `.npz` file: `w` (float[3]), `b`.
`python analyzer_agent_daylight.py FILE` writes weights that work on clear pictures. Use them with
`analyzer-agent ask talk.mp4 "..." --weights daylight=FILE`.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analyzer_agent.protocols import Analyzer, Availability, Engine, EngineConfig, EngineSpec, Frame, Grain, Spec, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, sample_end


class Classifier:
    """The loaded engine: estimates the probability of daylight in a frame."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as weights:
            self._w, self._b = weights["w"], float(weights["b"])

    def probability(self, frame: Frame) -> float:
        """Return the probability of daylight, 0 to 1, in an RGB image (H x W x 3, uint8)."""
        colour = frame.image.reshape(-1, 3).mean(axis=0) / 255
        return float(1 / (1 + np.exp(-(colour @ self._w + self._b))))


class Daylight(Analyzer):
    """Classifies each sampled frame."""

    version = "1"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.name
        self.params: Mapping[str, Any] = {}
        self._engine = engine

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with one observation per instant."""
        for grain in grains:
            classifier: Classifier = self._engine.get()  # per grain, since it may have been evicted
            found = []
            for frame in video.frames(grain.span, instants=grain.instants):
                day = classifier.probability(frame)
                end = sample_end(frame.t, grain.step, min(grain.span.end, video.duration))
                text, score = ("day", day) if day >= 0.5 else ("night", 1 - day)
                found.append(Observation(TimeRange(frame.t, end), "daylight", text, round(score, 3), {"pts": frame.pts}))
            yield grain, found


def _find(config: EngineConfig) -> Availability:
    """Check files to tell if the engine can run; the digest becomes part of the cache key."""
    path = config.weights or (config.weights_dir / "daylight" / "daylight.npz" if config.weights_dir else None)
    if path is None or not path.is_file():
        return Availability(missing="no weights of the classifier are here", fix="--weights daylight=FILE.npz")
    return Availability(weights=hashlib.sha256(path.read_bytes()).hexdigest()[:12], size=path.stat().st_size)


def _load(config: EngineConfig) -> Classifier:
    path = config.weights or (config.weights_dir or Path()) / "daylight" / "daylight.npz"
    return Classifier(path)


SPEC = (
    Spec(
        name="daylight",
        tool="tell_daylight",
        description="Tell whether pictures show day or night. Judges brightness only: a lit room at night counts as day.",
        grain=8_000,
        step=1_000,
        factory=lambda _options, engine: Daylight(engine),
        needs_engine=True,
        kinds=("daylight",),
        needs="picture",
    ),
    EngineSpec(name="logistic", tier=0, find=_find, load=_load),
)


if __name__ == "__main__":
    np.savez(sys.argv[1], w=np.array([6.0, 6.0, 6.0]), b=-6.0)
