"""What the tests of sessions share: a fake analyzer for a session, and replies of a scripted model."""

from typing import Any

from analyzer_agent.protocols import Reply
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, call, fake_spec
from analyzer_agent.toolbox import Tool, Toolbox


def fake(session: Session, analyzer: FakeAnalyzer, grain: int = 250) -> None:
    session.toolbox = Toolbox(session.store, session.session_videos, {"fake": Tool(fake_spec(analyzer, grain=grain))})


SUBTITLES = Reply(calls=(call("read_subtitles", ranges=[["0:00", "0:02"]]),))


LOOK = Reply(calls=(call("find_fake", ranges=[["0:00", "0:02"]]),))


JUDGED = Reply(calls=(call("judge", sufficient=True, missing=""),))


def says(answer: str, *notes: int, **more: Any) -> Reply:
    given: dict[str, Any] = {"answer": answer, "notes": list(notes), "confidence": "high", "found": True} | more
    return Reply(calls=(call("finish", **given),))
