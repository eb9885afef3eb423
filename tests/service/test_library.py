"""The library of named folders: what was not examined is told, also of a file that nobody can read."""

from pathlib import Path

from analyzer_agent.config import Settings
from analyzer_agent.service import Library, NamedFolders
from analyzer_agent.session import Session
from session_kit import pier


def test_a_search_names_a_file_that_cannot_be_read_as_not_examined(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "s.db", tools=("subtitles",))
    with Session(pier(tmp_path), settings=settings) as session:
        session.index()
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    library = Library(NamedFolders([tmp_path]), settings)
    found = library.search("crate")
    library.close()
    assert [one["video"] for one in found["videos"]] == ["pier.mp4"] and found["not_examined"] == ["broken.mp4"]
