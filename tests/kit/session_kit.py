"""What the tests of sessions share: a small clip, sessions on it, a fake analyzer, and replies of a scripted model."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from analyzer_agent.config import Settings
from analyzer_agent.protocols import Reply
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, ScriptedModel, call, fake_spec
from analyzer_agent.toolbox import Tool, Toolbox
from media_maker import Clip, Text, write
from patience import PATIENCE_S

CUES = [(200, 900, "Welcome to the harbour."), (1000, 1800, "A crate costs forty pounds.")]


def pier(folder: Path) -> Path:
    """Write a clip with subtitles."""
    return write(folder / "pier.mp4", Clip(texts=[Text(CUES, language="eng")]))


@contextmanager
def sessions_on(clip: Path, store: Path) -> Iterator[Callable[..., Session]]:
    """Yield a function that opens sessions on the clip; with `analyzer`, it is the only tool."""
    with ExitStack() as stack:

        def open_(*replies: Any, analyzer: FakeAnalyzer | None = None, grain: int = 250, **more: Any) -> Session:
            given: dict[str, Any] = {"name": "t", "store": store, "tools": ("subtitles",), "model": ScriptedModel(*replies)} | more
            session = Session(*given.pop("videos", [clip]), settings=Settings(store=given.pop("store")), **given)
            stack.callback(session.close)
            if analyzer:
                fake(session, analyzer, grain)
            return session

        yield open_


def fake(session: Session, analyzer: FakeAnalyzer, grain: int = 250) -> None:
    session.toolbox = Toolbox(session.store, session.session_videos, {"fake": Tool(fake_spec(analyzer, grain=grain))})


SUBTITLES = Reply(calls=(call("read_subtitles", ranges=[["0:00", "0:02"]]),))


LOOK = Reply(calls=(call("find_fake", ranges=[["0:00", "0:02"]]),))


class Held:
    """A reply that is not given before `go` is set; `asked` is set once it is awaited."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.asked, self.go = reply, threading.Event(), threading.Event()

    def __call__(self, messages: object) -> Reply:
        self.asked.set()
        assert self.go.wait(PATIENCE_S)
        return self.reply


JUDGED = Reply(calls=(call("judge", sufficient=True, missing=""),))


def says(answer: str, *notes: int, **more: Any) -> Reply:
    given: dict[str, Any] = {"answer": answer, "notes": list(notes), "confidence": "high", "found": True} | more
    return Reply(calls=(call("finish", **given),))
