"""Vision models behind the same two APIs; pictures are sent as JPEG data URLs."""

import base64
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import AgentError
from analyzer_agent.llm import MAX_REPLY_TOKENS, Api, open_model
from analyzer_agent.protocols import ChatModel, Vision
from analyzer_agent.protocols.metering import count_call, room_for_call
from analyzer_agent.records import Price

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Encode = Callable[[NDArray[np.uint8]], bytes]


def open_vision(
    model: str,
    encode: "Encode",
    *,
    api: Api = "auto",
    base_url: str | None = None,
    api_key: str | None = None,
    max_retries: int = 3,
    timeout: float = 300.0,
    max_reply_tokens: int = MAX_REPLY_TOKENS,
    price: Price | None = None,
) -> Vision:
    """Return a client for a vision model; sends nothing.

    Args:
        model: see `open_model`, as for all arguments but the next.
        encode: returns an RGB picture (H x W x 3 uint8) as a JPEG file, at the size to send.
        api: see `open_model`.
        base_url: see `open_model`.
        api_key: see `open_model`.
        max_retries: see `open_model`.
        timeout: see `open_model`.
        max_reply_tokens: see `open_model`.
        price: see `open_model`.

    Raises:
        AgentError: the name, URL, key or `api` is invalid.
    """
    chat = open_model(
        model,
        api=api,
        base_url=base_url,
        api_key=api_key,
        max_retries=max_retries,
        timeout=timeout,
        max_reply_tokens=max_reply_tokens,
        price=price,
    )
    return ChatVision(chat, encode)


class ChatVision:
    """A `Vision` backed by a chat model."""

    def __init__(self, chat: ChatModel, encode: "Encode") -> None:
        self.model = chat.model
        self._chat = chat
        self._encode = encode

    def describe(self, images: "Sequence[NDArray[np.uint8]]", prompt: str, labels: Sequence[str] = ()) -> str:
        """Return the model's answer to a prompt about pictures.

        Args:
            images: RGB pictures, each H x W x 3 uint8.
            prompt: the prompt.
            labels: a text in front of each picture; may be shorter than `images`.

        Raises:
            OutOfBudget: the question may not spend what this call costs.
            AgentError: there is no picture, or the model is unreachable or refuses.
        """
        if not images:
            raise AgentError("There is no picture to describe.")
        parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        for image, label in zip_longest(images, labels):
            parts += [{"type": "text", "text": label}] if label else []
            parts.append(picture_part(self._encode(image)))
        with room_for_call():
            reply = self._chat.complete([{"role": "user", "content": parts}], [])
            count_call(reply.usage)
        return reply.text.strip()


def picture_part(jpeg: bytes) -> dict[str, Any]:
    """Return a JPEG file as a part of a message."""
    return {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")}}
