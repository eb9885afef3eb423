"""The benchmark of addresses: its server sends parts, and its figures are those of the session."""

from pathlib import Path

import pytest

from benchmarks.addresses import measure
from media_maker import Clip, write


def test_bytes_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra page")
    path = write(tmp_path / "a.mp4", Clip("mpeg4", times=[n * 40 for n in range(625)], gop=25))
    figures = measure(path, 0)
    assert figures["the file"] == path.stat().st_size >= figures["to open it"] + figures["for the question"] > 0
    assert figures["asked again"] == 0
