"""What the tests of model servers share: a request, and the error that it ends with."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.llm import open_model
from analyzer_agent.protocols import ChatModel
from openai_server import OpenAIServer
from patience import wait_for

ASK = [{"role": "user", "content": "How much?"}]


TOOLS = [{"type": "function", "function": {"name": "finish", "description": "Ends.", "parameters": {"type": "object", "properties": {}}}}]


def opened(server: OpenAIServer, api: Any, **more: Any) -> ChatModel:
    return open_model("m", api=api, base_url=server.url, **more)


def failing(model: ChatModel, on_text: Any = None, **more: Any) -> AgentError:
    with pytest.raises(AgentError) as error:
        model.complete(ASK, TOOLS, on_text, **more)
    assert error.value.hint, f"no hint for {error.value}"
    return error.value


def cancelled_once(ready: Callable[[], object], model: ChatModel, on_text: Any, cancel: threading.Event | None = None) -> None:
    """Ask, and cancel that once something is so."""
    cancel = cancel or threading.Event()

    def stop() -> None:
        wait_for(lambda: bool(ready()))
        cancel.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Cancelled):
        model.complete(ASK, TOOLS, on_text, cancel=cancel)
    stopper.join()


class Unhurried(threading.Event):
    """Never set, and keeps how long it was waited for instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if timeout:
            self.waits.append(timeout)
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
