"""Times in a question tell the rules manager where to look; they are not words that a note must hold."""

import json
from typing import Any

import pytest

from analyzer_agent.llm.rules.manager import RulesManager
from analyzer_agent.protocols import Reply
from analyzer_agent.testing import call

BRIEFING = '- "harbour.mp4": 0:00-0:34; 640x360'
TOOLS = [{"function": {"name": name}} for name in ("search_notes", "read_screen_text", "read_subtitles", "transcribe_speech", "finish")]


def step(question: str, *done: tuple[str, str]) -> Reply:
    messages: list[dict[str, Any]] = [{"role": "system", "content": BRIEFING}, {"role": "user", "content": question}]
    for n, (tool, result) in enumerate(done):
        made = call(tool, f"c{n}")
        calls = [{"id": made.id, "type": "function", "function": {"name": made.name, "arguments": made.arguments}}]
        messages += [
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": made.id, "content": result},
        ]
    return RulesManager().complete(messages, TOOLS)


@pytest.mark.parametrize("question", ["Which cafe is shown at 0:24?", "Which cafe is shown between 0:20 and 0:30?"])
def test_times_are_not_searched_for(question: str) -> None:
    (first,) = step(question).calls
    assert (first.name, json.loads(first.arguments)["query"]) == ("search_notes", "cafe")


def test_a_note_need_not_hold_the_time() -> None:
    found = '<notes>\n#31 0:22-0:28 text "CAFE LUNA"\n</notes>'
    (last,) = step("Which cafe is shown at 0:24?", ("read_screen_text", found)).calls
    assert last.name == "finish" and json.loads(last.arguments)["notes"] == [31]
