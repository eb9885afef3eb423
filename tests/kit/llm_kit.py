"""What the tests of model servers share: a request, and the error that it ends with."""

import socket
import threading
import time
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.llm import open_model
from analyzer_agent.protocols import ChatModel
from openai_server import OpenAIServer

ASK = [{"role": "user", "content": "How much?"}]


TOOLS = [{"type": "function", "function": {"name": "finish", "description": "Ends.", "parameters": {"type": "object", "properties": {}}}}]


def opened(server: OpenAIServer, api: Any, **more: Any) -> ChatModel:
    return open_model("m", api=api, base_url=server.url, **more)


def failing(model: ChatModel, on_text: Any = None, **more: Any) -> AgentError:
    with pytest.raises(AgentError) as error:
        model.complete(ASK, TOOLS, on_text, **more)
    assert error.value.hint, f"no hint for {error.value}"
    return error.value


def cancelled_after(model: ChatModel, on_text: Any, delay: float = 0.4) -> float:
    """Seconds between the cancel and the return."""
    cancel, moments = threading.Event(), []

    def stop() -> None:
        moments.append(time.monotonic())
        cancel.set()

    timer = threading.Timer(delay, stop)
    timer.start()
    with pytest.raises(Cancelled):
        model.complete(ASK, TOOLS, on_text, cancel=cancel)
    timer.join()
    return time.monotonic() - moments[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
