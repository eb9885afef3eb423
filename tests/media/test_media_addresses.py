"""Addresses in place of a file, and names of files that mean something to a program."""

import os
from pathlib import Path

import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import local_path, media_in, open_video
from media_maker import write

ADDRESSES = [
    "https:/www.youtube.com/watch?v=abc",
    "https:\\\\www.youtube.com\\watch",
    "ftp://example.org/a.mp4",
    "s3://bucket/a.mp4",
    "gs://bucket/a.mp4",
    "rtsp://10.0.0.7/stream",
    "rtmp://live/stream",
    "srt://live:9000",
    "youtu.be/abc",
    "www.example.org/a.mp4",
    "m.youtube.com/watch?v=abc",
    "magnet:?xt=urn:btih:abc",
    "folder/https:/example.org/a.mp4",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_has_its_own_message(address: str) -> None:
    with pytest.raises(MediaError, match="Of addresses, only") as raised:
        open_video(address)
    assert "yt-dlp URL" in str(raised.value.hint)


@pytest.mark.parametrize("name", ["talks.com.mp4", "x.company/a.mp4", "concat:a.mp4", "C:\\a.mp4", "www"])
def test_other_missing_files_are_missing(name: str) -> None:
    with pytest.raises(MediaError, match="There is no file"):
        open_video(name)


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    path = write(tmp_path / "my talk.mp4")
    for address in (path.as_uri(), f"file:{path}", f"file://localhost{path}", f"FILE://{path}"):
        assert local_path(address) == path
        assert media_in([address]).files == (path,)
        with open_video(address) as video:
            assert video.path == path


@pytest.mark.parametrize("name", ["-", "pipe:0", "file:a.mp4", "concat:a.mp4|b.mp4", "shot%03d.mp4", " a ", "a\nb", "a.mp4 ", "x" * 250])
def test_names_with_a_meaning_of_their_own_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    os.rename(write(tmp_path / "a.mp4"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_video(name) as video:
        assert video.duration == 2_000


def test_nothing_and_standard_input_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, told in (("", "is empty"), ("-", "Standard input"), ("/dev/null", "not a regular file")):
        with pytest.raises(MediaError, match=told):
            open_video(name)
    with pytest.raises(MediaError, match="is empty"):
        media_in([""])
