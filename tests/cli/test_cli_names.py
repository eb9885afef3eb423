"""Names that are not UTF-8, in every command, and stores whose name means something else."""

import os
import sys
from pathlib import Path

import pytest

from analyzer_agent.media import open_video
from analyzer_agent.storage import Store
from cli_kit import PRICE, Cli, talk

BYTES = b"caf\xe9.mp4"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not text")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / os.fsdecode(BYTES)
    os.rename(talk(tmp_path / "talk.mp4"), path)
    return path


def test_a_name_that_is_not_utf8_works_everywhere(cli: Cli, video: Path) -> None:
    assert cli.json("index", video, "--with", "subtitles", "--json", "--quiet")["indexed"][0]["video"] == video.name
    assert "forty dollars" in cli("ask", video, PRICE, "--manager", "rules").stdout
    answer = cli.json("ask", video, PRICE, "--manager", "rules", "--json")
    assert "caf" in answer["citations"][0]["video"]
    assert "basket" in cli("notes", video).stdout
    assert "basket" in cli("describe", video, "--with", "subtitles").stdout
    assert "caf\ufffd.mp4" in cli("search", "basket").stdout
    assert "caf\ufffd.mp4" in cli("cache", "stats").stdout
    assert "caf\ufffd.mp4" in cli("sessions").stdout
    assert "basket" in cli("search", "basket", video).stdout
    assert "basket" in cli("search", "basket", video.parent).stdout
    assert "caf\\udce9" in cli("ask", video.with_suffix(".mkv"), PRICE, "--manager", "rules", code=1).stderr
    assert cli("cache", "clear", "--video", video, "--yes").exit_code == 0


def test_the_store_keeps_the_bytes(tmp_path: Path, video: Path) -> None:
    with Store(tmp_path / os.fsdecode(b"st\xe9.db")) as store, open_video(video) as file:
        store.notes.add_video(file.id, file.name, str(file.path), file.duration)
        (known,) = store.maintenance.videos()
    assert (known.name, known.path) == (video.name, str(video))
    assert Path(known.path).is_file()


def test_questions_and_sessions_with_such_bytes(cli: Cli, video: Path) -> None:
    odd = os.fsdecode(b"s\xe9")
    cli("ask", video, f"{PRICE} {odd}", "--manager", "rules", "--session", odd)
    told = cli("sessions").stdout
    assert "s\ufffd" in told
    cli("ask", video, PRICE, "--manager", "rules", "--session", odd)
    assert cli("sessions").stdout.count("s\ufffd ") == 1
    cli("search", odd)
    cli("notes", video, "--search", odd)


@pytest.mark.parametrize("store", [":memory:", "-", "/dev/null", "folder/:memory:"])
def test_a_store_that_is_no_file_is_refused_in_one_line(cli: Cli, video: Path, store: str) -> None:
    told = cli("index", video, "--with", "subtitles", "--store", store, code=1).stderr
    assert f"The store {store!r} is no file" in told


def test_a_store_named_like_an_address_is_a_file(cli: Cli, video: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    cli("index", video, "--with", "subtitles", "--store", "file:x?mode=memory")
    assert (tmp_path / "file:x?mode=memory").is_file()
