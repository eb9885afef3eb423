"""A publisher of weights, and the caches of nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_agent.protocols import WeightCaches
from weights_server import WeightsServer


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with WeightsServer() as running:
        yield running


@pytest.fixture
def nobody(tmp_path: Path) -> WeightCaches:
    """Caches of a user who has none."""
    return WeightCaches(hub=tmp_path / "no", easyocr=tmp_path / "no", ultralytics=tmp_path / "no.json")
