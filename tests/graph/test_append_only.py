"""Requests are append-only: each begins with the one before, on both APIs, so that servers read a prompt only once."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.graph import history
from analyzer_agent.llm import open_model
from analyzer_agent.session import Session
from cli_kit import talk
from openai_server import OpenAIServer, Turn

ROUNDS = 20
SHARED = 0.97


def text_of(body: dict[str, Any]) -> str:
    """Return a request as the text that servers cache by its beginning: tools, then messages."""
    return json.dumps([body["tools"], body.get("messages") or body["input"]], ensure_ascii=False)


def shared(one: str, other: str) -> float:
    """Return the length of the common beginning, as a share of the shorter text."""
    least = min(len(one), len(other))
    same = next((at for at in range(least) if one[at] != other[at]), least)
    return same / least


class Manager:
    """Reads the subtitles, searches, and answers; now and then it breaks a rule first."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, body: dict[str, Any]) -> Turn:
        sent = body.get("messages") or body["input"]
        last = sent[-1]
        if last.get("role") == "user":
            self.asked += 1
            return Turn(calls=[("read_subtitles", {"ranges": [["0:00", "0:02"]]})])
        told = str(last.get("content") or last.get("output"))
        if "not accepted" not in told and self.asked % 5 == 0:
            return Turn(calls=[("finish", {"answer": "Forty.", "notes": [], "confidence": "high", "outcome": "answered"})])
        if told.startswith("read_subtitles"):
            return Turn(calls=[("search_notes", {"query": f"crate {self.asked}"})])
        return Turn(calls=[("finish", {"answer": "Forty [#2].", "notes": [2], "confidence": "high", "outcome": "answered"})])


def played(tmp_path: Path, api: Any, rounds: int = ROUNDS, **settings: Any) -> list[str]:
    """Return all requests of a conversation."""
    video = talk(tmp_path / "talk.mp4")
    with OpenAIServer() as server:
        server.answer = Manager()
        chosen = Settings(store=tmp_path / "s.db", tools=("subtitles",), **settings)
        with Session(video, settings=chosen, model=open_model("m", api=api, base_url=server.url)) as session:
            for number in range(rounds):
                answer = session.ask(f"How much is crate {number}?", ["thirty", "forty"] if number % 3 == 2 else [])
                assert answer.finished == "answered", answer
        return [text_of(request.body) for request in server.requests]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_each_request_begins_with_the_one_before(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_KEPT_TOKENS", 100_000)
    requests = played(tmp_path, api)
    shares = [shared(one, other) for one, other in pairwise(requests)]
    assert len(requests) >= 3 * ROUNDS and min(shares) >= SHARED, shares


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_old_rounds_are_dropped_in_one_event(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_KEPT_TOKENS", 3_000)
    requests = played(tmp_path, api)
    shares = [shared(one, other) for one, other in pairwise(requests)]
    events = [share for share in shares if share < SHARED]
    assert 1 <= len(events) <= ROUNDS // 5 and max(map(len, requests)) < 4 * (3_000 + 4_000)


def test_tools_and_rules_are_the_same_bytes_when_a_session_is_resumed(tmp_path: Path) -> None:
    first, again = played(tmp_path, "chat", 1), played(tmp_path, "chat", 1)
    assert shared(first[0], again[0]) > 0.9
    assert json.loads(first[0])[0] == json.loads(again[0])[0] and json.loads(first[0])[1][0] == json.loads(again[0])[1][0]
