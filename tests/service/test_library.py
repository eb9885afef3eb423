"""The library of named folders: what was not examined is told, also of a file that nobody can read."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.media import container, content_id, identity
from analyzer_agent.service import FolderLibrary, NamedFolders, library
from analyzer_agent.session import Session
from patience import wait_for
from session_kit import pier


def test_a_search_names_a_file_that_cannot_be_read_as_not_examined(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "s.db", tools=("subtitles",))
    with Session(pier(tmp_path), settings=settings) as session:
        session.index()
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    opened = FolderLibrary(NamedFolders([tmp_path]), settings)
    found = opened.search("crate")
    opened.close()
    assert [one["video"] for one in found["videos"]] == ["pier.mp4"] and found["not_examined"] == ["broken.mp4"]


def indexed(tmp_path: Path) -> Settings:
    """Store the notes of a video, and put a copy of it beside it."""
    settings = Settings(store=tmp_path / "s.db", tools=("subtitles",))
    with Session(pier(tmp_path), settings=settings) as session:
        session.index()
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "pier.mp4").read_bytes())
    for name in ("pier.mp4", "copy.mp4"):
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))  # a file that has just been written may change once more
    return settings


def test_the_list_is_there_at_once_and_fills_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, go = indexed(tmp_path), threading.Event()

    def held(*given: Any) -> str:
        assert go.wait(60)
        return content_id(*given)

    monkeypatch.setattr(library, "content_id", held)
    opened = FolderLibrary(NamedFolders([tmp_path]), settings)
    try:
        assert [(one["video"], one.get("pending"), one.get("notes")) for one in opened.videos(wait=False)] == [
            ("copy.mp4", True, None),
            ("pier.mp4", True, None),
        ]
        assert opened.names() == ["copy.mp4", "pier.mp4"] and opened.sessions(wait=False) == []
        go.set()
        wait_for(lambda: not any(one.get("pending") for one in opened.videos(wait=False)))
        assert [one["notes"] for one in opened.videos(wait=False)] == [2, 2] == [one["notes"] for one in opened.videos()]
        assert [one["analyzers"] for one in opened.videos()] == [["subtitles"]] * 2
    finally:
        go.set()
        opened.close()


def test_files_that_have_not_changed_are_not_opened_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, opened = indexed(tmp_path), list[Path]()

    def watched(path: Path) -> Any:
        opened.append(path)
        return container.open_container(path)

    monkeypatch.setattr(identity, "open_container", watched)

    def notes() -> list[Any]:
        opened.clear()
        again = FolderLibrary(NamedFolders([tmp_path]), settings)
        try:
            return [one.get("notes") for one in again.videos()]
        finally:
            again.close()

    assert notes() == [2, 2] and len(opened) == 2
    assert notes() == [2, 2] and opened == []
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "pier.mp4").read_bytes() + b"\0" * 8)
    assert notes() == [None, 2] and len(opened) == 1, "a changed file is another one"
