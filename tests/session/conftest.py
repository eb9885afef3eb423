"""A small clip with subtitles, and sessions on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, ScriptedModel
from media_maker import Clip, Text, write
from session_kit import fake

CUES = [(200, 900, "Welcome to the harbour."), (1000, 1800, "A crate costs forty pounds.")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clips") / "pier.mp4", Clip(texts=[Text(CUES, language="eng")]))


@pytest.fixture
def opened(clip: Path, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Opens sessions on the clip; with `analyzer`, it is the only tool."""
    sessions = []

    def open_(*replies: Any, analyzer: FakeAnalyzer | None = None, grain: int = 250, **more: Any) -> Session:
        given: dict[str, Any] = {
            "name": "t",
            "store": tmp_path / "store.db",
            "tools": ("subtitles",),
            "model": ScriptedModel(*replies),
        } | more
        session = Session(*given.pop("videos", [clip]), settings=Settings(store=given.pop("store")), **given)
        if analyzer:
            fake(session, analyzer, grain)
        sessions.append(session)
        return session

    yield open_
    for session in sessions:
        session.close()
