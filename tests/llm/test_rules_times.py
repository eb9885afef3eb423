"""Times in a question tell the rules manager where to look; they are not words that a note must hold."""

import json

import pytest

from analyzer_agent.llm.rules.manager import RulesManager
from analyzer_agent.protocols import Reply
from analyzer_agent.records import QuestionRecord, ShownNote, ToolResult, VideoRecord
from analyzer_agent.timeline import TimeRange

VIDEO = VideoRecord("harbour", "harbour.mp4", TimeRange(0, 34_000))
TOOLS = [{"function": {"name": name}} for name in ("search_notes", "read_screen_text", "read_subtitles", "transcribe_speech", "finish")]


def step(question: str, *done: ToolResult) -> Reply:
    record = QuestionRecord(question, videos=(VIDEO,), results=done)
    return RulesManager().complete([{"role": "system", "content": "-", "record": record}], TOOLS)


@pytest.mark.parametrize("question", ["Which cafe is shown at 0:24?", "Which cafe is shown between 0:20 and 0:30?"])
def test_times_are_not_searched_for(question: str) -> None:
    (first,) = step(question).calls
    assert (first.name, json.loads(first.arguments)["query"]) == ("search_notes", "cafe")


def test_a_note_need_not_hold_the_time() -> None:
    sign = ShownNote(31, "harbour", TimeRange(22_000, 28_000), "text", "CAFE LUNA")
    found = ToolResult("c0", "one note", (31,), tool="read_screen_text", found=1, shown=(sign,))
    (last,) = step("Which cafe is shown at 0:24?", found).calls
    assert last.name == "finish" and json.loads(last.arguments)["notes"] == [31]
