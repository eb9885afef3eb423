"""The rules of Chat Completions and Responses, and how a reply looks in each: for the scripted server.

Knows nothing of HTTP.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Made = dict[str, list[dict[str, Any]]]
"""Call id -> all output items of the Responses reply that it was part of."""

_BOTH = {"model", "tools", "tool_choice", "prompt_cache_key", "stream"}
CHAT_KEYS = _BOTH | {"messages", "stream_options", "max_tokens", "max_completion_tokens"}
RESPONSES_KEYS = _BOTH | {"input", "store", "include", "max_output_tokens"}
MESSAGE_KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
PIECE = 7


class Broken(Exception):
    """The request breaks a rule of the API."""


@dataclass
class Turn:
    """A reply, independent of the API. `reasoning[i]` stands before call i (the last ones before the text)."""

    text: str = ""
    calls: Sequence[tuple[str, Any]] = ()
    reasoning: Sequence[str] = ()
    refusal: str = ""
    finish: str = ""
    usage: tuple[int, int] | None = (11, 7)
    details: tuple[int, int] | None = None
    """Tokens in that were cached, and tokens out that were thoughts."""
    pause: float = 0.0
    """Seconds between two pieces of a stream."""
    phase: str | None = None


def _details(turn: Turn, sent: str, written: str) -> dict[str, Any]:
    if turn.details is None:
        return {}
    cached, thoughts = turn.details
    return {f"{sent}_tokens_details": {"cached_tokens": cached}, f"{written}_tokens_details": {"reasoning_tokens": thoughts}}


def sse(event: dict[str, Any]) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def _need(true: Any, problem: str) -> None:
    if not true:
        raise Broken(problem)


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_content(content: Any, text: str, image: str) -> None:
    if isinstance(content, str):
        return
    _need(isinstance(content, list) and content, f"content is {content!r}")
    for part in content:
        _need(part["type"] in (text, image), f"part {part['type']!r}")
        if part["type"] == image:
            url = part["image_url"] if image == "input_image" else part["image_url"]["url"]
            _need(url.startswith("data:image/jpeg;base64,"), "image is no data URL")


def _check_choice(body: dict[str, Any], tools: list[str], key: str | None) -> None:
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        _need(choice.get("type") == "function" and (choice[key] if key else choice).get("name") in tools, f"tool_choice {choice!r}")
    else:
        _need(choice is None or (choice == "required" and bool(tools)), "tool_choice without tools")


def check_chat(body: dict[str, Any]) -> None:
    _need(set(body) <= CHAT_KEYS, f"unknown parameters {set(body) - CHAT_KEYS}")
    _need("stream_options" not in body or body.get("stream"), "stream_options without stream")
    _need(body.get("tools") != [], "tools is empty")
    _check_choice(body, [tool["function"]["name"] for tool in body.get("tools", ())], "function")
    for tool in body.get("tools", ()):
        _need(set(tool) == {"type", "function"} and tool["type"] == "function", f"tool {tool!r}")
    waiting: list[str] = []
    for message in body["messages"]:
        _need(set(message) <= MESSAGE_KEYS[message["role"]], f"unknown keys in {message!r}")
        if message["role"] == "tool":
            _need(message["tool_call_id"] in waiting, f"result of an unknown call {message['tool_call_id']!r}")
            waiting.remove(message["tool_call_id"])
            continue
        _need(not waiting, f"calls without results: {waiting}")
        if message["role"] == "assistant":
            _need(message.get("content") or message.get("tool_calls"), "empty assistant message")
            _need(message.get("tool_calls") != [], "tool_calls is empty")
            for call in message.get("tool_calls", ()):
                _need(set(call) == {"id", "type", "function"} and set(call["function"]) == {"name", "arguments"}, f"call {call!r}")
            waiting = [call["id"] for call in message.get("tool_calls", ())]
        else:
            _check_content(message["content"], "text", "image_url")
    _need(not waiting, f"calls without results: {waiting}")


def check_responses(made: Made, body: dict[str, Any]) -> None:
    _need(set(body) <= RESPONSES_KEYS, f"unknown parameters {set(body) - RESPONSES_KEYS}")
    _need(body.get("store") is False, "store is not false")
    _need(body.get("tools") != [], "tools is empty")
    _check_choice(body, [tool["name"] for tool in body.get("tools", ())], None)
    for tool in body.get("tools", ()):
        _need(set(tool) == {"type", "name", "description", "parameters", "strict"}, f"tool {tool!r}")
        _need(tool["type"] == "function" and tool["strict"] is False, f"tool {tool!r}")
    items = body["input"]
    _check_pairs(items)
    for at, item in enumerate(items):
        kind = item.get("type", "message")
        _need(kind in ("message", "function_call", "function_call_output", "reasoning"), f"item {kind!r}")
        if kind == "message" and item["role"] != "assistant":
            _need(item["role"] in ("system", "user"), f"role {item['role']!r}")
            _check_content(item["content"], "input_text", "input_image")
        if kind == "reasoning":
            _check_reasoning(made, items, at)


def _check_pairs(items: list[dict[str, Any]]) -> None:
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    results = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    _need(len(set(calls)) == len(calls), f"calls twice: {calls}")
    _need(set(results) <= set(calls), f"results of unknown calls: {set(results) - set(calls)}")
    _need(set(calls) <= set(results), f"No tool output found for function call {set(calls) - set(results)}")


def _check_reasoning(made: Made, items: list[dict[str, Any]], at: int) -> None:
    """A reasoning item comes back byte for byte, and what it was made for follows it."""
    rest = items[at:]
    for reply in made.values():
        sent = [json.dumps(item) for item in reply]
        ours = json.dumps(rest[0])
        if ours in sent:
            expected = sent[sent.index(ours) :]
            got = [json.dumps(item) for item in rest[: len(expected)]]
            _need(got == expected, f"reasoning {rest[0]['id']!r} without its required following item")
            return
    raise Broken(f"reasoning {rest[0]!r} is not what was sent")


def to_chat(turn: Turn, number: Callable[[], int]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None, "refusal": turn.refusal or None}
    if turn.reasoning:
        message["reasoning_content"] = "".join(turn.reasoning)
    if turn.calls:
        message["tool_calls"] = [
            {"id": f"call_{number()}", "type": "function", "function": {"name": name, "arguments": _arguments(arguments)}}
            for name, arguments in turn.calls
        ]
    finish = turn.finish or ("tool_calls" if turn.calls else "stop")
    answer: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()), "model": "m"}
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]
    if turn.usage:
        answer["usage"] = {"prompt_tokens": turn.usage[0], "completion_tokens": turn.usage[1], "total_tokens": sum(turn.usage)}
        answer["usage"] |= _details(turn, "prompt", "completion")
    return answer


def _pieces(text: str) -> Iterator[str]:
    yield from (text[at : at + PIECE] for at in range(0, len(text), PIECE))


def chat_events(answer: dict[str, Any], turn: Turn, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pieces of a chat completion; the arguments of several calls come interleaved."""
    message = answer["choices"][0]["message"]

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for key in ("reasoning_content", "content", "refusal"):
        yield from (chunk({key: piece}) for piece in _pieces(message.get(key) or ""))
    waiting = []
    for index, call in enumerate(message.get("tool_calls", ())):
        head = {"index": index, "id": call["id"], "type": "function", "function": {"name": call["function"]["name"], "arguments": ""}}
        yield chunk({"tool_calls": [head]})
        waiting.append((index, list(_pieces(call["function"]["arguments"]))))
    while any(pieces for _, pieces in waiting):
        for index, pieces in waiting:
            if pieces:
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": pieces.pop(0)}}]})
    yield chunk({}, answer["choices"][0]["finish_reason"])
    if body.get("stream_options", {}).get("include_usage") and turn.usage:
        yield {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": answer["usage"]}


def _reasoning(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"rs_{number}",
        "type": "reasoning",
        "summary": [],
        "encrypted_content": f"gAAA{text}ä=={number}",
        "zeta": 1,
        "alpha": None,
    }


def to_response(turn: Turn, number: Callable[[], int], made: Made) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    thoughts = list(turn.reasoning)
    if turn.text or turn.refusal:
        part = {"type": "output_text", "text": turn.text, "annotations": []} if turn.text else {"type": "refusal", "refusal": turn.refusal}
        message = {"id": f"msg_{number()}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        if not turn.calls:
            items += [_reasoning(number(), text) for text in thoughts]
        items.append(message | ({"phase": turn.phase} if turn.phase else {}))
    for name, arguments in turn.calls:
        if thoughts:
            items.append(_reasoning(number(), thoughts.pop(0)))
        n = number()
        call = {"id": f"fc_{n}", "type": "function_call", "call_id": f"call_{n}", "name": name, "status": "completed"}
        items.append(call | {"arguments": _arguments(arguments)})
    for item in items:
        if item["type"] == "function_call":
            made[item["call_id"]] = items
    incomplete = {"content_filter": "content_filter", "length": "max_output_tokens"}.get(turn.finish)
    answer: dict[str, Any] = {"id": "resp_1", "object": "response", "model": "m", "output": items, "error": None}
    answer |= {"status": "incomplete" if incomplete else "completed", "incomplete_details": {"reason": incomplete} if incomplete else None}
    if turn.usage:
        answer["usage"] = {"input_tokens": turn.usage[0], "output_tokens": turn.usage[1], "total_tokens": sum(turn.usage)}
        answer["usage"] |= _details(turn, "input", "output")
    return answer


def response_events(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": answer | {"status": "in_progress", "output": []}}
    for at, item in enumerate(answer["output"]):
        # What is only announced is not complete yet: reading it from here would be a mistake.
        announced = item | ({"encrypted_content": "incomplete"} if item["type"] == "reasoning" else {})
        yield {"type": "response.output_item.added", "output_index": at, "item": announced}
        if item["type"] == "message":
            part = item["content"][0]
            kind, text = ("output_text", part["text"]) if part["type"] == "output_text" else ("refusal", part["refusal"])
            for piece in _pieces(text):
                yield {"type": f"response.{kind}.delta", "output_index": at, "content_index": 0, "item_id": item["id"], "delta": piece}
        if item["type"] == "function_call":
            for piece in _pieces(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", "output_index": at, "item_id": item["id"], "delta": piece}
        yield {"type": "response.output_item.done", "output_index": at, "item": item}
    yield {"type": f"response.{answer['status']}", "response": answer}
