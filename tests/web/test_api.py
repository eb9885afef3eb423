"""The HTTP API with a real server: ask, read events, come back, stop, go on, several clients at once."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from patience import PATIENCE_S
from session_kit import SUBTITLES, Held, pier, says
from web_kit import served

pytest.importorskip("starlette", reason="needs the extra page")

QUESTION = {"question": "What does a crate cost?", "videos": ["pier.mp4"]}


def messages(client: httpx.Client, job: str, *, most: int = 1000, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    """Read so many server-sent events: (id or "end", data)."""
    found: list[tuple[str, dict[str, Any]]] = []
    with client.stream("GET", f"/api/jobs/{job}/events", **more) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            kind, _, value = line.partition(": ")
            if kind == "id" or kind == "event":
                name = value
            elif kind == "data" and name != "state":
                found.append((name, json.loads(value)))
            if len(found) == most or (name == "end" and found and found[-1][0] == "end"):
                return found
    return found


def test_a_question_is_asked_followed_and_gone_on_with(tmp_path: Path) -> None:
    pier(tmp_path)
    with served(tmp_path, SUBTITLES, says("Forty [#2].", 2), says("Pounds [#2].", 2)) as server, server.client() as client:
        begun = client.post("/api/ask", json=QUESTION)
        assert begun.status_code == 202 and begun.headers["location"] == f"/api/jobs/{begun.json()['id']}"
        told = messages(client, begun.json()["id"])
        assert told[-1][0] == "end" and told[-1][1]["answer"]["answer"].startswith("Forty")
        assert [int(number) for number, _ in told[:-1]] == list(range(len(told) - 1))
        assert {"ToolStarted", "ToolFinished", "Answered"} <= {data["event"] for _, data in told[:-1]}
        session = begun.json()["session"]
        second = client.post("/api/ask", json={"question": "In what?", "session": session}).json()
        assert messages(client, second["id"])[-1][1]["answer"]["answer"].startswith("Pounds")
        (kept,) = client.get("/api/sessions").json()["sessions"]
        assert [kept[name] for name in ("session", "first_question", "questions", "videos")] == [
            session,
            QUESTION["question"],
            2,
            ["pier.mp4"],
        ]
        page = client.get("/api/page", params={"session": session}).json()
        assert page["videos_of"] == ["pier.mp4"] and len(page["sessions"][0]["turns"]) == 2
        assert page["sessions"][0]["turns"][0]["answer"]["citations"][0]["video"] == page["videos"][0]["id"]


def test_a_client_comes_back_in_the_middle_and_another_reads_beside_it(tmp_path: Path) -> None:
    pier(tmp_path)
    held = Held(says("Forty [#2].", 2))
    with served(tmp_path, SUBTITLES, held) as server, server.client() as client, server.client() as other:
        job = client.post("/api/ask", json=QUESTION).json()["id"]
        assert held.asked.wait(PATIENCE_S)
        first = messages(client, job, most=2)
        running = client.get("/api/jobs").json()["jobs"]
        assert [one["id"] for one in running] == [job] and running[0]["state"] == "running"
        assert running[0]["usage"]["media_seconds_analyzed"] == 2
        held.go.set()
        rest = messages(client, job, headers={"Last-Event-ID": first[-1][0]})
        whole = messages(other, job)
        assert [number for number, _ in first + rest] == [number for number, _ in whole]
        assert messages(other, job, params={"start": "3"})[0][0] == "3"


def test_two_clients_ask_at_once_and_one_is_stopped(tmp_path: Path) -> None:
    pier(tmp_path)
    one, two = Held(SUBTITLES), Held(SUBTITLES)
    with served(tmp_path, one, two, says("Forty [#2].", 2)) as server, server.client() as client, server.client() as other:
        first = client.post("/api/ask", json=QUESTION).json()
        assert one.asked.wait(PATIENCE_S)
        second = other.post("/api/ask", json=QUESTION).json()
        assert two.asked.wait(PATIENCE_S)
        busy = other.post("/api/ask", json=QUESTION | {"session": first["session"]})
        assert busy.status_code == 429 and "another question" in busy.json()["error"] and busy.headers["retry-after"]
        assert client.post(f"/api/jobs/{first['id']}/cancel").status_code == 202
        one.go.set()
        assert messages(client, first["id"])[-1][1]["state"] == "stopped"
        two.go.set()
        assert messages(other, second["id"])[-1][1]["state"] == "answered"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("no json", 400, "not JSON"),
        ("[]", 400, "not a JSON object"),
        ("{}", 400, "'question'"),
        ('{"question": 3}', 400, "'question'"),
        ('{"question": "What?"}', 400, "at least one video"),
        ('{"question": "What?", "videos": "pier.mp4"}', 400, "'videos'"),
        ('{"question": "What?", "videos": ["pier.mp4"], "effort": "huge"}', 400, "huge"),
        ('{"question": "What?", "session": "nobody"}', 404, "nobody"),
        ('{"question": "What?", "videos": ["\\ud800.mp4"]}', 404, "no file"),
    ],
)
def test_wrong_requests_are_told(tmp_path: Path, body: str, status: int, told: str) -> None:
    pier(tmp_path)
    with served(tmp_path) as server, server.client() as client:
        answer = client.post("/api/ask", content=body)
        assert answer.status_code == status and told in answer.json()["error"]


def test_wrong_addresses_are_told(tmp_path: Path) -> None:
    pier(tmp_path)
    with served(tmp_path) as server, server.client() as client:
        gone = {"/api/jobs/x": "no job", "/api/jobs/x/events": "no job", "/api/nothing": "Not Found", "/api/page?session=x": "no session"}
        for path, told in gone.items():
            answer = client.get(path)
            assert answer.status_code == 404 and told in answer.json()["error"], path
        for path in ("/api/search?words=%22", "/api/notes?video=pier.mp4&from=x", "/api/frame?video=pier.mp4&at=-1"):
            assert client.get(path).status_code == 400, path
        assert client.get("/api/ask").status_code == 405


def test_notes_and_search_tell_what_is_stored_and_what_was_not_examined(tmp_path: Path) -> None:
    pier(tmp_path)
    (tmp_path / "b").mkdir()
    with served(tmp_path, SUBTITLES, says("Forty [#2].", 2)) as server, server.client() as client:
        assert client.get("/api/notes", params={"video": "pier.mp4"}).json() == {"notes": []}
        assert client.get("/api/search", params={"words": "crate"}).json()["videos"] == []
        messages(client, client.post("/api/ask", json=QUESTION).json()["id"])
        notes = client.get("/api/notes", params={"video": "pier.mp4", "kind": "subtitle", "from": "1"}).json()["notes"]
        assert [note["text"] for note in notes] == ["A crate costs forty pounds."]
        found = client.get("/api/search", params={"words": "crate"}).json()
        assert found["videos"][0]["video"] == "pier.mp4" and found["videos"][0]["hits"][0]["text"] == "A crate costs forty pounds."
        assert client.get("/api/videos").json()["videos"][0]["notes"] == 2
        assert client.get("/api/frame", params={"video": "pier.mp4", "at": "500"}).content[:2] == b"\xff\xd8"
        assert len(client.get("/api/thumbnails", params={"video": "pier.mp4"}).json()["thumbnails"]) == 4


def test_conversations_about_other_videos_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pier(tmp_path / "a")
    pier(tmp_path / "b").rename(tmp_path / "b" / "other.mp4")
    store = tmp_path / "s.db"
    with served(tmp_path / "a", SUBTITLES, says("Forty [#2].", 2), store=store) as server, server.client() as client:
        job = client.post("/api/ask", json=QUESTION).json()
        messages(client, job["id"])
    (tmp_path / "b" / "other.mp4").write_bytes((tmp_path / "b" / "other.mp4").read_bytes() + b"\0")
    with served(tmp_path / "b", store=store) as server, server.client() as client:
        assert client.get("/api/sessions").json() == {"sessions": []}
        assert client.get("/api/page", params={"session": job["session"]}).status_code == 404
        assert client.post("/api/ask", json={"question": "What?", "session": job["session"]}).status_code == 404
        assert client.get("/api/search", params={"words": "crate"}).json()["searched"] == 0


def test_the_openapi_document_describes_every_route(tmp_path: Path) -> None:
    from analyzer_agent.web import api, completions
    from analyzer_agent.web.openapi import openapi_document

    described = {(path, method.upper()) for path, methods in openapi_document()["paths"].items() for method in methods}
    routes = {(route.path, method) for route in (*api.ROUTES, *completions.ROUTES) for method in (route.methods or set()) - {"HEAD"}}
    assert described == routes | {("/api/openapi.json", "GET")}


def test_the_end_of_the_server_ends_the_streams_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pier(tmp_path)
    held = Held(says("Forty [#2].", 2))
    with served(tmp_path, SUBTITLES, held) as server, server.client() as client:
        job = client.post("/api/ask", json=QUESTION).json()["id"]
        assert held.asked.wait(PATIENCE_S)
        with client.stream("GET", f"/api/jobs/{job}/events") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 1000"
            server.jobs.stop()
            assert not [line for line in lines if line == "event: end"]  # it has not ended yet: a page waits for the server
        held.go.set()
        assert client.post("/api/ask", json=QUESTION).status_code == 429
    assert caplog.records == []
