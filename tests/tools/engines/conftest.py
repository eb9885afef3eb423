"""Small weights with random numbers for the engines."""

from pathlib import Path

import pytest

import tiny_clip


@pytest.fixture(scope="module")
def coca_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip.make(tmp_path_factory.mktemp("coca"), tiny_clip.COCA)


@pytest.fixture(scope="module")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip.make(tmp_path_factory.mktemp("clip"), tiny_clip.CLIP)
