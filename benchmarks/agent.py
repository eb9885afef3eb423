"""Measure what a manager's requests cost: tokens, calls, and what a server can reuse: `python -m benchmarks.agent`.

Recorded conversations are played against a server on this machine that, like llama.cpp, remembers
the last prompt and reads of the next one only what follows their common beginning. Tokens are
characters over 4.
"""

import argparse
import json
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

from rich.console import Console
from rich.table import Table

from analyzer_agent import Session
from analyzer_agent.config import Settings
from analyzer_agent.graph import history
from analyzer_agent.llm import open_model
from benchmarks.speed.clips import clip

Api = Literal["chat", "responses"]
Call = tuple[str, Mapping[str, Any]]

_CHARS_PER_TOKEN = 4
_CLIP_S = 60
_ANSWER = {"answer": "It is a slide [#1].", "notes": [1], "confidence": "high", "outcome": "answered", "claim": "some"}


@dataclass(frozen=True)
class Conversation:
    """A conversation: the number of questions, and of rounds of calls before each answer."""

    questions: int
    rounds: int

    def replies(self) -> list[Call]:
        """Return the recorded calls in order: one analysis, then look-ups of changing ranges, then the answer."""
        made: list[Call] = []
        for question in range(self.questions):
            for at in range(self.rounds):
                first = question == at == 0
                ranges = {"ranges": ["0:00-1:00"]} if first else {"range": f"0:{at:02}-0:{at + 20:02}"}
                made.append(("find_scenes" if first else "read_notes", ranges))
            made.append(("finish", _ANSWER))
        return made


CONVERSATIONS = (Conversation(1, 1), Conversation(1, 5), Conversation(1, 20), Conversation(5, 3), Conversation(20, 3))


@dataclass
class PrefixServer:
    """A model server that plays recorded calls and counts how much of each prompt it had read before.

    Attributes:
        replies: the calls, one a request.
        prompts: the prompts so far, as text in the order in which a server reads them.
    """

    replies: Sequence[Call]
    prompts: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def events(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the stream that answers a request."""
        sent = body.get("messages") or body["input"]
        self.prompts.append(json.dumps([body["tools"], sent], ensure_ascii=False)[:-2])
        number = len(self.prompts)
        name, given = self.replies[number - 1]
        tokens = len(self.prompts[-1]) // _CHARS_PER_TOKEN
        arguments = json.dumps(given)
        if "input" in body:
            item = {"type": "function_call", "id": f"f{number}", "call_id": f"call_{number}", "name": name, "arguments": arguments}
            usage = {"input_tokens": tokens, "output_tokens": 0}
            ended = {"status": "completed", "output": [item], "usage": usage}
            return [
                {"type": "response.output_item.done", "output_index": 0, "item": item},
                {"type": "response.completed", "response": ended},
            ]
        call = {"index": 0, "id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        return [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": {"prompt_tokens": tokens, "completion_tokens": 0}},
        ]


class _Handler(BaseHTTPRequestHandler):
    owner: PrefixServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        events = self.owner.events(body)
        data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data.encode())))
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@dataclass(frozen=True)
class Measured:
    """What a conversation cost.

    Attributes:
        calls: the requests.
        tokens: the tokens of all requests.
        fixed: those of the tools and the system prompt in each request.
        hits: the tokens that the server had read before.
        least: the least share of the shorter of two consecutive requests that both begin with.
    """

    calls: int
    tokens: int
    fixed: int
    hits: int
    least: float

    @property
    def hit_rate(self) -> float:
        """The share of all tokens that the server had read before."""
        return self.hits / self.tokens


def measured(prompts: Sequence[str]) -> Measured:
    """Return what a server counts over consecutive prompts."""
    shared = [_shared(one, other) for one, other in pairwise(prompts)]
    least = min((same / min(len(one), len(other)) for same, (one, other) in zip(shared, pairwise(prompts), strict=True)), default=1.0)
    tools, messages = json.loads(f"{prompts[0]}]]")
    fixed = len(json.dumps([tools, messages[0]], ensure_ascii=False)) // _CHARS_PER_TOKEN
    return Measured(len(prompts), sum(map(len, prompts)) // _CHARS_PER_TOKEN, fixed, sum(shared) // _CHARS_PER_TOKEN, least)


def _shared(one: str, other: str) -> int:
    least = min(len(one), len(other))
    return next((at for at in range(least) if one[at] != other[at]), least)


def play(conversation: Conversation, api: Api, video: Path) -> Measured:
    """Play a conversation about a video in a fresh store, and return what it cost.

    Raises:
        RuntimeError: a question was not answered as recorded.
    """
    with tempfile.TemporaryDirectory() as folder, PrefixServer(conversation.replies()) as server:
        settings = Settings(store=Path(folder) / "store.db", tools=("scenes",), max_steps=conversation.rounds + 2, verify="never")
        with Session(video, settings=settings, model=open_model("m", api=api, base_url=server.url)) as session:
            for number in range(conversation.questions):
                answer = session.ask(f"What is shown in part {number + 1}?")
                if answer.finished != "answered":
                    raise RuntimeError(f"question {number + 1} ended as {answer.finished}: {answer.text}")
        return measured(server.prompts)


def main() -> None:
    """Parse the command line, play all conversations and print a table."""
    parser = argparse.ArgumentParser("python -m benchmarks.agent", description="Measure what a manager's requests cost.")
    parser.add_argument("--video", type=Path, metavar="FILE", help="the video (default: one is drawn)")
    parser.add_argument(
        "--kept", type=int, action="append", metavar="TOKENS", help="keep earlier questions up to this length (default: as in the package)"
    )
    chosen = parser.parse_args()
    table = Table(
        "kept up to", "questions", "rounds each", "API", "calls", "tools and rules", "tokens", "hit rate", "read anew", "least prefix"
    )
    with tempfile.TemporaryDirectory() as folder:
        video = chosen.video or clip(Path(folder), _CLIP_S)
        for kept in chosen.kept or [history.MAX_KEPT_TOKENS]:
            history.MAX_KEPT_TOKENS = kept
            for conversation in CONVERSATIONS:
                for api in ("chat", "responses"):
                    cost = play(conversation, api, video)
                    told = [cost.calls, cost.fixed, cost.tokens, f"{cost.hit_rate:.1%}", cost.tokens - cost.hits, f"{cost.least:.1%}"]
                    table.add_row(*map(str, [kept, conversation.questions, conversation.rounds, api, *told]))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
