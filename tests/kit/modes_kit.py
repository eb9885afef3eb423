"""What the tests of modes share: a reply that answers, and what the model was sent."""

from collections.abc import Callable, Mapping
from typing import Any

from analyzer_agent.protocols import Reply
from analyzer_agent.records import TokenUsage
from analyzer_agent.session import Session
from analyzer_agent.testing import call

Open = Callable[..., Session]
"""Open a session in a mode, with the replies of its model."""


def says(answer: str, *notes: int, **more: Any) -> Reply:
    given: dict[str, Any] = {"answer": answer, "notes": list(notes), "confidence": "high", "found": True} | more
    return Reply(calls=(call("finish", **given),), usage=TokenUsage(100, 10))


def sent(session: Session, at: int = 0) -> list[Mapping[str, Any]]:
    model: Any = session.model
    return list(model.requests[at][0])


def content(session: Session, at: int = 0) -> Any:
    return sent(session, at)[1]["content"]
