"""The Responses API of OpenAI, with messages in Chat format converted to input items.

Requests set `store` to false, so that nothing is stored at the provider: encrypted reasoning
travels with the messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer_agent.llm.openai_client import Endpoint
from analyzer_agent.llm.openai_errors import Failure, failure_of_body, guarded_parse
from analyzer_agent.llm.openai_model import OpenAIModel, read_usage
from analyzer_agent.llm.openai_text import WITHHELD, RequestContext, VisibleText, content_text, is_thought
from analyzer_agent.llm.openai_thoughts import strip_thinking
from analyzer_agent.protocols import Reply
from analyzer_agent.records import TokenUsage, ToolCall

_AT_LIMIT = "max_output_tokens"
_FINAL_EVENTS = ("response.completed", "response.incomplete", "response.failed")


class OpenAIResponses(OpenAIModel):
    """A `ChatModel` behind the Responses API; `Reply.state` is a dict of JSON with the reply's own items."""

    bounds = ("max_output_tokens",)

    def __init__(self, endpoint: Endpoint, max_reply_tokens: int) -> None:
        super().__init__(endpoint, max_reply_tokens)
        self._reasons = True

    def _body(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "input": list(to_items(messages, self.model)), "store": False}
        return body | ({"tools": [flat_tool(tool) for tool in tools]} if tools else {})

    def _named_tool(self, name: str) -> dict[str, Any]:
        return {"type": "function", "name": name}

    def _attempt(self, ask: RequestContext, body: dict[str, Any], messages: Sequence[Mapping[str, Any]]) -> Reply:
        if not self._reasons:
            return self._once(ask, body, messages)
        try:
            return self._once(ask, body | {"include": ["reasoning.encrypted_content"]}, messages)
        except Failure as failure:
            # Models without reasoning reject the parameter.
            if failure.kind != "request" or "encrypted" not in failure.detail.lower():
                raise
        reply = self._once(ask, body, messages)
        self._reasons = False
        return reply

    def _once(self, ask: RequestContext, body: dict[str, Any], messages: Sequence[Mapping[str, Any]]) -> Reply:
        stream = ResponseBuilder(self._visible(body))

        def receive(event: Any) -> None:
            shown = guarded_parse(lambda: stream.add(event))
            ask.hear(content_text(event.get("delta")), shown)

        ask.begin()
        if ask.on_text is None:
            whole = self._endpoint.exchange(ask, "/responses", body, None)
        else:
            whole = self._endpoint.exchange(ask, "/responses", body | {"stream": True}, receive)
        response = guarded_parse(stream.response) if whole is None else whole
        reply, text = guarded_parse(lambda: to_reply(response, self.model)), self._visible(body)
        text.feed(_raw(response["output"]))
        reply = self._settled(reply, text, [chat_tool(tool) for tool in body.get("tools") or ()], messages)
        reply = self._cut_off(reply) if _incomplete_reason(response) == _AT_LIMIT else reply
        ask.emit_rest(reply.text)
        return reply


def flat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a tool from Chat format to a function tool of the Responses API."""
    function = tool["function"]
    return {
        "type": "function",
        "name": function["name"],
        "description": function.get("description", ""),
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
        "strict": False,
    }


def chat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a function tool of the Responses API back to Chat format."""
    return {"type": "function", "function": {name: value for name, value in tool.items() if name not in ("type", "strict")}}


def to_items(messages: Sequence[Mapping[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    """Convert messages to input items; a reply with a valid state is replaced by its own items."""
    for message in messages:
        role = message["role"]
        if role == "tool":
            yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": _content(message.get("content"))}
        elif role != "assistant":
            yield {"role": role, "content": _content(message.get("content"))}
        elif (kept := _own_items(message, model)) is not None:
            yield from kept
        else:
            if message.get("content"):
                yield {"role": "assistant", "content": content_text(message["content"])}
            for call in message.get("tool_calls") or ():
                function = call["function"]
                yield {"type": "function_call", "call_id": call["id"], "name": function["name"], "arguments": function["arguments"]}


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content or ""
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "image_url":
        image = part["image_url"]
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}
    return {"type": "input_text", "text": part["text"]}


def _own_items(message: Mapping[str, Any], model: str) -> list[dict[str, Any]] | None:
    """Return the original items of a reply, None if the model or the message has changed."""
    state = message.get("state")
    if not isinstance(state, Mapping) or state.get("api") != "responses" or state.get("model") != model:
        return None
    items = [dict(item) for item in state["items"]]
    ours = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
    theirs = [(call.id, call.name, call.arguments) for call in _calls(items)]
    same = ours == theirs and (message.get("content") or "") == _text(items)
    return items if same else None


def _calls(items: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    found = [item for item in items if item.get("type") == "function_call"]
    return [ToolCall(str(item["call_id"]), str(item["name"]), item.get("arguments") or "{}") for item in found]


def _text(items: Sequence[Mapping[str, Any]]) -> str:
    return strip_thinking(_raw(items))


def _raw(items: Sequence[Mapping[str, Any]]) -> str:
    said = ["".join(_part_text(part) for part in item.get("content") or ()) for item in items if item.get("type") == "message"]
    return "\n\n".join(text for text in said if text)


def _part_text(part: Mapping[str, Any]) -> str:
    return "" if is_thought(part) else str(part.get("text") or part.get("refusal") or "")


class ResponseBuilder:
    """Builds a response from the events of a stream."""

    def __init__(self, text: VisibleText) -> None:
        self._text = text
        self._items: dict[int, dict[str, Any]] = {}
        self._end: dict[str, Any] | None = None
        self._speaking: Any = None
        self._spoken = False

    def add(self, event: Any) -> str:
        """Add an event of the stream; return its visible text.

        Raises:
            Failure: it is an error, or not an event.
        """
        if not isinstance(event, dict) or "type" not in event:
            raise Failure("malformed", f"{str(event)[:200]!r}")
        kind = event["type"]
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            return self._heard(event.get("output_index"), str(event.get("delta") or ""))
        if kind == "response.output_item.done":
            self._items[int(event.get("output_index", len(self._items)))] = event["item"]
        elif kind in _FINAL_EVENTS:
            self._end = event["response"]
        elif kind == "error":
            raise failure_of_body(event.get("error") or event)
        return ""

    def _heard(self, item: Any, delta: str) -> str:
        gap = "\n\n" if self._spoken and item != self._speaking else ""
        self._speaking = item
        text = self._text.feed(delta)
        self._spoken = self._spoken or bool(text)
        return gap + text

    def response(self) -> dict[str, Any]:
        """Return the response of the final event.

        Raises:
            Failure: the stream ended without one.
        """
        if self._end is None:
            raise Failure("broken", "the stream ended in the middle")
        # Only finished items have the full encrypted content; some proxies send an empty final
        # `output`.
        items = [self._items[at] for at in sorted(self._items)]
        return self._end | ({"output": items} if items else {})


def to_reply(response: Any, model: str) -> Reply:
    """Convert a response to a reply.

    Raises:
        Failure: the response is an error, empty or malformed.
    """
    if not isinstance(response, dict):
        raise Failure("malformed", f"{str(response)[:200]!r}")
    if response.get("error"):
        raise failure_of_body(response["error"])
    items = response.get("output")
    if not isinstance(items, list):
        raise Failure("malformed", f"no output in {str(response)[:200]!r}")
    text, calls = _text(items), tuple(_calls(items))
    if not text.strip() and not calls and _incomplete_reason(response) != _AT_LIMIT:
        text = _excuse(response)
    state = {"api": "responses", "model": model, "items": items} if calls else None
    return Reply(text, calls, _usage(response.get("usage")), state)


def _incomplete_reason(response: Mapping[str, Any]) -> str:
    return str((response.get("incomplete_details") or {}).get("reason") or "")


def _excuse(response: Mapping[str, Any]) -> str:
    if _incomplete_reason(response) == "content_filter":
        return WITHHELD
    raise Failure("empty", f"status {response['status']}" if response.get("status") not in (None, "completed") else "")


def _usage(usage: Any) -> TokenUsage:
    if not isinstance(usage, Mapping):
        return TokenUsage()
    return read_usage(usage, "input", "output")
