"""The text of a reply: hands it over as it comes, without the thoughts that some models put in front of it.

Knows nothing of HTTP or of the two APIs.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WITHHELD = "(The provider's content filter withheld this reply.)"

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkingFilter:
    """Removes a leading `<think>...</think>` from text that comes in pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"
        self.seen = False
        """Whether there were thoughts."""

    def feed(self, piece: str) -> str:
        """Return what may be shown now that `piece` has come."""
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
                # Only the end can still become part of the closing tag.
                self._held = self._held[-len(_CLOSE) :]
                return ""
            self._state, self._held = "after", after
        shown = self._held.lstrip()
        return self._release(shown) if shown else ""

    def rest(self) -> str:
        """Return what was held back because it might have become a tag and did not."""
        return self._release(self._held) if self._state == "start" else ""

    def _release(self, text: str) -> str:
        self._held, self._state = "", "open"
        return text


def strip_thinking(text: str) -> str:
    """Return `text` without leading thoughts, those included whose opening tag the server's template swallowed."""
    thoughts = ThinkingFilter()
    shown = thoughts.feed(text) + thoughts.rest()
    before, closed, after = shown.partition(_CLOSE)
    return after.lstrip() if closed and _OPEN not in before else shown


def content_text(value: Any) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, Mapping))
    return ""


@dataclass(slots=True)
class RequestContext:
    """One `complete`: who listens, until when (monotonic seconds) it may take, and how it is interrupted."""

    seconds: float
    on_text: Callable[[str], None] | None
    cancel: threading.Event
    deadline: float = field(init=False)
    has_emitted: bool = False
    """Whether text was handed over: the call cannot be repeated after that."""

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds

    def seconds_left(self) -> float:
        """Return the seconds that are left."""
        return self.deadline - time.monotonic()

    def emit_text(self, text: str) -> None:
        """Hand `text` to the listener, if there is any of both."""
        if text and self.on_text is not None:
            self.has_emitted = True
            self.on_text(text)
