"""A model that does not end is ended: every request bounds its reply, loops are recognised, and what is written is counted."""

from itertools import count
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.llm import open_model
from analyzer_agent.llm.repetition import RepetitionWatch
from llm_kit import ASK, TOOLS
from openai_server import OpenAIServer

APIS = ("chat", "responses")
NAMES = {"chat": "max_tokens", "responses": "max_output_tokens"}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("listens", [False, True])
class TestTheBound:
    def test_it_is_in_every_request(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        server.says("Forty.")
        server.says("Fifty.")
        for model in (open_model("m", api=api, base_url=server.url), open_model("m", api=api, base_url=server.url, max_reply_tokens=99)):
            model.complete(ASK, TOOLS, (lambda _: None) if listens else None)
        assert [request.body[NAMES[api]] for request in server.requests] == [8192, 99]

    def test_a_server_that_refuses_the_name_is_asked_in_another_way(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        for name in ("max_tokens", "max_completion_tokens") if api == "chat" else ("max_output_tokens",):
            server.fails(400, f"Unsupported parameter: {name!r} is not supported with this model.")
        server.says("Forty.")
        server.says("Fifty.")
        model, on_text = open_model("m", api=api, base_url=server.url), (lambda _: None) if listens else None
        assert [model.complete(ASK, TOOLS, on_text).text for _ in range(2)] == ["Forty.", "Fifty."]
        assert [[key for key in request.body if key.startswith("max_")] for request in server.requests[-2:]] == [[], []]

    def test_a_context_without_room_for_the_longest_reply(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        server.fails(400, "'max_tokens' is too large: 8192. This model's maximum context length is 4096 tokens.")
        server.says("Forty.")
        assert open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, (lambda _: None) if listens else None).text == "Forty."
        assert [request.body[NAMES[api]] for request in server.requests] == [8192, 1024]

    def test_a_reply_that_ends_at_it(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        server.says("", reasoning=["Hm."], finish="length", usage=(900, 50))
        server.says("It costs", finish="length", usage=(900, 50))
        server.says("It costs", finish="length", usage=(900, 20))
        model = open_model("m", api=api, base_url=server.url, max_reply_tokens=50)
        with pytest.raises(AgentError, match="came to no end") as error:
            model.complete(ASK, TOOLS, (lambda _: None) if listens else None)
        assert "--max-reply-tokens" in error.value.hint
        assert "--max-reply-tokens" in model.complete(ASK, TOOLS).notices[0]
        full = open_model("m", api=api, base_url=server.url, max_reply_tokens=50).complete(ASK, TOOLS)
        assert "its context was full" in full.notices[0] and "OLLAMA_CONTEXT_LENGTH" in full.notices[0]


def delta(api: str, text: str, field: str = "content") -> dict[str, Any]:
    if api == "chat":
        return {"choices": [{"delta": {field: text}}]}
    kind = "response.output_text.delta" if field == "content" else "response.reasoning_text.delta"
    return {"type": kind, "output_index": 0, "delta": text}


@pytest.mark.parametrize("api", APIS)
class TestWhileItStreams:
    @pytest.mark.parametrize("field", ["content", "reasoning_content"])
    def test_a_loop_is_ended(self, server: OpenAIServer, api: Any, field: str) -> None:
        server.streams(*[delta(api, "I should look at the market again. ", field)] * 400, 60.0)
        with pytest.raises(AgentError, match="came to no end: it repeated '") as error:
            open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, lambda _: None)
        assert "market" in str(error.value) and len(server.requests) == 1

    def test_so_is_one_in_the_arguments_of_a_call(self, server: OpenAIServer, api: Any) -> None:
        piece = "[0, 5], " * 10
        chat = {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "finish", "arguments": piece}}]}}]}
        other = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": piece}
        server.streams(*[chat if api == "chat" else other] * 100, 60.0)
        with pytest.raises(AgentError, match="it repeated"):
            open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, lambda _: None)

    def test_so_is_one_that_ignores_the_bound(self, server: OpenAIServer, api: Any) -> None:
        server.streams(*[delta(api, f"{n} ", "reasoning_content") for n in range(2000)], 60.0)
        with pytest.raises(AgentError, match="wrote more than 100 tokens"):
            open_model("m", api=api, base_url=server.url, max_reply_tokens=100).complete(ASK, TOOLS, lambda _: None)

    def test_what_is_not_shown_is_counted(self, server: OpenAIServer, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("analyzer_agent.llm.openai_text._PROGRESS_INTERVAL_S", 0.0)
        server.says("<think>I look.</think>" + "Forty dollars. " * 3)
        told: list[int] = []
        model: Any = open_model("m", api=api, base_url=server.url)
        model.complete(ASK, TOOLS, lambda _: None, on_progress=told.append)
        assert model.reports_progress and told[:3] == [1, 2, 3] and told == sorted(told)


class TestRepetition:
    def found(self, text: str, size: int = 5) -> str | None:
        watch = RepetitionWatch()
        return next((found for at in range(0, len(text), size) if (found := watch.feed(text[at : at + size]))), None)

    @pytest.mark.parametrize("passage", ["a", "ok ", "I should look again.\n", "word " * 40 + "end. ", "x y " * 300 + "z. "])
    def test_a_passage_again_and_again(self, passage: str) -> None:
        assert self.found("It costs forty dollars. " + passage * (13_000 // len(passage)))

    def test_one_with_small_changes(self) -> None:
        assert self.found(" ".join("so I will look at the market and then at the pier again" for _ in range(200)).replace("  ", " "))

    @pytest.mark.parametrize(
        "text",
        [
            str([[n, n + 5] for n in range(0, 3000, 5)]),
            "\n".join(f'#{n} 0:{n:02} subtitle "It costs forty"' for n in range(100)),
            "|" + "---|" * 100 + "\n" + "| name | value |\n" * 20,
            "la " * 100,
            "".join(f"{n} is {n * n}. " for n in range(1000)),
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        assert self.found(text) is None

    def test_it_costs_little(self) -> None:
        watch, numbers = RepetitionWatch(), count()
        assert not any(watch.feed(f"{next(numbers)} and then ") for _ in range(3000))
