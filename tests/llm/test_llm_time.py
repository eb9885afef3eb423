"""How long a model server may take: limits of time, cancelling, and threads that end."""

import socket
import threading
from typing import Any

import pytest

from analyzer_agent import llm
from analyzer_agent.errors import Cancelled
from analyzer_agent.llm import open_model
from llm_kit import ASK, TOOLS, cancelled_once, failing, free_port, opened
from openai_server import OpenAIServer
from patience import wait_for


def no_thread_is_left() -> None:
    wait_for(lambda: not any(thread.name.startswith("llm ") for thread in threading.enumerate()))


class TestTime:
    def test_a_server_that_is_not_there(self, api: Any, on_text: Any) -> None:
        url = f"http://127.0.0.1:{free_port()}/v1"
        error = failing(open_model("m", api=api, base_url=url), on_text)
        assert url in str(error) and "Is the server running" in error.hint

    def test_a_server_that_accepts_nobody(self, api: Any) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            clients = [socket.socket() for _ in range(3)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(full.getsockname())
            error = failing(open_model("m", api=api, base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1"))
            for client in clients:
                client.close()
            assert "Cannot reach" in str(error)

    def test_a_name_that_does_not_exist(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(llm, "ALLOW_REQUESTS", True)
        error = failing(open_model("m", api=api, base_url="http://no-such-host.invalid/v1", max_retries=0))
        assert "no-such-host.invalid" in str(error)

    def test_https_to_a_server_without_it(self, server: OpenAIServer, api: Any) -> None:
        error = failing(open_model("m", api=api, base_url=server.url.replace("http:", "https:"), max_retries=0))
        assert "secure connection" in str(error) and "http/https" in error.hint

    def test_a_slow_server(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.hangs()
        assert "within 0.5 s" in str(failing(opened(server, api), on_text, timeout=0.5))
        no_thread_is_left()

    def test_the_models_own_timeout(self, server: OpenAIServer, api: Any) -> None:
        server.hangs()
        assert "within 0.3 s" in str(failing(opened(server, api, timeout=0.3)))

    def test_a_stream_that_drips_for_ever_ends_in_time(self, server: OpenAIServer, api: Any) -> None:
        server.says("word " * 200, pause=0.05)
        assert "within 0.6 s" in str(failing(opened(server, api), lambda _: None, timeout=0.6))

    def test_cancel_while_nothing_comes(self, server: OpenAIServer, api: Any, on_text: Any) -> None:
        server.hangs()
        cancelled_once(lambda: server.requests, opened(server, api), on_text)
        no_thread_is_left()

    def test_cancel_in_the_middle_of_a_stream(self, server: OpenAIServer, api: Any) -> None:
        server.says("word " * 400, pause=0.02)
        heard: list[str] = []
        cancelled_once(lambda: heard, opened(server, api), heard.append)
        no_thread_is_left()
        wait_for(lambda: server.hangups == 1)  # else the connection stayed open

    def test_cancelled_before_it_began(self, server: OpenAIServer, api: Any) -> None:
        server.says("Forty.")
        cancel = threading.Event()
        cancel.set()
        with pytest.raises(Cancelled):
            opened(server, api).complete(ASK, TOOLS, cancel=cancel)
        server.script.clear()

    def test_several_threads_share_a_model(self, server: OpenAIServer, api: Any) -> None:
        model, texts = opened(server, api), []
        for n in range(4):
            server.says(f"{n}" * 20, pause=0.01)
        threads = [threading.Thread(target=lambda: texts.append(model.complete(ASK, TOOLS, lambda _: None).text)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(texts) == [f"{n}" * 20 for n in range(4)]
