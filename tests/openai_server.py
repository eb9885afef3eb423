"""A scripted model server on this machine that speaks Chat Completions and Responses, and is strict about both.

    with OpenAIServer() as server:
        server.says("Forty.")                                   # the next reply, in whatever API and mode it is asked for
        server.calls(("find_scenes", {"ranges": [[0, 5]]}), reasoning=["hm"])
        server.fails(429, "slow down", headers={"Retry-After": "0.1"})
        model = open_model("m", base_url=server.url)
        ...
        server.requests[-1].body

A request that breaks the API's rules, or comes when the script is over, gets status 400 and is remembered: `close` (the end of the
`with`) raises AssertionError then, and also when replies are left over.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CHAT_KEYS = {"model", "messages", "tools", "stream", "stream_options"}
RESPONSES_KEYS = {"model", "input", "tools", "stream", "store", "include"}
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
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Turn:
    """A reply, independent of the API. `reasoning[i]` stands before call i (the last ones before the text)."""

    text: str = ""
    calls: Sequence[tuple[str, Any]] = ()
    reasoning: Sequence[str] = ()
    refusal: str = ""
    finish: str = ""
    usage: tuple[int, int] | None = (11, 7)
    pause: float = 0.0
    """Seconds between two pieces of a stream."""
    phase: str | None = None


@dataclass
class Raw:
    """An HTTP answer as it stands. `body` may be pieces; a number among them is a pause in seconds, None breaks the connection."""

    status: int
    body: Sequence[bytes | float | None]
    headers: dict[str, str] = field(default_factory=dict)


class OpenAIServer:
    def __init__(self, *, models: Sequence[str] = ("m", "other"), key: str | None = None, knows_stream_options: bool = True) -> None:
        self.models = models
        self.key = key
        self.knows_stream_options = knows_stream_options
        self.script: list[Turn | Raw] = []
        self.requests: list[Request] = []
        self.broken: list[str] = []
        self.made: dict[str, list[dict[str, Any]]] = {}
        """Call id -> all output items of the Responses reply that it was part of."""
        self.hangups = 0
        """How many connections the client closed before the answer was complete."""
        self._count = 0
        self._lock = threading.Lock()
        self._released = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.close(check=kind is None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self, check: bool = True) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if check:
            assert not self.broken, self.broken
            assert not self.script, f"replies that nobody asked for: {self.script}"

    def says(self, text: str, **more: Any) -> None:
        self.script.append(Turn(text=text, **more))

    def calls(self, *calls: tuple[str, Any], **more: Any) -> None:
        self.script.append(Turn(calls=calls, **more))

    def fails(self, status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.sends({"error": {"message": message, "type": "error", "param": None, "code": code}}, status=status, headers=headers)

    def sends(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send a body (bytes, or JSON) as it stands."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.script.append(Raw(status, [data], {"Content-Type": "application/json"} | (headers or {})))

    def streams(self, *events: dict[str, Any] | float | None, done: bool = True) -> None:
        """Send server-sent events as they stand; a number is a pause in seconds, None breaks the connection."""
        pieces: list[bytes | float | None] = [_sse(event) if isinstance(event, dict) else event for event in events]
        self.script.append(Raw(200, [*pieces, *([b"data: [DONE]\n\n"] if done else [])], {"Content-Type": "text/event-stream"}))

    def hangs(self) -> None:
        """Accept the request and send nothing until the server closes."""
        self.script.append(Raw(200, [3600.0]))

    def number(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def pause(self, seconds: float) -> None:
        self._released.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: OpenAIServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.owner.hangups += 1

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._json(404, {"error": {"message": "not found"}})
        self._json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.owner.models]})

    def do_POST(self) -> None:
        owner = self.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner.requests.append(Request(self.path, dict(self.headers.items()), body))
        check: dict[str, Callable[[OpenAIServer, dict[str, Any]], None]] = {
            "/v1/chat/completions": check_chat,
            "/v1/responses": check_responses,
        }
        if self.path not in check:
            return self._json(404, {"error": {"message": f"no route {self.path}"}})
        if owner.key is not None and self.headers.get("Authorization") != f"Bearer {owner.key}":
            message = f"Incorrect API key provided: {self.headers.get('Authorization')}"
            return self._json(401, {"error": {"message": message, "code": "invalid_api_key"}})
        if body.get("model") not in owner.models:
            return self._json(404, {"error": {"message": f"model {body.get('model')!r} not found", "code": "model_not_found"}})
        if "stream_options" in body and not owner.knows_stream_options:
            return self._json(400, {"error": {"message": "extra fields not permitted"}})
        try:
            check[self.path](owner, body)
            if not owner.script:
                raise Broken(f"the script is over; the last message is {(body.get('messages') or body.get('input'))[-1]!r}")
        except Broken as error:
            owner.broken.append(str(error))
            return self._json(400, {"error": {"message": f"broken request: {error}"}})
        self._play(owner.script.pop(0), body)

    def _play(self, step: Turn | Raw, body: dict[str, Any]) -> None:
        if isinstance(step, Raw):
            return self._send(step.status, step.headers, step.body)
        chat = "messages" in body
        answer = to_chat(step, self.owner.number) if chat else to_response(step, self.owner)
        if not body.get("stream"):
            return self._json(200, answer)
        events = chat_events(answer, step, body) if chat else response_events(answer)
        pieces: list[bytes | float | None] = []
        for event in events:
            pieces += [_sse(event), step.pause] if step.pause else [_sse(event)]
        self._send(200, {"Content-Type": "text/event-stream"}, [*pieces, *([b"data: [DONE]\n\n"] if chat else [])])

    def _json(self, status: int, body: Any) -> None:
        self._send(status, {"Content-Type": "application/json"}, [json.dumps(body).encode()])

    def _send(self, status: int, headers: dict[str, str], pieces: Sequence[bytes | float | None]) -> None:
        if pieces and isinstance(pieces[0], float):
            self.owner.pause(pieces[0])
        self.send_response(status)
        for name, value in (headers | {"Transfer-Encoding": "chunked"}).items():
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            if piece is None:
                self.close_connection = True
                return
            if isinstance(piece, float):
                self.owner.pause(piece)
            else:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def _sse(event: dict[str, Any]) -> bytes:
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
            _need(url.startswith("data:image/png;base64,"), "image is no data URL")


def check_chat(owner: OpenAIServer, body: dict[str, Any]) -> None:
    _need(set(body) <= CHAT_KEYS, f"unknown parameters {set(body) - CHAT_KEYS}")
    _need("stream_options" not in body or body.get("stream"), "stream_options without stream")
    _need(body.get("tools") != [], "tools is empty")
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
            for call in message.get("tool_calls", ()):
                _need(set(call) == {"id", "type", "function"} and set(call["function"]) == {"name", "arguments"}, f"call {call!r}")
            waiting = [call["id"] for call in message.get("tool_calls", ())]
        else:
            _check_content(message["content"], "text", "image_url")
    _need(not waiting, f"calls without results: {waiting}")


def check_responses(owner: OpenAIServer, body: dict[str, Any]) -> None:
    _need(set(body) <= RESPONSES_KEYS, f"unknown parameters {set(body) - RESPONSES_KEYS}")
    _need(body.get("store") is False, "store is not false")
    _need(body.get("tools") != [], "tools is empty")
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
            _check_reasoning(owner, items, at)


def _check_pairs(items: list[dict[str, Any]]) -> None:
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    results = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    _need(len(set(calls)) == len(calls), f"calls twice: {calls}")
    _need(set(results) <= set(calls), f"results of unknown calls: {set(results) - set(calls)}")
    _need(set(calls) <= set(results), f"No tool output found for function call {set(calls) - set(results)}")


def _check_reasoning(owner: OpenAIServer, items: list[dict[str, Any]], at: int) -> None:
    """A reasoning item comes back byte for byte, and what it was made for follows it."""
    rest = items[at:]
    for made in owner.made.values():
        sent = [json.dumps(item) for item in made]
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


def to_response(turn: Turn, owner: OpenAIServer) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    thoughts = list(turn.reasoning)
    if turn.text or turn.refusal:
        part = {"type": "output_text", "text": turn.text, "annotations": []} if turn.text else {"type": "refusal", "refusal": turn.refusal}
        message = {"id": f"msg_{owner.number()}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        if not turn.calls:
            items += [_reasoning(owner.number(), text) for text in thoughts]
        items.append(message | ({"phase": turn.phase} if turn.phase else {}))
    for name, arguments in turn.calls:
        if thoughts:
            items.append(_reasoning(owner.number(), thoughts.pop(0)))
        number = owner.number()
        call = {"id": f"fc_{number}", "type": "function_call", "call_id": f"call_{number}", "name": name, "status": "completed"}
        items.append(call | {"arguments": _arguments(arguments)})
    for item in items:
        if item["type"] == "function_call":
            owner.made[item["call_id"]] = items
    incomplete = {"content_filter": "content_filter", "length": "max_output_tokens"}.get(turn.finish)
    answer: dict[str, Any] = {"id": "resp_1", "object": "response", "model": "m", "output": items, "error": None}
    answer |= {"status": "incomplete" if incomplete else "completed", "incomplete_details": {"reason": incomplete} if incomplete else None}
    if turn.usage:
        answer["usage"] = {"input_tokens": turn.usage[0], "output_tokens": turn.usage[1], "total_tokens": sum(turn.usage)}
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
