"""Pictures on their way to a model: what arrives is what was sent."""

import base64
import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.errors import AgentError
from analyzer_agent.llm.vision import open_vision, png, shrink
from openai_server import OpenAIServer


def decoded(data: bytes) -> Any:
    with av.open(io.BytesIO(data), "r") as container:
        return next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24")


def pictures(body: dict[str, Any]) -> list[Any]:
    parts = (body.get("messages") or body["input"])[0]["content"]
    assert parts[0] == {"type": parts[0]["type"], "text": "What is shown?"}
    urls = [part["image_url"] if isinstance(part["image_url"], str) else part["image_url"]["url"] for part in parts[1:]]
    return [decoded(base64.b64decode(url.removeprefix("data:image/png;base64,"))) for url in urls]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_each_picture_stands_after_its_label(api: Any) -> None:
    images = [np.full((2, 2, 3), n, np.uint8) for n in range(2)]
    with OpenAIServer() as server:
        server.says("Two.")
        open_vision("m", api=api, base_url=server.url).describe(images, "What is shown?", ["0:00", "0:08"])
        body = server.requests[0].body
    parts = (body.get("messages") or body["input"])[0]["content"]
    assert [part.get("text", "picture") for part in parts] == ["What is shown?", "0:00", "picture", "0:08", "picture"]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_pictures_arrive(api: Any) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (9 + seed, 16, 3), np.uint8) for seed in range(2)]
    with OpenAIServer() as server:
        server.says(" A wall of noise.\n")
        vision = open_vision("m", api=api, base_url=server.url)
        assert vision.describe(images, "What is shown?") == "A wall of noise." and vision.model == "m"
        for sent, arrived in zip(images, pictures(server.requests[0].body), strict=True):
            np.testing.assert_array_equal(sent, arrived)


def test_large_pictures_are_shrunk() -> None:
    image = np.zeros((300, 500, 3), np.uint8)
    image[:, 250:] = (200, 100, 50)
    with OpenAIServer() as server:
        server.says("Two halves.")
        open_vision("m", base_url=server.url, max_side=100).describe([image[::-1, ::-1]], "What is shown?")
        (arrived,) = pictures(server.requests[0].body)
    assert arrived.shape == (60, 100, 3)
    assert arrived[30, 10].tolist() == [200, 100, 50] and arrived[30, 90].tolist() == [0, 0, 0]


def test_no_picture_is_refused() -> None:
    with pytest.raises(AgentError, match="no picture"):
        open_vision("m", base_url="http://127.0.0.1:1/v1").describe([], "What is shown?")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_shrinking_keeps_the_mean_and_the_sides_in_bounds(height: int, width: int, side: int) -> None:
    image = np.full((height, width, 3), (7, 130, 255), np.uint8)
    small = shrink(image, side)
    assert max(small.shape[:2]) <= max(side, 1) and (small == (7, 130, 255)).all() and small.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (5, 1, 3), (48, 64, 3)])
def test_png_is_read_back_by_another_program(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(decoded(png(image)), image)
