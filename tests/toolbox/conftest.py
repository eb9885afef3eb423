"""A store for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_agent.storage import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as store:
        yield store
