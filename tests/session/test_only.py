"""`--tools a,b` limits a session to these analyzers: what the others left in the store is not used either."""

from pathlib import Path

from analyzer_agent import Session
from analyzer_agent.sample import sample_path

QUESTION = "Why does the ferry use another pier today?"


def test_a_session_uses_the_notes_of_its_own_tools_only(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    with Session(sample_path(), store=store, manager="rules", tools=("subtitles",)) as session:
        assert session.ask(QUESTION).citations[0].analyzer == "subtitles"
    with Session(sample_path(), store=store, manager="rules", tools=("scenes",)) as session:
        answer = session.ask(QUESTION)
        read = next(t["function"] for t in session.toolbox.schemas() if t["function"]["name"] == "read_notes")
        assert read["parameters"]["properties"]["kinds"]["description"] == "scene"
    assert answer.finished == "not_found" and answer.citations == ()
    assert {gap.analyzer for gap in answer.not_examined} <= {"scenes"}
    with Session(sample_path(), store=store, manager="rules") as session:
        again = session.ask(QUESTION)
    assert again.citations[0].analyzer == "subtitles" and again.usage.media_ms_analyzed == 0
