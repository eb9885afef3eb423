"""What people are told when a model server fails, how long that takes, and what never leaves: keys and the environment."""

import json
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from analyzer_agent import llm
from analyzer_agent.errors import AgentError
from analyzer_agent.llm import open_model
from llm_kit import ASK, TOOLS, Unhurried, cancelled_once, failing, free_port, opened
from openai_server import OpenAIServer, Raw

KEY = "sk-verysecret0123456789"


class TestRefusals:
    def test_wrong_key(self, api: Any, on_text: Any) -> None:
        with OpenAIServer(key="right") as server:
            error = failing(opened(server, api, api_key=KEY), on_text)
        assert "does not accept the API key" in str(error) and "OPENAI_API_KEY" in error.hint
        assert len(server.requests) == 1

    def test_missing_key(self, api: Any) -> None:
        with OpenAIServer(key="right") as server:
            error = failing(opened(server, api))
        assert "none was given" in str(error) and server.url in str(error)

    def test_openai_without_a_key_fails_before_anything_is_sent(self) -> None:
        with pytest.raises(AgentError, match="needs an API key") as error:
            open_model("gpt-5.4")
        assert "OPENAI_API_KEY" in error.value.hint and "rules" in error.value.hint

    def test_the_key_is_never_in_a_message(self, server: OpenAIServer, api: Any) -> None:
        for status in (400, 403, 422):
            server.fails(status, f"bad Authorization header 'Bearer {KEY}' (key {KEY}; sk-other***6789)")
            error = failing(opened(server, api, api_key=KEY))
            shown = f"{error} {error.hint} {error.__cause__} {error.__context__}"
            assert "verysecret" not in shown and "sk-other" not in shown and "bad Authorization header" in shown

    def test_unknown_model_names_what_there_is(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.models = ("llama3.2:3b", "qwen3:8b")
        error = failing(open_model("llama3.2", api=api, base_url=server.url), on_text)
        assert "no model 'llama3.2'" in str(error) and "llama3.2:3b, qwen3:8b" in error.hint

    def test_of_many_models_the_closest_are_named(self, server: OpenAIServer, api: Any) -> None:
        server.models = (*(f"embedding-{n}" for n in range(60)), "gpt-5.4", "gpt-5.4-mini")
        error = failing(open_model("gpt5.4", api=api, base_url=server.url))
        assert error.hint.startswith("It offers: gpt-5.4, gpt-5.4-mini") and len(error.hint) < 400

    def test_a_server_that_does_not_list_its_models(self, server: OpenAIServer, api: Any) -> None:
        base = server.url.removesuffix("/v1")
        error = failing(open_model("m", api=api, base_url=base))
        assert "ends in /v1" in error.hint and base in str(error)

    def test_a_server_without_this_api(self, server: OpenAIServer, api: Any) -> None:
        server.sends(b"404 page not found", status=404, headers={"Content-Type": "text/plain"})
        error = failing(opened(server, api))
        assert "not through this API" in str(error) and "--api" in error.hint

    @pytest.mark.parametrize(
        ("status", "message", "code"),
        [
            (400, "Your input exceeds the context window of this model.", "context_length_exceeded"),
            (400, "This model's maximum context length is 4096 tokens. However, you requested 9000.", None),
            (400, "the request exceeds the available context size, try increasing it", "exceed_context_size_error"),
            (429, "Request too large for gpt on tokens per min (TPM): Limit 30000, Requested 50000.", "rate_limit_exceeded"),
            (413, "Payload too large", None),
        ],
    )
    def test_context_exceeded(self, server: OpenAIServer, api: Any, on_text: Any, status: int, message: str, code: str | None) -> None:
        server.fails(status, message, code)
        error = failing(opened(server, api), on_text)
        assert "longer than 'm'" in str(error) and message[:20] in str(error)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
            (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
            (500, "tools param requires --jinja flag"),
            (404, "No endpoints found that support tool use."),
        ],
    )
    def test_no_tools(self, server: OpenAIServer, api: Any, on_text: Any, status: int, message: str) -> None:
        server.fails(status, message)
        error = failing(opened(server, api), on_text)
        assert "cannot call tools" in str(error) and message[:20] in str(error)
        assert len(server.requests) == 1

    def test_no_quota_is_not_tried_again(self, server: OpenAIServer, api: Any) -> None:
        server.fails(429, "You exceeded your current quota.", "insufficient_quota")
        assert "no quota left" in str(failing(opened(server, api)))

    def test_a_redirect_is_named_not_followed(self, server: OpenAIServer, api: Any) -> None:
        server.script.append(Raw(308, [b""], {"Location": "https://example.org/v1"}))
        assert "redirects to https://example.org/v1" in str(failing(opened(server, api)))

    @pytest.mark.parametrize("url", ["localhost:11434/v1", "ftp://x/v1", "", "http:///v1"])
    def test_a_url_that_is_none(self, url: str) -> None:
        with pytest.raises(AgentError, match=r"base URL|API key"):
            open_model("m", base_url=url)

    @pytest.mark.parametrize("key", ["ключ", "two words", "line\nbreak"])
    def test_a_key_that_is_none(self, key: str) -> None:
        with pytest.raises(AgentError) as error:
            open_model("m", base_url="http://localhost/v1", api_key=key)
        assert key not in str(error.value)

    def test_user_and_password_of_the_url_are_not_shown(self, api: Any) -> None:
        error = failing(open_model("m", api=api, base_url=f"http://me:pass@127.0.0.1:{free_port()}/v1", max_retries=0))
        assert "pass" not in str(error) and "127.0.0.1" in str(error)


class TestUnreadable:
    def test_not_json(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.sends(b"{'oops': ")
        error = failing(opened(server, api), on_text)
        assert "cannot be read" in str(error) and "oops" in str(error)

    def test_a_web_page(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.sends(b"<html>Welcome to nginx</html>", headers={"Content-Type": "text/html"})
        assert "cannot be read" in str(failing(opened(server, api), on_text))

    @pytest.mark.parametrize(
        "body", [{}, [], "text", 7, None, {"choices": []}, {"choices": [7], "output": [7]}, {"choices": 1, "output": 1},
                 {"choices": [{"message": {"tool_calls": [3]}}], "output": [{"type": "function_call"}]}],
    )  # fmt: skip
    def test_json_of_another_shape(self, server: OpenAIServer, api: Any, on_text: Any, body: Any) -> None:
        server.sends(body)
        assert "cannot be read" in str(failing(opened(server, api), on_text))

    def test_events_that_are_not_json(self, server: OpenAIServer, api: Any) -> None:
        server.script.append(Raw(200, [b'data: {"cho\n\n'], {"Content-Type": "text/event-stream"}))
        assert "cannot be read" in str(failing(opened(server, api), lambda _: None))

    def test_events_of_another_shape(self, server: OpenAIServer, api: Any) -> None:
        server.streams({"choices": [{"delta": {"tool_calls": [3]}}], "type": "response.completed"})
        assert "cannot be read" in str(failing(opened(server, api), lambda _: None))

    def test_an_error_that_came_with_status_200(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.sends({"error": {"message": "maximum context length is 4096", "code": 400}})
        assert "longer than 'm'" in str(failing(opened(server, api), on_text))

    def test_an_error_in_the_middle_of_a_stream(self, server: OpenAIServer, api: Any) -> None:
        server.streams({"type": "error", "error": {"message": "maximum context length is 4096", "code": "x"}})
        assert "longer than 'm'" in str(failing(opened(server, api), lambda _: None))

    def test_a_flat_error_event(self, server: OpenAIServer) -> None:
        server.streams({"type": "error", "code": "context_length_exceeded", "message": "too long", "param": None})
        assert "longer than 'm'" in str(failing(opened(server, "responses"), lambda _: None))

    def test_a_failed_response(self, server: OpenAIServer, on_text: Any) -> None:
        response = {"status": "failed", "output": [], "error": {"code": "server_error", "message": "it broke"}}
        if on_text:
            server.streams({"type": "response.failed", "response": response}, done=False)
        else:
            server.sends(response)
        assert "it broke" in str(failing(opened(server, "responses", max_retries=0), on_text))

    def test_a_listener_that_fails_is_not_blamed_on_the_server(self, server: OpenAIServer, api: Any) -> None:
        def listen(text: str) -> None:
            raise KeyError("ours")

        server.says("Forty.")
        with pytest.raises(KeyError, match="ours"):
            opened(server, api).complete(ASK, TOOLS, listen)


class TestRetries:
    @pytest.mark.parametrize("status", [429, 500, 503, 408])
    def test_failures_that_pass(self, server: OpenAIServer, api: Any, on_text: Any, status: int) -> None:
        server.fails(status, "not now", headers={"Retry-After": "5"})
        server.fails(status, "not now", headers={"retry-after-ms": "3000"})
        server.says("Forty.")
        pause = Unhurried()
        assert opened(server, api).complete(ASK, TOOLS, on_text, cancel=pause).text == "Forty."
        assert len(server.requests) == 3 and len(pause.waits) == 2
        assert pause.waits == [5, 3] or (status == 429 and all(0 < wait <= 5 for wait in pause.waits)), "a limit holds until a moment"

    def test_a_date_to_wait_for(self, server: OpenAIServer, api: Any) -> None:
        server.fails(503, "not now", headers={"Retry-After": formatdate(time.time() + 20, usegmt=True)})
        server.says("Forty.")
        pause = Unhurried()
        assert opened(server, api).complete(ASK, TOOLS, cancel=pause).text == "Forty."
        assert len(pause.waits) == 1 and 0 < pause.waits[0] <= 20

    def test_backoff_without_a_word_from_the_server(self, server: OpenAIServer, api: Any) -> None:
        server.fails(500, "oops")
        server.says("Forty.")
        pause = Unhurried()
        assert opened(server, api).complete(ASK, TOOLS, cancel=pause).text == "Forty."
        assert len(pause.waits) == 1 and 0.375 <= pause.waits[0] <= 0.5

    def test_it_gives_up(self, server: OpenAIServer, api: Any) -> None:
        for _ in range(3):
            server.fails(429, "slow down", headers={"Retry-After": "0.01"})
        error = failing(opened(server, api, max_retries=2))
        assert "limiting requests" in str(error) and "slow down" in str(error) and len(server.requests) == 3

    def test_a_wait_that_is_too_long_is_told_at_once(self, server: OpenAIServer, api: Any) -> None:
        server.fails(429, "slow down", headers={"Retry-After": "3600"})
        assert "3600 s" in failing(opened(server, api)).hint and len(server.requests) == 1

    def test_a_connection_that_breaks_before_the_reply(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.script.append(Raw(200, [b'{"cho', None], {"Content-Type": "application/json"}))
        server.says("Forty.")
        assert opened(server, api).complete(ASK, TOOLS, on_text).text == "Forty."

    def test_a_stream_that_breaks_after_text_was_shown(self, server: OpenAIServer, api: Any) -> None:
        server.streams(
            {"choices": [{"delta": {"content": "For"}}], "type": "response.output_text.delta", "output_index": 0, "delta": "For"}, None
        )
        heard: list[str] = []
        error = failing(opened(server, api), heard.append)
        assert "broke before the reply was complete" in str(error) and heard == ["For"] and len(server.requests) == 1

    def test_waiting_for_a_retry_can_be_cancelled(self, server: OpenAIServer, api: Any) -> None:
        server.fails(429, "slow down", headers={"Retry-After": "30"})
        waiting = threading.Event()

        class Told(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                if timeout:
                    waiting.set()
                return super().wait(timeout)

        cancelled_once(waiting.is_set, opened(server, api), None, Told())


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def everything_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "WEBHOOK_SECRET", "API_VERSION"):
            monkeypatch.setenv(f"OPENAI_{name}", f"leaked-{name}")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/leaked")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: leaked\nAuthorization: Bearer leaked\nHost: leaked\nUser-Agent: leaked")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    @pytest.mark.parametrize("key", [None, "", "mine\n"])
    def test_nothing_of_it_is_sent(self, server: OpenAIServer, api: Any, on_text: Any, key: str | None) -> None:
        server.says("Forty.")
        assert opened(server, api, api_key=key).complete(ASK, TOOLS, on_text).text == "Forty."
        headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
        assert "leaked" not in json.dumps(headers)
        assert headers.get("authorization") == ("Bearer mine" if key else None)
        assert set(headers) <= {
            *("host", "user-agent", "authorization", "accept", "accept-encoding", "connection", "content-type", "content-length"),
        }

    def test_without_a_key_none_is_taken_from_it(self) -> None:
        with pytest.raises(AgentError, match="needs an API key"):
            open_model("gpt-5.4")


class TestAllowRequests:
    def test_only_this_machine_is_asked(self, server: OpenAIServer, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(llm, "ALLOW_REQUESTS", False)
        with pytest.raises(RuntimeError, match=r"example\.org"):
            open_model("m", api=api, base_url="https://example.org/v1").complete(ASK, TOOLS)
        with pytest.raises(RuntimeError, match=r"api\.openai\.com"):
            open_model("m", api_key="k").complete(ASK, TOOLS)
        server.says("Forty.")
        assert opened(server, api).complete(ASK, TOOLS).text == "Forty."
