"""The benchmark of libraries: its videos are made once, and its figures are those of the session."""

from pathlib import Path

import pytest

from benchmarks import library


def test_figures_of_a_small_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_QUERIES", 20), ("_EACH", 5), ("_SECONDS", 12)):
        monkeypatch.setattr(library, name, value)
    library.make(tmp_path / "videos", 11, 0, None)
    figures = library.measure(tmp_path / "videos", tmp_path / "store.db")
    assert figures["videos"] == 11 and "3 times in 3 of 11 videos" in figures["find_all"]
    assert figures["answer"] == "3 citations, 0 ms analyzed" and "p95" in figures["find_videos, ms of processor time"]
    assert figures["briefing on all, tokens"] < figures["briefing on 10 videos, tokens"] + 100
