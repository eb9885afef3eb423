"""One model call that ends with `finish`; an answer that fails the checks is sent back once."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import Emit, Thinking, Warned
from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.messages import assistant_message, question_message, rejection_messages, system_message
from analyzer_agent.prompts import render
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import NO_CALLS, QuestionRecord, ShownNote, Usage
from analyzer_agent.toolbox import Toolbox
from analyzer_agent.toolbox.answer_check import CheckedAnswer, Outcome, check_and_return, citing_repeats
from analyzer_agent.toolbox.finish_call import parse_finish_call
from analyzer_agent.toolbox.schemas import finish_tool
from analyzer_agent.toolbox.session_video import video_records

_MAX_CALLS = 2


@dataclass(frozen=True)
class QuestionContext:
    """A question with its toolbox, model and limits; None means no limit."""

    question: str
    options: Sequence[str]
    toolbox: Toolbox
    model: ChatModel
    cancel: threading.Event
    analyzer_ms: int | None = None
    tokens: int | None = None
    usd: float | None = None

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the user has interrupted."""
        if self.cancel.is_set():
            raise Cancelled


def ask_and_check(
    context: QuestionContext,
    system: str,
    content: str | Sequence[Mapping[str, Any]],
    emit: Emit,
    evidence: Mapping[int, MergedNote | None] | None,
    shown: Sequence[ShownNote] = (),
) -> Outcome:
    """Return the model's checked answer.

    Args:
        context: the question.
        system: the system prompt.
        content: the message with the question and all evidence.
        emit: receives the events.
        evidence: the citable items by number, with their notes if known; None if no citation is
            required.
        shown: the notes in `content`.
    """

    def record() -> QuestionRecord:
        return QuestionRecord(context.question, tuple(context.options), video_records(context.toolbox), described=tuple(shown))

    first = system_message(context.model, system, record)
    messages: list[Mapping[str, Any]] = [first, {"role": "user", "content": content}]
    used = NO_CALLS
    for number in range(1, _MAX_CALLS + 1):
        emit(Thinking(number, _MAX_CALLS))
        reply = context.model.complete(messages, [finish_tool()], None, None, context.cancel)
        for notice in reply.notices:
            emit(Warned(notice))
        used += reply.usage
        draft = parse_finish_call(reply.calls, reply.text, context.options)
        known = [number for number, run in (evidence or {}).items() if run is not None]
        draft, _ = citing_repeats(context.toolbox, draft, known)
        spent = context.tokens is not None and used.tokens >= context.tokens
        spent = spent or (context.usd is not None and (used.cost_usd is None or 2 * used.cost_usd > context.usd))
        prompt = "finish_again" if evidence is None else "cite_shown"
        quotable = [*context.options, context.question]
        checked = check_and_return(draft, evidence, prompt=prompt, may_return=number < _MAX_CALLS and not spent, options=quotable)
        if isinstance(checked, CheckedAnswer):
            if reply.prompt_cut and not checked.cited:
                checked = replace(checked, stopped="prompt_cut")
            return Outcome(context.question, checked, usage=Usage.of_calls(used))
        complaint = render(checked.prompt, why=checked.problem)
        messages += [*assistant_message(reply), *rejection_messages([call.id for call in reply.calls], complaint)]
    raise AssertionError("the last answer is never rejected")


@dataclass(frozen=True)
class Blind:
    """Answers from the question and its options."""

    def answer(self, context: QuestionContext, emit: Emit) -> Outcome:
        """Ask the model; no analyzer runs and no video is read."""
        return ask_and_check(context, render("blind"), question_message(context.question, context.options), emit, None)
