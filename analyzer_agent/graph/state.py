"""What is checkpointed of a question, and how it becomes what the question ended with.

Knows nothing of how a question proceeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from analyzer_agent.records import ToolResult, Unexamined
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox.answer_check import CheckedAnswer, Outcome


@dataclass(frozen=True)
class Limits:
    """What one question may cost; None means no limit."""

    steps: int = 12
    analyzer_ms: int | None = None
    tokens: int | None = None


class State(TypedDict, total=False):
    """What is checkpointed: plain JSON-able data only. `earlier` and `shown` last as long as the session.

    `spent` is why the model was told to finish now, empty as long as it was not. `sent_back` counts answers that broke the rules and went
    back, `doubted` is the verdict that went back because its evidence was judged not to suffice.
    """

    question: str
    options: list[str]
    messages: list[dict[str, Any]]
    step: int
    spent: str
    calls: list[dict[str, Any]]
    results: list[dict[str, Any]]
    sent_back: int
    doubted: dict[str, Any]
    llm_calls: int
    input_tokens: int
    output_tokens: int
    analyzer_ms: int
    verdict: dict[str, Any]
    earlier: list[Mapping[str, Any]]
    shown: list[int]
    turn: int


def outcome_of(state: State) -> Outcome:
    """Return what the question of a finished state ended with."""
    verdict = {name: value for name, value in state["verdict"].items() if name != "spent"}
    return Outcome(
        question=state["question"],
        verdict=CheckedAnswer(**verdict),
        steps=results_of(state),
        spent=str(state["verdict"]["spent"]),
        llm_calls=state["llm_calls"],
        input_tokens=state["input_tokens"],
        output_tokens=state["output_tokens"],
        analyzer_ms=state["analyzer_ms"],
    )


def results_of(state: State) -> list[ToolResult]:
    """Return the results of the calls that the question has made so far."""
    return [_result(row) for row in state.get("results", [])]


def _result(row: Mapping[str, Any]) -> ToolResult:
    span = TimeRange(**row["span"]) if row["span"] else None
    left = tuple(Unexamined(**{**u, "span": TimeRange(**u["span"])}) for u in row["not_examined"])
    fields = {**row, "span": span, "not_examined": left, "note_ids": tuple(row["note_ids"])}
    if "refused" in fields:  # checkpoints of version 0.1 have a flag in place of the reason
        fields["refusal"] = str(row["text"]).removeprefix("Refused: ") if fields.pop("refused") else None
    return ToolResult(**fields)


def last_text(state: State) -> str:
    """Return the text of the model's last reply."""
    last = state["messages"][-1]
    return str(last["content"] or "") if last["role"] == "assistant" else ""
