"""Vision models behind the same two APIs; pictures are sent as PNG data URLs."""

import base64
import struct
import zlib
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import AgentError
from analyzer_agent.llm import MAX_REPLY_TOKENS, Api, open_model
from analyzer_agent.protocols import ChatModel, Vision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def open_vision(
    model: str,
    *,
    api: Api = "auto",
    base_url: str | None = None,
    api_key: str | None = None,
    max_retries: int = 3,
    timeout: float = 300.0,
    max_reply_tokens: int = MAX_REPLY_TOKENS,
    max_side: int = 1024,
) -> Vision:
    """Return a client for a vision model; sends nothing.

    Args:
        model: see `open_model`, as for all arguments but the last.
        api: see `open_model`.
        base_url: see `open_model`.
        api_key: see `open_model`.
        max_retries: see `open_model`.
        timeout: see `open_model`.
        max_reply_tokens: see `open_model`.
        max_side: the longest side of a picture in pixels; larger ones are downscaled.

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
    )
    return ChatVision(chat, max_side)


class ChatVision:
    """A `Vision` backed by a chat model."""

    def __init__(self, chat: ChatModel, max_side: int = 1024) -> None:
        self.model = chat.model
        self._chat = chat
        self._max_side = max_side

    def describe(self, images: "Sequence[NDArray[np.uint8]]", prompt: str, labels: Sequence[str] = ()) -> str:
        """Return the model's answer to a prompt about pictures.

        Args:
            images: RGB pictures, each H x W x 3 uint8.
            prompt: the prompt.
            labels: a text in front of each picture; may be shorter than `images`.

        Raises:
            AgentError: there is no picture, or the model is unreachable or refuses.
        """
        if not images:
            raise AgentError("There is no picture to describe.")
        parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        for image, label in zip_longest(images, labels):
            parts += [{"type": "text", "text": label}] if label else []
            parts.append(picture_part(image, self._max_side))
        return self._chat.complete([{"role": "user", "content": parts}], []).text.strip()


def picture_part(image: "NDArray[np.uint8]", max_side: int) -> dict[str, Any]:
    """Return a picture as a part of a message.

    Args:
        image: RGB, H x W x 3 uint8.
        max_side: the longest side in pixels; a larger picture is downscaled.
    """
    return {"type": "image_url", "image_url": {"url": data_url(shrink(image, max_side))}}


def shrink(image: "NDArray[np.uint8]", max_side: int) -> "NDArray[np.uint8]":
    """Downscale `image` (H x W x 3 uint8) by area averaging to at most `max_side` pixels a side."""
    import numpy as np

    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    rows = np.arange(max(1, round(height * scale))) * height // max(1, round(height * scale))
    columns = np.arange(max(1, round(width * scale))) * width // max(1, round(width * scale))
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0, dtype=np.uint32), columns, axis=1)
    counts = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))[..., None]
    small: NDArray[np.uint8] = ((sums + counts // 2) // counts).astype(np.uint8)
    return small


def data_url(image: "NDArray[np.uint8]") -> str:
    """Return an RGB picture (H x W x 3 uint8) as a `data:image/png;base64,...` URL."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")


def png(image: "NDArray[np.uint8]") -> bytes:
    """Encode an RGB picture (H x W x 3 uint8) as a PNG file.

    Source: PNG specification, third edition: chunks (5), filter type 2 "Up" (9.2), zlib stream (10).
    """
    import numpy as np

    height, width, _ = image.shape
    rows = np.ascontiguousarray(image).reshape(height, width * 3)
    filtered = np.full((height, 1 + width * 3), 2, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
