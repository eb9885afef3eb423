"""What is checkpointed of a question, and how it becomes messages, results and a verdict.

Knows nothing of how a question proceeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from analyzer_agent.prompts import render
from analyzer_agent.protocols import Reply
from analyzer_agent.records import ToolResult, Unexamined
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox.finishing import Verdict

HISTORY_TURNS = 8
"""How many earlier questions and answers the model is shown; older ones come back through the notes."""

NO_ANSWER = "There is no answer: the model ended without giving one."


@dataclass(frozen=True)
class Limits:
    """What one question may cost; None means no limit."""

    steps: int = 12
    analyzer_ms: int | None = None
    tokens: int | None = None


class State(TypedDict, total=False):
    """What is checkpointed: plain JSON-able data only. `history` and `shown` last as long as the session.

    `spent` is why the model was told to finish now, empty as long as it was not.
    """

    question: str
    options: list[str]
    messages: list[dict[str, Any]]
    step: int
    spent: str
    calls: list[dict[str, Any]]
    results: list[dict[str, Any]]
    sent_back: int
    llm_calls: int
    input_tokens: int
    output_tokens: int
    analyzer_ms: int
    verdict: dict[str, Any]
    history: list[dict[str, str]]
    shown: list[int]
    turn: int


def results_of(state: State) -> list[ToolResult]:
    """Return the tool results of a state as records."""
    return [_result(r) for r in state.get("results", [])]


def _result(row: Mapping[str, Any]) -> ToolResult:
    span = TimeRange(**row["span"]) if row["span"] else None
    left = tuple(Unexamined(**{**u, "span": TimeRange(**u["span"])}) for u in row["not_examined"])
    return ToolResult(**{**row, "span": span, "not_examined": left, "note_ids": tuple(row["note_ids"])})


def verdict_of(state: State) -> Verdict:
    """Return the checked answer of a finished state."""
    return Verdict(**{k: v for k, v in state["verdict"].items() if k != "spent"})


def posed(question: str, options: Sequence[str]) -> str:
    """Return the question as the model is asked it."""
    if not options:
        return question
    lettered = (f"{chr(65 + n)}. {' '.join(text.split())}" for n, text in enumerate(options))
    return render("choices", question=question, options="\n".join(lettered))


def said(reply: Reply) -> list[dict[str, Any]]:
    """Return a reply as the message that goes back to the model; an empty one is left out, since servers refuse it."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in reply.calls
        ]
    if reply.state is not None:
        message["state"] = reply.state
    return [message] if reply.text or reply.calls else []


def last_text(state: State) -> str:
    """Return the text of the model's last reply."""
    last = state["messages"][-1]
    return str(last["content"] or "") if last["role"] == "assistant" else ""


def history(state: State) -> list[dict[str, Any]]:
    """Return the earlier questions and answers of the session as messages; what tools gave for them is left out."""
    turns = state.get("history", [])
    return [m for t in turns for m in ({"role": "user", "content": t["question"]}, {"role": "assistant", "content": t["answer"]})]


def tool_message(call_id: str, text: str) -> dict[str, Any]:
    """Return what a tool call gave as a message."""
    return {"role": "tool", "tool_call_id": call_id, "content": text}
