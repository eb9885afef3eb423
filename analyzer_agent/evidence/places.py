"""Tell where in the picture a finding is, how large, and how sure: of text, objects and tracks."""

from collections.abc import Sequence
from typing import Any, cast

from analyzer_agent.records import Note

DOUBTFUL = {"text": 0.75, "object": 0.5, "track": 0.5}
"""Scores (0 to 1) below which a finding of a kind is marked as doubtful."""

_PLACES_NAMED = 3
_THIRD = 1 / 3


def place_text(note: Note, score: float | None) -> str:
    """Return such as `top left, 4% high, score 0.62, doubtful`; "" for a note without boxes.

    Args:
        note: the first note of those that were merged.
        score: the score of the merged note, 0 to 1.
    """
    lowest = DOUBTFUL.get(note.kind)
    boxes = _boxes(note) if lowest is not None else []
    if not boxes or lowest is None:
        return ""
    first = boxes[0]
    if note.kind == "track":
        where = dict.fromkeys((place_of(first), place_of(boxes[-1])))
        said = [" to ".join(where)]
    else:
        said = [place_of(box) for box in boxes[:_PLACES_NAMED]]
        said += [f"and {len(boxes) - _PLACES_NAMED} more"] if len(boxes) > _PLACES_NAMED else []
    said.append(f"{max(1, round(100 * first[3]))}% high")
    if score is not None:
        said += [f"score {score:.2f}", *(["doubtful"] if score < lowest else [])]
    return ", ".join(said)


def place_of(box: Sequence[float]) -> str:
    """Return where the centre of a box (x, y, width, height as shares of the picture) is: `top left`, `centre` ..."""
    across, down = box[0] + box[2] / 2, box[1] + box[3] / 2
    column = "left" if across < _THIRD else "right" if across > 2 * _THIRD else ""
    row = "top" if down < _THIRD else "bottom" if down > 2 * _THIRD else ""
    return " ".join(filter(None, (row, column))) or "centre"


def _boxes(note: Note) -> list[Sequence[float]]:
    """Return the boxes of a note, each x, y, width and height as shares of the picture; imported notes may have none."""
    detail = note.observation.detail
    rows: Any = [detail["box"]] if note.kind == "text" and "box" in detail else detail.get("boxes", ())
    first = 1 if note.kind == "track" else 0  # the boxes of a track begin with their time
    found = [cast("Sequence[float]", row)[first : first + 4] for row in rows if isinstance(row, list | tuple)]
    return [box for box in found if len(box) == 4 and all(isinstance(at, int | float) for at in box)]
