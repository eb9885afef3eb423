"""A small clip with subtitles, and sessions on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analyzer_agent.session import Session
from session_kit import pier, sessions_on


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pier(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def opened(clip: Path, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    with sessions_on(clip, tmp_path / "store.db") as open_:
        yield open_
