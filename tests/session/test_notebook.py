"""What a notebook shows of sessions, answers, citations and notes, and the progress of a question there."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from analyzer_agent import AgentError, JoinedNote, Session, TimeRange
from analyzer_agent.notebook import watch
from analyzer_agent.protocols import Reply
from analyzer_agent.records import NoteList
from analyzer_agent.testing import call

Open = Callable[..., Session]
ANSWERED = (
    Reply(calls=(call("read_subtitles", ranges=[["0:00", "0:02"]]),)),
    Reply(calls=(call("finish", answer="Forty pounds [#2].", notes=[2], confidence="high", found=True),)),
)


def test_an_answer_has_a_still_of_each_citation(opened: Open) -> None:
    answer = opened(*ANSWERED).ask("What does a crate cost?")
    page = answer._repr_html_()
    assert page.count("<img ") == len(answer.citations) == 1 and 'alt="pier.mp4 at 0:01"' in page and "data:image/jpeg;base64," in page
    assert len(page) < 40_000
    citation = answer.citations[0]
    assert "<img " in citation._repr_html_() and "#t=1.0,1.8" in citation._repr_html_()
    gone = replace(citation, path="/no/such.mp4")._repr_html_()
    assert "<img " not in gone and "forty pounds" in gone


def test_a_file_that_cannot_be_read_is_told(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    note = JoinedNote(1, "broken.mp4", "text", "text", "ocr", TimeRange(0, 1000), "<b>A & B</b>", path=str(tmp_path / "broken.mp4"))
    page = note._repr_html_()
    assert "no picture: " in page and "<b>" not in page, "text of videos is never markup"


def test_a_session_shows_its_videos_and_what_is_covered(opened: Open, clip: Path) -> None:
    session = opened()
    assert "pier.mp4, 0:02: nothing yet<br><img" in session._repr_html_()
    session.index(["subtitles"])
    assert "subtitles all of it" in session._repr_html_()
    session.close()
    assert "closed" in session._repr_html_()


def test_a_stored_note_has_a_still_while_its_video_is_open(opened: Open, clip: Path, tmp_path: Path) -> None:
    session = opened()
    session.index(["subtitles"])
    stored = session.store.notes.get([2])[2]
    page = stored._repr_html_()
    assert 'alt="pier.mp4 at 0:01"' in page and "data:image/jpeg;base64," in page and "subtitle, subtitles" in page
    other = replace(stored, video="named-0", observation=replace(stored.observation, text="<b>A & B</b>"))._repr_html_()
    assert "<img " not in other and "<b>" not in other and "named-0" in other


def test_notes_as_a_table(opened: Open) -> None:
    session = opened()
    session.index(["subtitles"])
    notes = session.notes()
    assert isinstance(notes, NoteList) and notes == session.notes() and [note.id for note in session.search("crate")] == [2]
    page = notes._repr_html_()
    assert page.count("<tr>") == 3 and "A crate costs forty pounds." in page
    assert "50 more notes" in NoteList(notes[:1] * 250)._repr_html_()


def test_notes_for_pandas(opened: Open) -> None:
    pytest.importorskip("pandas", reason="needs the extra 'notebook'")
    session = opened()
    session.index(["subtitles"])
    frame = session.notes().to_pandas()
    assert list(frame["text"]) == ["Welcome to the harbour.", "A crate costs forty pounds."]
    assert (frame["end"] - frame["start"]).round(1).tolist() == [0.7, 0.8]
    assert list(NoteList().to_pandas().columns) == list(frame.columns), "no notes are a table without rows"


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(AgentError, match="needs pandas") as raised:
        NoteList().to_pandas()
    assert "pandas" in raised.value.hint


class Shown:
    """Stands for IPython: keeps what was shown, and each update of it."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def display(self, page: str, display_id: bool) -> "Shown":
        self.pages.append(page)
        return self

    def update(self, page: str) -> None:
        self.pages.append(page)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    found, module = Shown(), ModuleType("IPython.display")
    vars(module).update(HTML=str, display=found.display)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return found


def test_progress_is_shown_in_place_while_it_comes(opened: Open, shown: Shown) -> None:
    answer = watch(opened(*ANSWERED).stream("What does a crate cost?"))
    assert "Forty pounds" in answer.text
    assert len(shown.pages) > 3 and any("read_subtitles" in page for page in shown.pages[1:-1])


def test_an_error_of_the_question_reaches_the_cell(opened: Open, shown: Shown) -> None:
    with pytest.raises(AgentError, match="empty"):
        watch(opened().stream(" "))


def test_outside_a_notebook_it_says_what_to_use(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    events: Any = opened(*ANSWERED).stream("What does a crate cost?")
    with pytest.raises(AgentError, match="IPython is not here"):
        watch(events)
    events.close()
