"""A small clip with subtitles, and sessions on it in a mode."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.config.overrides import Mode
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, ScriptedModel, fake_spec
from analyzer_agent.toolbox import Tool, Toolbox
from media_maker import Clip, Text, write
from modes_kit import Open

CUES = [(200, 900, "Welcome to the harbour."), (1000, 1800, "A crate costs forty pounds.")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clips") / "pier.mp4", Clip(texts=[Text(CUES, language="eng")]))


@pytest.fixture
def opened(clip: Path, tmp_path: Path) -> Iterator[Open]:
    sessions = []

    def open_(mode: Mode, *replies: Any, analyzer: FakeAnalyzer | None = None, **more: Any) -> Session:
        given: dict[str, Any] = {
            "name": "t",
            "store": tmp_path / "store.db",
            "tools": ("subtitles",),
            "model": ScriptedModel(*replies),
        } | more
        session = Session(*given.pop("videos", [clip]), settings=Settings(store=given.pop("store")), mode=mode, **given)
        if analyzer:
            session.toolbox = Toolbox(session.store, session.session_videos, {"fake": Tool(fake_spec(analyzer, grain=250))})
        sessions.append(session)
        return session

    yield open_
    for session in sessions:
        session.close()
