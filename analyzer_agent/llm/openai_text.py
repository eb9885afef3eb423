"""The text of a reply: extracted, stripped of leading thoughts, and passed to a callback."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WITHHELD = "(The provider's content filter withheld this reply.)"

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkingFilter:
    """Removes a leading `<think>...</think>` block from streamed text."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"
        self.seen = False
        """Whether there was a block of thoughts."""

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be shown now."""
        if self._state == "open":
            return piece
        self._held += piece
        if self._state == "start":
            lead = self._held.lstrip()
            if _OPEN.startswith(lead[: len(_OPEN)]) and len(lead) < len(_OPEN):
                return ""
            if not lead.startswith(_OPEN):
                return self._release(self._held)
            self._state, self.seen = "inside", True
        if self._state == "inside":
            _, closed, after = self._held.partition(_CLOSE)
            if not closed:
                # Keep only what can be the beginning of the closing tag.
                self._held = self._held[-len(_CLOSE) :]
                return ""
            self._state, self._held = "after", after
        shown = self._held.lstrip()
        return self._release(shown) if shown else ""

    def rest(self) -> str:
        """Return text held back as a possible beginning of the tag, at the end of the stream."""
        return self._release(self._held) if self._state == "start" else ""

    def _release(self, text: str) -> str:
        self._held, self._state = "", "open"
        return text


def strip_thinking(text: str) -> str:
    """Remove leading thoughts from `text`, also if the opening tag is missing."""
    thoughts = ThinkingFilter()
    shown = thoughts.feed(text) + thoughts.rest()
    before, closed, after = shown.partition(_CLOSE)
    return after.lstrip() if closed and _OPEN not in before else shown


def content_text(value: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, Mapping))
    return ""


@dataclass(slots=True)
class RequestContext:
    """The context of one `complete`.

    Attributes:
        seconds: the time limit.
        on_text: callback for the reply's text, if any.
        cancel: interrupts the call when set.
        deadline: the end of the time limit, in seconds of the monotonic clock.
    """

    seconds: float
    on_text: Callable[[str], None] | None
    cancel: threading.Event
    deadline: float = field(init=False)
    has_emitted: bool = False
    """Whether text was emitted; after that, the call cannot be retried."""

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds

    def seconds_left(self) -> float:
        """Return the seconds until the deadline, negative after it."""
        return self.deadline - time.monotonic()

    def emit_text(self, text: str) -> None:
        """Call `on_text(text)` if a callback is set and `text` is not empty."""
        if text and self.on_text is not None:
            self.has_emitted = True
            self.on_text(text)
