"""Named folders: what lies outside is not found, whichever way it is named."""

from pathlib import Path

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.service import NamedFolders


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("named/a.mp4", "named/deep/b.mp4", "named/notes.txt", "secret/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_files_are_found_by_their_shown_and_by_absolute_names(tree: Path) -> None:
    folders = NamedFolders([tree / "named"])
    assert [folders.shown(path) for path in folders.videos()] == ["a.mp4", "deep/b.mp4"]
    assert folders.locate("deep/b.mp4") == folders.locate(tree / "named" / "deep" / "b.mp4") == (tree / "named/deep/b.mp4").resolve()


@pytest.mark.parametrize(
    "given", ["../secret/c.mp4", "deep/../../secret/c.mp4", "link.mp4", "out/c.mp4", "deep", "gone.mp4", "a\0.mp4", ""]
)
def test_what_lies_outside_is_told_like_what_does_not_exist(tree: Path, given: str) -> None:
    (tree / "named/link.mp4").symlink_to(tree / "secret/c.mp4")
    (tree / "named/out").symlink_to(tree / "secret")
    folders = NamedFolders([tree / "named"])
    with pytest.raises(AgentError, match="in the folders that were named at start"):
        folders.locate(given)
    assert [folders.shown(path) for path in folders.videos()] == ["a.mp4", "deep/b.mp4"]


def test_absolute_paths_outside_and_beside_a_named_file_are_refused(tree: Path) -> None:
    folders = NamedFolders([tree / "named/a.mp4"])
    assert folders.locate("a.mp4") == (tree / "named/a.mp4").resolve()
    for given in (tree / "secret/c.mp4", tree / "named/deep/b.mp4", "deep/b.mp4", "notes.txt"):
        with pytest.raises(AgentError):
            folders.locate(given)


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n../secret/c.mp4\n", 'FILE "../secret/c.mp4" WAVE\n'])
def test_a_playlist_that_names_a_file_outside_is_not_found(tree: Path, text: str) -> None:
    (tree / "named/list.m3u8").write_text(text)
    folders = NamedFolders([tree / "named"])
    with pytest.raises(AgentError):
        folders.locate("list.m3u8")
    (tree / "named/list.m3u8").write_text(text.replace("../secret/c.mp4", "a.mp4"))
    assert folders.locate("list.m3u8").name == "list.m3u8"


def test_a_name_that_two_folders_share_is_shown_as_a_whole_path(tree: Path) -> None:
    (tree / "secret/a.mp4").write_bytes(b"y")
    folders = NamedFolders([tree / "named", tree / "secret"])
    for path in folders.videos():
        assert folders.locate(folders.shown(path)) == path


def test_a_folder_that_does_not_exist_or_none_is_told(tree: Path) -> None:
    with pytest.raises(AgentError, match="nowhere"):
        NamedFolders([tree / "nowhere"])
    with pytest.raises(AgentError, match="No folder"):
        NamedFolders([])


def test_patterns_and_many_files(tree: Path) -> None:
    for number in range(3):
        (tree / "named" / f"t{number}.mp4").write_bytes(b"x")
    folders = NamedFolders([tree / "named" / "t*.mp4", tree / "secret" / "c.mp4"])
    assert [folders.shown(path) for path in folders.videos()] == ["t0.mp4", "t1.mp4", "t2.mp4", "c.mp4"]
    assert folders.locate("t1.mp4") == folders.locate(tree / "named" / "t1.mp4") == (tree / "named/t1.mp4").resolve()
    for given in ("a.mp4", tree / "named" / "a.mp4"):
        with pytest.raises(AgentError):
            folders.locate(given)
    with pytest.raises(AgentError, match="There is no file or folder"):
        NamedFolders([tree / "x*.mp4"])
