"""Objects: how many of which class, and where, on sampled frames.

Yields one observation per class and frame. All classes above a low score are stored; `select`
applies the reader's threshold. Objects are not followed between frames: two observations of a
person may be the same person (see `tracks`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.sampling import min_score_filter, names_filter, observe_grains, too_small_text

STORED_SCORE = 0.1
"""Boxes below this score (0 to 1) are not stored."""
COUNTED_SCORE = 0.25
"""Default of `min_score`: boxes with at least this score count."""

DetectedBox: TypeAlias = tuple[str, float, tuple[float, float, float, float]]
"""A detected box: class, score (0 to 1), and `x, y, width, height` in pixels."""


class ObjectDetector(Protocol):
    """Interface of an object detection engine."""

    names: Sequence[str]
    """Classes of the weights."""
    batch: int
    """Preferred number of images per call."""

    def detect(self, images: Sequence[NDArray[np.uint8]], floor: float, vocabulary: Sequence[str] = ()) -> Sequence[Sequence[DetectedBox]]:
        """Return the detected boxes of each image.

        Args:
            images: H x W x 3, uint8, BGR. The boxes of one do not depend on the others.
            floor: minimum score, 0 to 1.
            vocabulary: classes to detect in place of those of the weights.

        Raises:
            ToolRefusal: a vocabulary is given, but the weights have fixed classes; or none is
                given, but they have no classes.
        """


class Objects(Analyzer):
    """Count and locate objects on sampled frames of a video."""

    version = "1"

    def __init__(self, engine: Engine, vocabulary: Sequence[str] = ()) -> None:
        self.engine = engine.name
        self.vocabulary = tuple(sorted({" ".join(name.lower().split()) for name in vocabulary} - {""}))
        self.params: Mapping[str, JSON] = {"vocabulary": self.vocabulary} if self.vocabulary else {}
        self._engine = engine

    def facts(self) -> Mapping[str, JSON]:
        """Return `{"classes": [...]}`: the vocabulary, or else the classes of the weights."""
        if self.vocabulary:
            return {"classes": list(self.vocabulary)}
        detector: ObjectDetector = self._engine.get()
        return {"classes": list(detector.names)}

    def limits(self, video: Video) -> str:
        """Return how small objects are not found: a detector shrinks pictures by their longer side."""
        return too_small_text("objects", max(video.size), self._engine.input_side, "not found")

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with one observation per class and instant, best score first."""
        return observe_grains(video, grains, self._engine.get, self._look, observe)

    def _look(self, detector: ObjectDetector, images: Sequence[NDArray[np.uint8]]) -> Sequence[Sequence[DetectedBox]]:
        return detector.detect(images, STORED_SCORE, self.vocabulary)


def observe(span: TimeRange, frame: Frame, boxes: Sequence[DetectedBox]) -> list[Observation]:
    """Return the boxes of a frame as one observation per class."""
    tall, wide = frame.image.shape[:2]
    by_class: dict[str, list[list[float]]] = {}
    for name, score, (x, y, width, height) in boxes:
        shares = (x / wide, y / tall, width / wide, height / tall, score)
        by_class.setdefault(name, []).append([round(float(share), 3) for share in shares])
    found = []
    for name, rows in by_class.items():
        rows.sort(key=lambda row: (-row[4], row[:4]))
        detail: dict[str, JSON] = {"class": name, "boxes": rows, "pts": frame.pts}
        found.append(Observation(span, "object", label(name, rows, COUNTED_SCORE), rows[0][4], detail))
    return sorted(found, key=lambda seen: (-(seen.score or 0.0), seen.text))


def label(name: str, rows: Sequence[Sequence[float]], min_score: float) -> str:
    """Return `"2 person"` if two boxes count, or `"person?"` if none does.

    The question mark keeps weak detections out of text searches for strong ones.
    """
    count = sum(row[4] >= min_score for row in rows)
    return f"{count} {name}" if count else f"{name}?"


def selected(observation: Observation, filters: Mapping[str, Any]) -> Observation | None:
    """Keep the boxes that pass the filters `classes` and `min_score`, and count them again.

    Returns:
        The observation with the remaining boxes, or None if none remains.
    """
    classes, min_score = filters.get("classes") or (), filters.get("min_score", COUNTED_SCORE)
    name = str(observation.detail["class"])
    if classes and name.casefold() not in {wanted.casefold() for wanted in classes}:
        return None
    if "boxes" not in observation.detail:  # imported notes may have only a count
        return observation if observation.score is None or observation.score >= min_score else None
    rows = [row for row in cast("Sequence[Sequence[float]]", observation.detail["boxes"]) if row[4] >= min_score]
    if not rows:
        return None
    detail = {**observation.detail, "boxes": [list(row) for row in rows]}
    return replace(observation, text=label(name, rows, min_score), score=rows[0][4], detail=detail)


SPEC = Spec(
    name="objects",
    tool="detect_objects",
    description=("Detect objects (people, animals, cars ...) on sampled frames: how many of each class, where. Never add up frames."),
    grain=8_000,
    step=1_000,
    factory=lambda options, engine: Objects(engine, options["vocabulary"]),
    needs_engine=True,
    kinds=("object",),
    options_schema={
        "vocabulary": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "names, if the detector takes any",
        }
    },
    filters_schema={
        "classes": names_filter("only these"),
        "min_score": min_score_filter(COUNTED_SCORE, "default 0.25"),
    },
    resource="gpu",
    needs="picture",
    select=selected,
)
