"""A small video whose subtitles say what something costs."""

from pathlib import Path

import pytest

from cli_kit import talk


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return talk(tmp_path / "talk.mp4")
