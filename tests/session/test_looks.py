"""Looking in a session: how a vision model is named, what it is sent, what is cited and told, and that nobody looks unasked."""

import base64
import io
import json
import re
import threading
from pathlib import Path
from typing import Any

import av
import pytest

from analyzer_agent import tools as registry
from analyzer_agent.config import Settings
from analyzer_agent.doctor import analyzers
from analyzer_agent.errors import AgentError, Unavailable
from analyzer_agent.protocols import EngineConfig, Reply
from analyzer_agent.sample import sample_path
from analyzer_agent.session import Session, available_tools
from analyzer_agent.testing import ScriptedModel, call
from analyzer_agent.tools.engines import vision
from analyzer_agent.tools.support.engine_pool import choose_engines
from cli_kit import Cli, talk
from openai_server import OpenAIServer, Turn
from patience import PATIENCE_S


def test_without_a_vision_model_it_says_how_to_name_one(tmp_path: Path) -> None:
    told = "no vision model is named (--vision-model NAME, with OPENAI_API_KEY set or --base-url URL)"
    assert told in choose_engines("look", registry.load("look")[1], EngineConfig()).reason()
    assert told in available_tools(Settings())[1]["look"]
    (finding,) = (finding for finding in analyzers(Settings()) if finding.name == "look: vision")
    assert finding.state == "missing" and finding.fix.startswith("--vision-model NAME")
    with pytest.raises(Unavailable, match="Looking at frames: no vision model is named"):
        vision.LOOKS.load(EngineConfig())


def decoded(part: Any) -> Any:
    with av.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2])), "r") as container:
        return next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24")


def cites_the_look(messages: Any) -> Reply:
    """Answer with the note of kind `look` in the last result; a short clip was surveyed before it."""
    (number,) = map(int, re.findall(r"#(\d+) \S+ look ", messages[-1]["content"]))
    return Reply(calls=(call("finish", answer=f"A ferry [#{number}].", notes=[number], confidence="high", found=True),))


def test_a_session_looks_when_its_manager_asks_and_cites_what_was_seen(tmp_path: Path) -> None:
    model = ScriptedModel(
        Reply(calls=(call("look", question="What is moored?", ranges=[["0:00", "0:10"]], every=2),)),
        cites_the_look,
    )
    with OpenAIServer() as server:
        server.says('{"seen": true, "times": ["0:02"], "answer": "A ferry is moored."}')
        settings = Settings(store=tmp_path / "store.db", vision_model="m", base_url=server.url)
        with Session(sample_path(), settings=settings, model=model) as session:
            answer = session.ask("What is moored?")
            assert session.toolbox.tools["look"].spec.resource == "network"
    (citation,) = answer.citations
    assert (citation.kind, citation.engine, citation.text) == ("look", "vision", "A ferry is moored.")
    assert (citation.span.start, citation.span.end) == (2_000, 4_000)
    prompt, *parts = server.requests[0].body["messages"][0]["content"]
    assert "<question>\nWhat is moored?\n</question>" in prompt["text"]
    assert [part["text"] for part in parts[::2]] == [f"0:{t:02}" for t in range(0, 10, 2)]
    assert all(decoded(part).shape[2] == 3 for part in parts[1::2])


def test_sixteen_requests_run_four_at_a_time(tmp_path: Path) -> None:
    model = ScriptedModel(
        Reply(calls=(call("look", question="What is moored?", ranges=[[n, n + 0.9] for n in range(16)], every=0.45),)),
        Reply(calls=(call("finish", answer="Nothing.", notes=[], confidence="low", outcome="not_found"),)),
    )
    running, most, lock, meeting = 0, 0, threading.Lock(), threading.Barrier(4, timeout=PATIENCE_S)

    def answer(body: Any) -> Turn:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meeting.wait()
        with lock:
            running -= 1
        return Turn(text='{"seen": false, "times": [], "answer": ""}')

    with OpenAIServer() as server:
        server.answer = answer
        settings = Settings(store=tmp_path / "store.db", vision_model="m", base_url=server.url)
        with Session(sample_path(), settings=settings, model=model) as session:
            session.ask("What is moored?")
    assert len(server.requests) == 16 and most == 4
    parts = [part for request in server.requests for part in request.body["messages"][0]["content"][1:]]
    labels = [part["text"] for part in parts if part["type"] == "text"]
    assert 16 <= len(labels) <= 32 and len(labels) == len(parts) / 2, "two frames each; equal ones are sent once"


def test_progress_tells_what_was_asked(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        server.calls(("look", {"question": "What is moored?", "ranges": [["0:00", "0:02"]]}))
        server.says('{"seen": false, "times": [], "answer": ""}')
        server.calls(("finish", {"answer": "It is not shown.", "notes": [], "confidence": "low", "found": False}))
        flags = ["--base-url", server.url, "--model", "m", "--vision-model", "other"]
        told = Cli(tmp_path)("ask", talk(tmp_path / "talk.mp4"), "What is moored?", *flags)
    assert [request.body["model"] for request in server.requests] == ["m", "other", "m"]
    assert 'look "What is moored?" 0:00-0:02 (vision): 0 notes, 2 s new' in told.stderr
    assert "Not examined: look" not in told.stdout


def test_nothing_is_asked_unless_a_manager_does(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        server.answer = lambda body: Turn(text="A harbour.")
        base = Settings(store=tmp_path / "store.db", manager="rules", vision_model="m", base_url=server.url, end_ms=4_000)
        with Session(sample_path(), settings=base, tools=["look", "captions"]) as session:
            list(session.index_stream())
            assert {json.dumps(request.body).count("<question>") for request in server.requests} == {0}
            with pytest.raises(AgentError, match="'look' finds nothing without a question") as caught:
                list(session.index_stream(["look"]))
            assert caught.value.hint
            assert [line.text.partition('"')[2] for line in session.describe().lines] == ['A harbour"']
        sent = len(server.requests)
        with Session(sample_path(), settings=base, tools=["look", "subtitles"]) as session:
            assert session.ask("What can be seen?").steps and len(server.requests) == sent
