"""Build the messages for a language model, in the format of the Chat Completions API."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer_agent.fencing import fenced
from analyzer_agent.prompts import render
from analyzer_agent.protocols import ChatModel, Reply
from analyzer_agent.questions import option_letter
from analyzer_agent.records import QuestionRecord, ShownPicture


def system_message(model: ChatModel, text: str, record: Callable[[], QuestionRecord]) -> dict[str, Any]:
    """Return the system message; a model that reads records gets the question's `record` with it."""
    message = {"role": "system", "content": text}
    return message | {"record": record()} if getattr(model, "reads_records", False) else message


def question_message(question: str, options: Sequence[str], form: Mapping[str, Any] | None = None) -> str:
    """Return the text of the question, with its options as lettered choices, or with the JSON Schema of its form."""
    if form:
        return render("form", question=question, schema=json.dumps(form, ensure_ascii=False))
    if not options:
        return question
    return render("choices", question=question, options=_options_text(options))


def verification_prompt(question: str, options: Sequence[str], answer: str, choice: str | None, notes: str) -> str:
    """Return the prompt for verification: question, drafted answer and text of the cited notes."""
    offered = f"\n\nOptions:\n{_options_text(options)}" if options else ""
    chosen = f"\n\nChosen option: {choice}" if choice else ""
    return render("drafted", question=f"{question}{offered}", answer=f"{fenced(answer)}{chosen}", notes=notes)


def _options_text(options: Sequence[str]) -> str:
    return "\n".join(f"{option_letter(n)}. {' '.join(text.split())}" for n, text in enumerate(options))


def assistant_message(reply: Reply) -> list[dict[str, Any]]:
    """Return a reply as messages to send back: one, or none if it is empty (servers reject it)."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in reply.calls
        ]
    if reply.state is not None:
        message["state"] = reply.state
    return [message] if reply.text or reply.calls else []


def tool_message(call_id: str, text: str, pictures: Sequence[ShownPicture] = ()) -> dict[str, Any]:
    """Return the message with the result of a tool call: its text, or with pictures a list of parts, the text first."""
    content: Any = [{"type": "text", "text": text}, *(picture.to_part() for picture in pictures)] if pictures else text
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def rejection_messages(call_ids: Sequence[str], complaint: str) -> list[dict[str, Any]]:
    """Return the messages that reject an answer: as results of the model's calls, if any."""
    return [tool_message(call_id, complaint) for call_id in call_ids] or [{"role": "user", "content": complaint}]
