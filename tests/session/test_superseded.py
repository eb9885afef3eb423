"""Files beside a video that change, go and come back: what is shown is what lies there now."""

from pathlib import Path

import pytest

from analyzer_agent import Session
from analyzer_agent.config import Settings
from media_maker import write


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write(tmp_path / "talk.mp4")


def subtitled(video: Path, text: str | None) -> Path:
    beside = video.with_suffix(".srt")
    if text is None:
        beside.unlink()
    else:
        beside.write_text(f"1\n00:00:00,200 --> 00:00:01,500\n{text}\n", encoding="utf-8")
    return video


def session_of(video: Path) -> Session:
    return Session(video, settings=Settings(store=video.with_suffix(".db"), manager="rules"), tools=("subtitles",))


def shown(video: Path, *, index: bool = True) -> list[str]:
    with session_of(video) as session:
        if index:
            session.index()
        found = [note.text for note in session.notes()]
        for word in ("nine", "ten"):
            assert bool(session.search(f"ferry {word}")) == bool(found)
        assert [note.text for note in session.search("ferry")] == found
        return found


def test_the_version_that_lies_there_now_is_shown(talk: Path) -> None:
    assert shown(subtitled(talk, "The ferry leaves at nine")) == ["The ferry leaves at nine"]
    assert shown(subtitled(talk, "The ferry leaves at ten (wrong)")) == ["The ferry leaves at ten (wrong)"]
    assert shown(subtitled(talk, "The ferry leaves at nine")) == ["The ferry leaves at nine"]
    assert shown(talk, index=False) == ["The ferry leaves at nine"]


def test_a_version_that_was_taken_away_is_not_shown_and_comes_back_for_nothing(talk: Path) -> None:
    shown(subtitled(talk, "The ferry leaves at nine"))
    assert shown(subtitled(talk, None), index=False) == []
    with session_of(subtitled(talk, "The ferry leaves at nine")) as session:
        (result,) = session.index()
        assert (result.analyzed_ms, result.found) == (0, 1)


def test_answers_cite_the_version_that_lies_there(talk: Path) -> None:
    for text in ("The ferry leaves at nine", "The ferry leaves at ten", "The ferry leaves at nine"):
        with session_of(subtitled(talk, text)) as session:
            assert [citation.text for citation in session.ask("When does the ferry leave?").citations] == [text]


def test_a_flaw_in_one_file_hides_no_cue_of_another(talk: Path) -> None:
    times = ["00:00.000 --> 00:00.200", "00:0x", "00:01.500 --> 00:01.900"]
    cues = "\n\n".join(f"{time} --> 00:00.300\nflawed" if "x" in time else f"{time}\nwhole" for time in times)
    talk.with_suffix(".vtt").write_text(f"WEBVTT\n\n{cues}\n")
    talk.with_suffix(".de.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nbetween\n")
    with session_of(talk) as session:
        (result,) = session.index()
        assert [note.text for note in session.notes()] == ["whole", "between", "whole"]
        assert [(u.span.start, u.span.end, u.reason) for u in result.not_examined] == [(200, 1_500, "unreadable_cue")]
