"""A model server, in each form of its API, with and without streaming."""

from collections.abc import Iterator
from typing import Any

import pytest

from openai_server import OpenAIServer

APIS = ("chat", "responses")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[None, "streamed"])
def on_text(request: pytest.FixtureRequest) -> Any:
    return None if request.param is None else lambda _: None
