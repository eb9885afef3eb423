"""Answers from frames alone: which are shown, and where they lie."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.modes.frames import even_instants
from analyzer_agent.prompts import render
from analyzer_agent.testing import FakeVideo
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo
from analyzer_agent.toolbox.schemas import finish_tool
from media_maker import Clip, Tone, number_of, write
from modes_kit import Open, content, says, sent


def shown(parts: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return the labels of frames with the numbers that are drawn on them."""
    assert [part["type"] for part in parts] == ["text", *["text", "image_url"] * (len(parts) // 2)]
    return [(parts[n]["text"], number_of(picture(parts[n + 1]["image_url"]["url"]))) for n in range(1, len(parts), 2)]


def picture(url: str) -> np.ndarray:
    with av.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))), "r") as container:
        return next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24")


class TestFrames:
    """The clip shows frame k from k * 40 ms on, its number drawn on it."""

    def test_the_request_and_the_notes(self, opened: Open) -> None:
        session = opened("frames", says("A ramp [#2]. It moves [#2][#4].", 2, 4, choice="A"), frames=4)
        answer = session.ask("What is shown?", ["a ramp", "a ship"])
        model: Any = session.model
        messages, tools = model.requests[0]
        assert messages[0] == {"role": "system", "content": render("frames")} and tools == [finish_tool()]
        parts = messages[1]["content"]
        assert parts[0] == {"type": "text", "text": render("choices", question="What is shown?", options="A. a ramp\nB. a ship")}
        assert shown(parts) == [("#1 0:00.25", 6), ("#2 0:00.75", 18), ("#3 0:01.25", 31), ("#4 0:01.75", 43)]
        assert (answer.mode, answer.choice, answer.finished) == ("frames", "A", "answered")
        assert answer.text == "A ramp [#1]. It moves [#1][#2]."
        assert [(c.note, c.kind, c.analyzer, c.engine, c.span.start, c.text) for c in answer.citations] == [
            (1, "look", "look", "scripted", 750, "A ramp. It moves."),
            (2, "look", "look", "scripted", 1750, "It moves."),
        ]
        notes = session.store.notes.get([1, 2])
        assert notes[1].observation.detail == {"pts": 720, "question": "What is shown?"}
        (step,) = answer.steps
        assert (step.tool, step.args, step.note_ids) == ("look", {"frames": [0.25, 0.75, 1.25, 1.75]}, (1, 2))
        session.toolbox.reader.only = None
        covered = session.toolbox.covered(session.session_videos[0])["look"]
        assert [span.start for span in covered] == [250, 750, 1250, 1750], "shown and not cited: looked at, and nothing was told of it"

    def test_asked_again_what_says_the_same_stays_the_same_note(self, opened: Open) -> None:
        replies = [says("A ramp [#1]. Red [#2]."), says("A ramp [#1]. Blue [#2]."), says("Nothing.", found=False), says("A ramp [#1].")]
        session = opened("frames", *replies, frames=2)
        assert [c.note for c in session.ask("What?").citations] == [1, 2]
        again = session.ask("What?")
        assert [(c.note, c.text) for c in again.citations] == [(1, "A ramp."), (3, "Blue.")]
        gone = session.ask("What?")
        assert (gone.finished, gone.citations) == ("not_found", ())
        assert sorted(session.store.notes.get([1, 2, 3])) == [1, 3], "what was said stays until something else is said of the frame"
        other = session.ask("Something else?")
        assert [c.text for c in other.citations] == ["A ramp."]

    def test_answers_to_one_question_do_not_hide_those_to_another(self, opened: Open) -> None:
        session = opened("frames", says("Red [#1]."), says("Round [#1]."), frames=2)
        session.ask("What colour?")
        session.ask("What shape?")
        runs = session.toolbox.reader.merged_notes(session.session_videos[0].video.id, TimeRange(0, 2000))
        assert runs == [], "only what --tools names is read by others"
        session.toolbox.reader.only = None
        assert [r.text for r in session.toolbox.reader.merged_notes(session.session_videos[0].video.id, TimeRange(0, 2000))] == [
            "Red.",
            "Round.",
        ]

    def test_marks_that_name_no_frame(self, opened: Open) -> None:
        session = opened("frames", says("Red [#9].", 1), says("Red [#1], round [#9].", 2), frames=2)
        answer = session.ask("What?")
        assert "outside of what may be used: #9." in sent(session, 1)[-1]["content"]
        assert answer.text == "Red [#1], round." and answer.unsupported == ("Red [#1], round [#9].",)
        assert [(c.note, c.span.start, c.text) for c in answer.citations] == [(1, 500, "Red, round."), (2, 1500, "Red, round.")]

    def test_only_the_scope_is_shown_and_long_pictures_are_shrunk(self, opened: Open, tmp_path: Path) -> None:
        wide = write(tmp_path / "wide.mp4", Clip(times=range(0, 2000, 40), size=(640, 320)))
        session = opened("frames", says("A ramp [#1]."), videos=[wide], start_ms=1000, frames=3)
        session.ask("What?")
        parts = content(session)
        assert shown(parts) == [("#1 0:01.125", 28), ("#2 0:01.5", 37), ("#3 0:01.75", 43)]
        assert picture(parts[2]["image_url"]["url"]).shape == (256, 512, 3)

    def test_several_videos(self, opened: Open, clip: Path, tmp_path: Path) -> None:
        other = write(tmp_path / "quay.mp4", Clip(times=range(0, 1000, 40)))
        session = opened("frames", says("A ramp [#2]. Another [#3]."), videos=[clip, other], frames=2)
        answer = session.ask("What?")
        assert [label for label, _ in shown(content(session))] == [
            *("#1 pier.mp4 0:00.5", "#2 pier.mp4 0:01.5", "#3 quay.mp4 0:00.25", "#4 quay.mp4 0:00.75")
        ]
        assert [(c.video, c.span.start) for c in answer.citations] == [("pier.mp4", 1500), ("quay.mp4", 250)]
        assert [s.args["video"] for s in answer.steps] == ["pier.mp4", "quay.mp4"]

    def test_without_a_picture(self, opened: Open, tmp_path: Path) -> None:
        sound = write(tmp_path / "sound.m4a", Clip(times=(), tones=(Tone(),)))
        with pytest.raises(AgentError, match="no picture to show"):
            opened("frames", videos=[sound], tools=("voice",)).ask("What?")


@pytest.mark.parametrize(
    ("duration", "scope", "count", "at"),
    [
        (16_000, None, 4, [2000, 6000, 10_000, 14_000]),
        (10_000, None, 3, [1625, 5000, 8250]),
        (10_000, (5000, 6000), 2, [5250, 5750]),
        (300, None, 16, [0, 125, 250]),
        (10_000, (5010, 5100), 4, []),
    ],
)
def test_frames_lie_evenly_on_the_finest_grid(duration: int, scope: tuple[int, int] | None, count: int, at: list[int]) -> None:
    session_video = SessionVideo("v", FakeVideo(duration), TimeRange(*(scope or (0, duration))))
    assert even_instants(session_video, count) == at


def test_a_picture_that_starts_late_is_shown_from_its_start() -> None:
    assert even_instants(SessionVideo("v", FakeVideo(4000, start=3050), TimeRange(0, 4000)), 99) == [*range(3000, 4000, 125)]
