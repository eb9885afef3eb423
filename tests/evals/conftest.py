"""A small clip with subtitles, and sessions on it in a mode."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config.overrides import Mode
from analyzer_agent.session import Session
from modes_kit import Open
from session_kit import pier, sessions_on


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pier(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def opened(clip: Path, tmp_path: Path) -> Iterator[Open]:
    with sessions_on(clip, tmp_path / "store.db") as open_:

        def in_mode(mode: Mode, *replies: Any, **more: Any) -> Session:
            return open_(*replies, mode=mode, **more)

        yield in_mode
