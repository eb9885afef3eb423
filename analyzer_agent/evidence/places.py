"""Tell where in the picture a finding is, how large, and how sure: of text, objects and tracks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from analyzer_agent.records import Note

if TYPE_CHECKING:
    from analyzer_agent.evidence.merging import MergedNote

DOUBTFUL = {"text": 0.75, "object": 0.5, "track": 0.5}
"""Scores (0 to 1) below which a finding of a kind is marked as doubtful."""

_PLACES_NAMED = 3
_THIRD = 1 / 3


def is_doubtful(run: "MergedNote") -> bool:
    """Return whether a finding is marked as doubtful."""
    lowest = DOUBTFUL.get(run.kind)
    return lowest is not None and run.score is not None and run.score < lowest


def telling(runs: Sequence["MergedNote"]) -> list["MergedNote"]:
    """Return notes without those that say little: doubtful ones of a kind that has sure ones, and voice where its words are known."""
    said = [run for run in runs if run.kind in ("speech", "subtitle")]
    sure = {(run.video, run.kind) for run in runs if not is_doubtful(run)}
    heard = [run for run in runs if run.kind != "voice" or not any(one.video == run.video and one.span.overlaps(run.span) for one in said)]
    return [run for run in heard if not is_doubtful(run) or (run.video, run.kind) not in sure]


def place_text(note: Note, score: float | None) -> str:
    """Return such as `top left, 4% high, score 0.62, doubtful`; "" for a note without boxes.

    Args:
        note: the first note of those that were merged.
        score: the score of the merged note, 0 to 1.
    """
    lowest = DOUBTFUL.get(note.kind)
    boxes = boxes_of(note) if lowest is not None else []
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


def same_place(one: Note, other: Note) -> bool:
    """Return whether the first box of one note covers at least half of the other's, or is covered by it so."""
    if not (boxes := boxes_of(one)[:1]) or not (others := boxes_of(other)[:1]):
        return False
    (x, y, wide, high), (u, v, across, down) = boxes[0], others[0]
    shared = max(0.0, min(x + wide, u + across) - max(x, u)) * max(0.0, min(y + high, v + down) - max(y, v))
    return shared > 0 and shared >= min(wide * high, across * down) / 2


def place_of(box: Sequence[float]) -> str:
    """Return where the centre of a box (x, y, width, height as shares of the picture) is: `top left`, `centre` ..."""
    across, down = box[0] + box[2] / 2, box[1] + box[3] / 2
    column = "left" if across < _THIRD else "right" if across > 2 * _THIRD else ""
    row = "top" if down < _THIRD else "bottom" if down > 2 * _THIRD else ""
    return " ".join(filter(None, (row, column))) or "centre"


def boxes_of(note: Note) -> list[Sequence[float]]:
    """Return the boxes of a note, each x, y, width and height as shares of the picture; imported notes may have none."""
    detail = note.observation.detail
    rows: Any = [detail["box"]] if note.kind == "text" and "box" in detail else detail.get("boxes", ())
    first = 1 if note.kind == "track" else 0  # the boxes of a track begin with their time
    found = [cast("Sequence[float]", row)[first : first + 4] for row in rows if isinstance(row, list | tuple)]
    return [box for box in found if len(box) == 4 and all(isinstance(at, int | float) for at in box)]
