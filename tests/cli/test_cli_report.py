"""`report`: what goes into the page, and where it says that something is missing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli_kit import CUES, PRICE, Cli, talk


def document(page: Path) -> Any:
    found = re.search(r'<script type="application/json" id="document">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


def test_a_video_is_shown_with_its_notes_its_answers_and_stills_of_the_cited_frames(cli: Cli, video: Path, tmp_path: Path) -> None:
    cli("ask", video, PRICE, "--manager", "rules", "--tools", "subtitles")
    done = cli("report", video, "--out", tmp_path / "talk.html")
    assert done.stdout == "" and "talk.html" in done.stderr
    made = document(tmp_path / "talk.html")
    (shown,) = made["videos"]
    assert (shown["name"], shown["url"], shown["duration"], shown["embedded"]) == ("talk.mp4", "talk.mp4", 2000, False)
    assert [note[made["fields"].index("text")] for note in shown["notes"]] == [text for *_, text in CUES]
    (turn,) = made["sessions"][0]["turns"]
    (citation,) = turn["answer"]["citations"]
    assert turn["question"] == PRICE and (citation["video"], citation["at"], citation["row"]) == (shown["id"], 1000, shown["notes"][1][0])
    assert made["stills"][shown["id"]]["1000"].startswith("data:image/jpeg;base64,")
    assert len(shown["thumbnails"]) == 4


def test_a_session_is_shown_by_its_name_even_where_its_file_has_gone(cli: Cli, video: Path, tmp_path: Path) -> None:
    name = cli.json("ask", video, PRICE, "--manager", "rules", "--tools", "subtitles", "--json")["session"]
    cli("ask", video, "What else?", "--manager", "rules", "--tools", "subtitles")
    video.unlink()
    done = cli("report", name, "--out", tmp_path / "s.html", "--quiet")
    assert "no longer at" in done.stderr
    made = document(tmp_path / "s.html")
    assert [session["name"] for session in made["sessions"]] == [name] and len(made["videos"][0]["notes"]) == 2
    assert made["videos"][0]["url"] == "" and made["videos"][0]["thumbnails"] == []


def test_a_video_elsewhere_is_linked_by_its_whole_address(cli: Cli, tmp_path: Path) -> None:
    (folder := tmp_path / "a b").mkdir()
    video = talk(folder / "50% #1.mp4")
    cli("report", video, "--out", tmp_path / "pages" / "a.html")
    assert document(tmp_path / "pages" / "a.html")["videos"][0]["url"] == video.resolve().as_uri()
    cli("report", video, "--out", tmp_path / "a.html")
    assert document(tmp_path / "a.html")["videos"][0]["url"] == "a%20b/50%25%20%231.mp4"


def test_embedded_files_are_in_the_page(cli: Cli, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("report", video, "--out", tmp_path / "a.html", "--embed")
    assert document(tmp_path / "a.html")["videos"][0]["embedded"] and 'class="embedded"' in (tmp_path / "a.html").read_text(
        encoding="utf-8"
    )
    monkeypatch.setattr("analyzer_agent.page.MAX_EMBEDDED", 10)
    assert "Leave out --embed" in cli("report", video, "--out", tmp_path / "b.html", "--embed", code=1).stderr
    assert not (tmp_path / "b.html").exists()


def test_several_videos_are_shown_once_each(cli: Cli, video: Path, tmp_path: Path) -> None:
    other = talk(tmp_path / "other.mp4", seconds=3)
    cli("report", video, other, video, "--out", tmp_path / "a.html")
    assert [one["name"] for one in document(tmp_path / "a.html")["videos"]] == ["talk.mp4", "other.mp4"]


def test_without_notes_everything_was_never_looked_at(cli: Cli, video: Path, tmp_path: Path) -> None:
    cli("report", video, "--out", tmp_path / "a.html")
    (shown,) = document(tmp_path / "a.html")["videos"]
    assert {(row["what"], tuple(map(tuple, row["spans"]))) for row in shown["unlooked"]} == {
        (what, ((0, 2000),)) for what in ("any", "picture", "audio", "subtitles")
    }
    assert {"speech", "text", "subtitles"} <= set(shown["never_ran"])


def test_neither_a_video_nor_a_session(cli: Cli, tmp_path: Path) -> None:
    failed = cli("report", "nothing.mp4", "--out", tmp_path / "a.html", code=1)
    assert "nothing.mp4" in failed.stderr and "analyzer-agent sessions" in failed.stderr


def test_a_page_that_cannot_be_written(cli: Cli, video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "--out" in cli("report", video, "--out", tmp_path / "file" / "a.html", code=1).stderr
