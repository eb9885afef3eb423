"""Where in the picture a finding is, how large and how sure stands before its text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.places import place_of, place_text
from analyzer_agent.evidence.rendering import as_line
from analyzer_agent.records import Note, Observation
from analyzer_agent.timeline import TimeRange


def note(kind: str, score: float | None, **detail: Any) -> Note:
    return Note(7, "v", kind, "k", Observation(TimeRange(0, 2_000), kind, "EXIT", score, detail))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (note("text", 0.98, box=[0.02, 0.05, 0.2, 0.04]), "top left, 4% high, score 0.98"),
        (note("text", 0.6, box=[0.4, 0.45, 0.2, 0.04]), "centre, 4% high, score 0.60, doubtful"),
        (note("object", 0.9, boxes=[[0.7, 0.3, 0.2, 0.4, 0.9], [0, 0.8, 0.1, 0.1, 0.4]]), "right, bottom left, 40% high, score 0.90"),
        (note("object", 0.3, boxes=[[0.4, 0.8, 0.1, 0.1, 0.3]] * 5), "bottom, bottom, bottom, and 2 more, 10% high, score 0.30, doubtful"),
        (note("track", 0.8, boxes=[[0, 0.0, 0.4, 0.1, 0.2], [1_000, 0.9, 0.4, 0.1, 0.2]]), "left to right, 20% high, score 0.80"),
        (note("text", None), ""),
        (note("object", 0.9, boxes=[["?"], 3, [0.1, 0.2]]), ""),
        (note("speech", 0.9, box=[0, 0, 1, 1]), ""),
    ],
)
def test_place_size_and_score_are_told_and_doubtful_findings_are_marked(found: Note, told: str) -> None:
    assert place_text(found, found.observation.score) == told
    line = as_line(MergedNote((found,), found.span, found.text, found.observation.score))
    assert line == f'#7 0:00-0:02 {found.kind}{f" ({told})" if told else ""} "EXIT"'


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_opposite_place_is_called_by_opposite_names(x: float, y: float, wide: float, tall: float) -> None:
    """Property: turning the picture by 180 degrees swaps top and bottom, left and right."""
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top", "centre": "centre"}
    across, down = x + wide / 2, y + tall / 2
    if min(abs(at - third) for at in (across, down) for third in (1 / 3, 2 / 3)) > 1e-6:
        turned = place_of((1 - x - wide, 1 - y - tall, wide, tall))
        assert turned == " ".join(opposite[word] for word in place_of((x, y, wide, tall)).split())
