"""Objects in the picture: how many of which class, and where, on sampled frames.

Yields one observation per class and frame. All classes above a low score are stored; which ones count is decided when
they are read (`select`). Knows neither the detector's library nor how frames are decoded, and follows nothing from
frame to frame: two observations of a person may be the same person.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from analyzer_agent.errors import Unavailable
from analyzer_agent.installing import VISION, install_extra
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.sampling import observe_grains

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STORED_SCORE = 0.1
"""Boxes below this score are not stored."""
COUNTED_SCORE = 0.25
"""Boxes from this score on count, unless the reader chooses another: the default of `min_score`."""

DetectedBox: TypeAlias = tuple[str, float, tuple[float, float, float, float]]
"""A box as an engine finds it: class, score (0 to 1), and `x, y, width, height` in pixels."""


class ObjectDetector(Protocol):
    """What an object engine can do."""

    names: Sequence[str]
    """The classes it knows."""
    batch: int
    """How many pictures it takes best at once."""

    def detect(
        self, images: "Sequence[NDArray[np.uint8]]", floor: float, vocabulary: Sequence[str] = ()
    ) -> Sequence[Sequence[DetectedBox]]:
        """Return, for each BGR picture, the boxes that score at least `floor`; each picture's do not depend on the others.

        With a `vocabulary`, its names are looked for, instead of the classes that the detector knows.

        Raises:
            ToolRefusal: the detector's classes are fixed, or it has none of its own.
        """
        ...


class Objects(Analyzer):
    """Counts and locates objects on sampled frames of a video."""

    version = "1"

    def __init__(self, engine: Engine, vocabulary: Sequence[str] = ()) -> None:
        self.engine = engine.name
        self.vocabulary = tuple(sorted({" ".join(name.lower().split()) for name in vocabulary} - {""}))
        self.params: Mapping[str, JSON] = {"vocabulary": self.vocabulary} if self.vocabulary else {}
        self._engine = engine

    def facts(self) -> Mapping[str, JSON]:
        """Return `{"classes": [...]}`, what is looked for: the vocabulary, or what the loaded weights know; loads them then."""
        if self.vocabulary:
            return {"classes": list(self.vocabulary)}
        detector: ObjectDetector = self._engine.get()
        return {"classes": list(detector.names)}

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with one observation per class and instant, the most certain class first."""
        return observe_grains(video, grains, self._engine.get, self._look, observe)

    def _look(self, detector: ObjectDetector, images: "Sequence[NDArray[np.uint8]]") -> Sequence[Sequence[DetectedBox]]:
        return detector.detect(images, STORED_SCORE, self.vocabulary)


def observe(span: TimeRange, frame: Frame, boxes: Sequence[DetectedBox]) -> list[Observation]:
    """Return what was found on a frame, one observation per class."""
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
    """Return `"2 person"` for the boxes that count, or `"person?"` where none does.

    The mark keeps doubtful finds out of searches for what was found: they are read only by who lowers `min_score`.
    """
    count = sum(row[4] >= min_score for row in rows)
    return f"{count} {name}" if count else f"{name}?"


def select(observation: Observation, classes: Collection[str] = (), min_score: float = COUNTED_SCORE) -> Observation | None:
    """Return the observation as a reader with these filters sees it, or None if nothing is left of it.

    Keeps the boxes of at least `min_score` and counts anew; no `classes` means all of them, upper and lower case alike.
    """
    name = str(observation.detail["class"])
    if classes and name.casefold() not in {wanted.casefold() for wanted in classes}:
        return None
    if "boxes" not in observation.detail:  # brought in from elsewhere, with a count alone
        return observation if observation.score is None or observation.score >= min_score else None
    rows = [row for row in cast("Sequence[Sequence[float]]", observation.detail["boxes"]) if row[4] >= min_score]
    if not rows:
        return None
    detail = {**observation.detail, "boxes": [list(row) for row in rows]}
    return replace(observation, text=label(name, rows, min_score), score=rows[0][4], detail=detail)


def selected(observation: Observation, filters: Mapping[str, Any]) -> Observation | None:
    """Apply the filters of `filters_schema` that are given."""
    return select(observation, filters.get("classes") or (), filters.get("min_score", COUNTED_SCORE))


def make(options: Mapping[str, Any], engine: Engine | None) -> Objects:
    """Return the analyzer.

    Raises:
        Unavailable: no engine was given.
    """
    if engine is None:
        raise Unavailable("Detecting objects needs an engine.", hint=install_extra(VISION))
    return Objects(engine, options["vocabulary"])


SPEC = Spec(
    name="objects",
    tool="detect_objects",
    description=(
        "Detect objects (people, vehicles, animals, furniture, tools ...) on sampled frames. Gives one note per class and sampled frame "
        "with how many there are at that moment, such as '2 person', and where. It does not tell one object from another over "
        "time, so do not add up counts of different frames."
    ),
    grain=8_000,
    step=1_000,
    factory=make,
    kinds=("object",),
    options_schema={
        "vocabulary": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": (
                "Names of what to look for, such as ['red car', 'tripod'], where the detector takes any; by default, and with detectors "
                "of fixed classes, leave it out."
            ),
        }
    },
    filters_schema={
        "classes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Show only these classes, by the names the detector knows; all when absent.",
        },
        "min_score": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": COUNTED_SCORE,
            "description": "Count only boxes with at least this confidence; nothing below 0.1 is kept.",
        },
    },
    resource="gpu",
    needs="picture",
    select=selected,
)
