"""Pictures on their way to a model: what arrives is what was sent."""

import base64
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.llm.vision import open_vision
from openai_server import OpenAIServer


def encoded(image: Any) -> bytes:
    """Encode without loss, for the tests: shape and bytes."""
    return bytes([*image.shape[:2], *image.tobytes()])


def decoded(data: bytes) -> Any:
    return np.frombuffer(data[2:], np.uint8).reshape(data[0], data[1], 3)


def pictures(body: dict[str, Any]) -> list[Any]:
    parts = (body.get("messages") or body["input"])[0]["content"]
    assert parts[0] == {"type": parts[0]["type"], "text": "What is shown?"}
    urls = [part["image_url"] if isinstance(part["image_url"], str) else part["image_url"]["url"] for part in parts[1:]]
    return [decoded(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))) for url in urls]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_each_picture_stands_after_its_label(api: Any) -> None:
    images = [np.full((2, 2, 3), n, np.uint8) for n in range(2)]
    with OpenAIServer() as server:
        server.says("Two.")
        open_vision("m", encoded, api=api, base_url=server.url).describe(images, "What is shown?", ["0:00", "0:08"])
        body = server.requests[0].body
    parts = (body.get("messages") or body["input"])[0]["content"]
    assert [part.get("text", "picture") for part in parts] == ["What is shown?", "0:00", "picture", "0:08", "picture"]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_pictures_arrive(api: Any) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (9 + seed, 16, 3), np.uint8) for seed in range(2)]
    with OpenAIServer() as server:
        server.says(" A wall of noise.\n")
        vision = open_vision("m", encoded, api=api, base_url=server.url)
        assert vision.describe(images, "What is shown?") == "A wall of noise." and vision.model == "m"
        for sent, arrived in zip(images, pictures(server.requests[0].body), strict=True):
            np.testing.assert_array_equal(sent, arrived)


def test_no_picture_is_refused() -> None:
    with pytest.raises(AgentError, match="no picture"):
        open_vision("m", encoded, base_url="http://127.0.0.1:1/v1").describe([], "What is shown?")
