"""`/v1/chat/completions` with OpenAI's own client: whole, streaming, going on, and refusals."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from patience import PATIENCE_S, wait_for
from session_kit import SUBTITLES, Held, pier, says
from web_kit import TOKEN, Served, served

if TYPE_CHECKING:
    from openai import OpenAI

pytest.importorskip("starlette", reason="needs the extra page")

QUESTION: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What does a crate cost?"}]


@contextmanager
def asked(server: Served, token: str = TOKEN) -> "Iterator[OpenAI]":
    from openai import OpenAI

    with OpenAI(base_url=f"{server.base}/v1", api_key=token, max_retries=0, timeout=PATIENCE_S) as client:
        yield client


def test_the_models_are_all_videos_and_each(tmp_path: Path) -> None:
    pier(tmp_path)
    with served(tmp_path) as server, asked(server) as client:
        assert [model.id for model in client.models.list()] == ["analyzer-agent", "analyzer-agent/pier.mp4"]


def test_a_chat_is_answered_and_goes_on_in_its_session(tmp_path: Path) -> None:
    pier(tmp_path)
    with served(tmp_path, SUBTITLES, says("Forty [#2].", 2), says("Pounds [#2].", 2)) as server, asked(server) as client:
        first = client.chat.completions.create(model="analyzer-agent", messages=QUESTION)
        content = first.choices[0].message.content or ""
        assert content.startswith("Forty [#2].") and "A crate costs forty pounds." in content and first.usage
        more: Any = [*QUESTION, {"role": "assistant", "content": f"{content}\n"}, {"role": "user", "content": "In what?"}]
        second = client.chat.completions.create(model="analyzer-agent/pier.mp4", messages=more, reasoning_effort="low")
        assert (second.choices[0].message.content or "").startswith("Pounds")
        one, two = server.jobs.all()
        assert one.session == two.session and two.question == "In what?"
        assert (second.model_extra or {})["analyzer-agent"]["answer"]["citations"][0]["text"] == "A crate costs forty pounds."


def test_a_chat_that_the_server_does_not_know_comes_with_the_question(tmp_path: Path) -> None:
    pier(tmp_path)
    earlier: Any = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}, QUESTION[1]]
    with served(tmp_path, SUBTITLES, says("Forty [#2].", 2)) as server, asked(server) as client:
        client.chat.completions.create(model="analyzer-agent", messages=earlier)
        assert server.jobs.all()[0].question == "user: Hello\nassistant: Hi.\n\nWhat does a crate cost?"


def test_a_stream_tells_the_steps_and_then_the_answer(tmp_path: Path) -> None:
    pier(tmp_path)
    with served(tmp_path, SUBTITLES, says("Forty [#2].", 2)) as server, asked(server) as client:
        stream = client.chat.completions.create(
            model="analyzer-agent", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        pieces = list(stream)
        deltas = [piece.choices[0].delta for piece in pieces if piece.choices]
        steps = "".join(str(delta.to_dict().get("reasoning_content") or "") for delta in deltas)
        assert "read_subtitles" in steps and "".join(delta.content or "" for delta in deltas).startswith("Forty [#2].\n")
        assert [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1] == "stop" and pieces[-1].usage


def test_a_client_that_leaves_stops_its_question(tmp_path: Path) -> None:
    pier(tmp_path)
    held = Held(says("Forty [#2].", 2))
    with served(tmp_path, SUBTITLES, held) as server, asked(server) as client:
        with client.chat.completions.create(model="analyzer-agent", messages=QUESTION, stream=True) as stream:
            next(stream)
            assert held.asked.wait(PATIENCE_S)
        held.go.set()
        wait_for(lambda: server.jobs.all()[0].ended)
        assert server.jobs.all()[0].state.value in ("stopped", "answered")  # the answer may have come first


def test_refusals_are_told_as_openai_tells_them(tmp_path: Path) -> None:
    import openai

    pier(tmp_path)
    with served(tmp_path) as server, asked(server) as client, asked(server, "wrong-token-of-somebody") as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        for model in ("gpt-5", "analyzer-agent/../s.db", "analyzer-agent/gone.mp4"):
            with pytest.raises(openai.NotFoundError, match="There is no"):
                client.chat.completions.create(model=model, messages=QUESTION)
        with pytest.raises(openai.BadRequestError, match="must end with a question"):
            client.chat.completions.create(model="analyzer-agent", messages=QUESTION[:1])
        with pytest.raises(openai.BadRequestError, match="no word"):
            client.chat.completions.create(model="analyzer-agent", messages=[{"role": "user", "content": "???"}])
