"""Corrections: a person's word stands above the engine's, is searched and cited as theirs, and outlives new analyses."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.protocols import Reply
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, call
from analyzer_agent.timeline import TimeRange
from cli_kit import Cli
from session_kit import pier, says, sessions_on

WRONG, RIGHT = "A crate costs forty pounds.", "A crate costs fourteen pounds."
Open = Callable[..., Session]


@pytest.fixture
def open_(tmp_path: Path) -> Iterator[Open]:
    with sessions_on(pier(tmp_path), tmp_path / "s.db") as opened:
        yield opened


def texts(session: Session) -> list[str]:
    return [note.text for note in session.notes()]


def test_a_correction_is_shown_searched_and_cited_as_a_persons(open_: Open) -> None:
    seen: list[str] = []

    def answers(messages: Any) -> Reply:
        seen.append(str(messages[-1]["content"]))
        return says(f"It costs fourteen [#{by}].", by)

    session = open_(Reply(calls=(call("read_notes", range="0:00-0:02"),)), answers, verify="never")
    session.index(["subtitles"])
    by = session.correct_note(2, RIGHT)
    assert texts(session) == ["Welcome to the harbour.", RIGHT]
    assert [(note.id, note.engine) for note in session.search("fourteen")] == [(by, "person")] and not session.search("forty")
    answer = session.ask("What does a crate cost?")
    (cited,) = answer.citations
    assert (cited.note, cited.text, cited.engine, cited.kind) == (by, RIGHT, "person", "subtitle")
    assert f'#{by} 0:01-0:01.8 subtitle (corrected by a person) "{RIGHT}"' in seen[0] and WRONG not in seen[0]
    assert session.store.notes.get([2])[2].text == WRONG, "what the engine said is not lost"


def test_it_stays_when_the_range_is_analyzed_again(open_: Open) -> None:
    session = open_(verify="never")
    session.index(["subtitles"])
    session.correct_note(2, RIGHT)
    session.toolbox.force = True
    session.index(["subtitles"])
    assert texts(session) == ["Welcome to the harbour.", RIGHT]


def test_results_of_the_analyzer_tell_it(open_: Open) -> None:
    session = open_(verify="never")
    session.index(["subtitles"])
    by = session.correct_note(2, RIGHT)
    told = session.call("read_subtitles", {"ranges": "0:00-0:02"})
    assert f"#{by}" in told.text and RIGHT in told.text and WRONG not in told.text and not told.analyzed_ms


def test_a_correction_is_replaced_and_taken_back(open_: Open) -> None:
    session = open_(verify="never")
    session.index(["subtitles"])
    first = session.correct_note(2, RIGHT)
    second = session.correct_note(first, "A crate costs forty-one pounds.")
    assert texts(session)[1] == "A crate costs forty-one pounds."
    assert session.forget_note(second) == RIGHT and texts(session)[1] == RIGHT
    assert session.forget_note(first) == WRONG and texts(session)[1] == WRONG


def test_what_is_forgotten_is_not_shown(open_: Open) -> None:
    session = open_(verify="never")
    session.index(["subtitles"])
    assert session.forget_note(2) is None
    assert texts(session) == ["Welcome to the harbour."] and not session.search("crate")
    with pytest.raises(AgentError, match="Note 2 is hidden already"):
        session.forget_note(2)
    assert session.correct_note(2, WRONG) == 2 and texts(session)[1] == WRONG, "its own text brings it back"


def test_a_note_that_was_replaced_is_not_changed_beneath_its_correction(open_: Open) -> None:
    session = open_(verify="never")
    session.index(["subtitles"])
    by = session.correct_note(2, RIGHT)
    for change in (lambda: session.forget_note(2), lambda: session.correct_note(2, "Another."), lambda: session.correct_note(2, WRONG)):
        with pytest.raises(AgentError, match=f"Note {by} stands in the place of note 2"):
            change()
    assert texts(session)[1] == RIGHT


def test_other_texts_at_the_same_time_stay(open_: Open) -> None:
    signs = ((TimeRange(0, 900), "CAFE LUMA"), (TimeRange(0, 900), "OPEN"), (TimeRange(1200, 1900), "CAFE LUMA"))
    session = open_(analyzer=FakeAnalyzer(signs), grain=2_000, verify="never")
    session.call("find_fake", {"ranges": "0:00-0:02"})
    session.correct_note(1, "CAFE LUNA")
    runs = session.toolbox.reader.merged_notes(session.session_videos[0].video.id, TimeRange(0, 2000))
    assert [run.text for run in runs] == ["OPEN", "CAFE LUNA", "CAFE LUMA"]


@pytest.mark.parametrize("text", ["", "  ", WRONG])
def test_what_changes_nothing_is_told(open_: Open, text: str) -> None:
    session = open_(verify="never")
    session.index(["subtitles"])
    with pytest.raises(AgentError, match=r"empty|says that already"):
        session.correct_note(2, text)
    with pytest.raises(AgentError, match="There is no note 99"):
        session.correct_note(99, RIGHT)
    with pytest.raises(AgentError, match="There is no note 99"):
        session.forget_note(99)


def test_shots_are_not_corrected(tmp_path: Path) -> None:
    with Session(pier(tmp_path), store=tmp_path / "s.db", manager="rules") as session:
        session.index(["scenes"])
        with pytest.raises(AgentError, match="'scene' are not corrected"):
            session.correct_note(1, "the harbour")
        with pytest.raises(AgentError, match="'scene' are not forgotten"):
            session.forget_note(1)


def test_on_the_command_line_and_in_chat(tmp_path: Path, cli: Cli) -> None:
    store, video = ["--store", tmp_path / "s.db"], pier(tmp_path)
    assert "There are no notes yet" in cli("correct", 1, "x", code=1).stderr
    cli("index", video, "--with", "subtitles", *store)
    told = cli("correct", 2, RIGHT, *store).stdout
    assert told == "Note 3 stands in the place of note 2. To take it back: analyzer-agent forget 3\n"
    assert RIGHT in cli("notes", video, "--format", "srt", *store).stdout
    cli("cache", "clear", "--analyzer", "subtitles", "--yes", *store)
    cli("index", video, "--with", "subtitles", *store)
    assert RIGHT in cli("notes", video, *store).stdout and WRONG not in cli("notes", video, *store).stdout
    assert f'"{WRONG}" is shown again' in cli("forget", 3, *store).stdout
    shown = cli("chat", video, *store, stdin="/notes\n/fix x\n/fix 99 y\n/fix #4 Welcome, all.\n/notes\n").stdout
    assert "Give the number of a note" in shown and "There is no note 99" in shown and '"Welcome, all."' in shown
