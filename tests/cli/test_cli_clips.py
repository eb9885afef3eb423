"""`clips` and `frames`: which parts are written, under which names, and what is said where something is missing."""

import sys
from pathlib import Path

import click
import pytest

from analyzer_agent.cli.clips import clips
from analyzer_agent.clips import FORMATS
from analyzer_agent.media import open_video
from cli_kit import PRICE, Cli, talk
from media_maker import all_frames, number_of


def ask(cli: Cli, video: Path) -> str:
    return str(cli.json("ask", video, PRICE, "--manager", "rules", "--tools", "subtitles", "--json")["session"])


def numbers(path: Path) -> list[int]:
    return [number_of(picture) for _, picture in all_frames(path)]


def test_the_cited_part_of_a_session_and_of_a_video(cli: Cli, video: Path, tmp_path: Path) -> None:
    session = ask(cli, video)
    for n, what in enumerate((session, video)):
        done = cli("clips", what, "--out", tmp_path / str(n))
        assert done.stdout.split() == [str(tmp_path / str(n) / f"talk-0h00m01.000s{suffix}") for suffix in (".mp4", ".srt")]
        assert numbers(tmp_path / str(n) / "talk-0h00m01.000s.mp4") == list(range(25, 45))
        srt = (tmp_path / str(n) / "talk-0h00m01.000s.srt").read_text()
        assert srt == "1\n00:00:00,000 --> 00:00:00,800\nOne basket of fish costs forty dollars.\n"


def test_pictures_are_copied_or_all_encoded_and_it_says_so(cli: Cli, video: Path, tmp_path: Path) -> None:
    ask(cli, video)
    told = cli("clips", video, "--out", tmp_path / "o").stderr
    assert "Pictures: " in told and " copied, " in told and " encoded at the edges." in told
    assert "Pictures" not in cli("clips", video, "--out", tmp_path / "o", "--quiet").stderr
    assert "Pictures" not in cli("clips", video, "--out", tmp_path / "o", "--encode").stderr
    done = cli("clips", video, "--out", tmp_path / "o", "--snap")
    assert "copied, 0 encoded at the edges." in done.stderr
    clip, srt = map(Path, done.stdout.split())
    wide = numbers(clip)
    assert wide == list(range(wide[0], wide[-1] + 1)) and wide[0] <= 25 and wide[-1] >= 44
    assert int(srt.read_text().splitlines()[1][9:12]) == (25 - wide[0]) * 40, "captions move with the beginning"
    assert "excludes --encode" in cli("clips", video, "--out", tmp_path / "o", "--snap", "--concat", code=2).stderr


def test_handles_widen_a_clip_and_its_captions_up_to_the_ends_of_the_file(cli: Cli, video: Path, tmp_path: Path) -> None:
    ask(cli, video)
    cli("clips", video, "--out", tmp_path / "o", "--handles", "0.4")
    assert numbers(tmp_path / "o" / "talk-0h00m00.600s.mp4") == list(range(15, 50))
    srt = (tmp_path / "o" / "talk-0h00m00.600s.srt").read_text()
    assert "00:00:00,000 --> 00:00:00,300\nGood morning everybody." in srt and "00:00:00,400 --> 00:00:01,200" in srt


def test_searched_and_named_notes(cli: Cli, video: Path, tmp_path: Path) -> None:
    cli("index", video, "--with", "subtitles")
    ids = [note["id"] for note in cli.json("notes", video, "--json")]
    cli("clips", "--search", "morning", "--out", tmp_path / "found", "--captions", "none")
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["talk-0h00m00.080s.mp4"]
    assert numbers(tmp_path / "found" / "talk-0h00m00.080s.mp4") == list(range(2, 23))
    done = cli("clips", "--notes", f"#{ids[1]},{ids[0]}", "--out", tmp_path / "two", "--captions", "burn", "--quiet")
    assert [Path(line).name for line in done.stdout.splitlines()] == ["talk-0h00m01.000s.mp4", "talk-0h00m00.080s.mp4"]
    assert "#999" in cli("clips", "--notes", "999", "--out", tmp_path / "x", code=1).stderr
    assert "12,15" in cli("clips", "--notes", "one", "--out", tmp_path / "x", code=2).stderr


def test_one_clip_of_all_parts_tells_overlapping_ones_once(cli: Cli, video: Path, tmp_path: Path) -> None:
    cli("index", video, "--with", "subtitles")
    other = talk(tmp_path / "other.mp4", cues=((400, 800, "Fish again."),))
    cli("index", other, "--with", "subtitles")
    cli("clips", video, other, "--search", '"fish"', "--out", tmp_path / "o", "--concat")
    assert numbers(tmp_path / "o" / "supercut.mp4") == [*range(25, 45), *range(10, 20)]
    assert "00:00:00,800 --> 00:00:01,200\nFish again." in (tmp_path / "o" / "supercut.srt").read_text()
    cli("clips", video, "--search", "morning fish", "--handles", "1", "--out", tmp_path / "o", "--concat")
    with open_video(tmp_path / "o" / "supercut-2.mp4") as clip:
        assert clip.duration <= 2010


def test_nothing_is_replaced_and_equal_names_are_numbered(cli: Cli, tmp_path: Path) -> None:
    videos = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        videos.append(talk(tmp_path / folder / "talk.mp4", seconds=2 if folder == "a" else 3))
        ask(cli, videos[-1])
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "talk-0h00m01.000s.srt").write_text("mine")
    cli("clips", *videos, "--out", tmp_path / "o")
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "talk-0h00m01.000s-2.mp4",
        "talk-0h00m01.000s-2.srt",
        "talk-0h00m01.000s-3.mp4",
        "talk-0h00m01.000s-3.srt",
        "talk-0h00m01.000s.srt",
    ]
    assert (tmp_path / "o" / "talk-0h00m01.000s.srt").read_text() == "mine"


@pytest.mark.parametrize("command", ["clips", "frames"])
def test_what_is_missing_is_told(command: str, cli: Cli, video: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "o")
    assert "There are no notes yet" in cli(command, video, *out, code=1).stderr
    session = ask(cli, video)
    assert "Name a video" in cli(command, *out, code=2).stderr
    assert "nothing to write" in cli(command, "--search", "zebra", *out, code=1).stderr
    video.rename(tmp_path / "moved.mp4")
    gone = cli(command, session, *out, code=1).stderr
    assert "no longer at" in gone and "nothing to write" in gone and not (tmp_path / "o").exists()
    assert cli(command, session, tmp_path / "moved.mp4", *out).stdout.startswith(str(tmp_path / "o" / "moved-0h00m01"))


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
@pytest.mark.parametrize("command", ["clips", "frames"])
def test_a_folder_that_cannot_be_written(command: str, cli: Cli, video: Path, tmp_path: Path) -> None:
    ask(cli, video)
    (tmp_path / "file").write_text("")
    failed = cli(command, video, "--out", tmp_path / "file" / "o", code=1)
    assert "file" in failed.stderr and "bug" not in failed.stderr


def test_the_cited_frames_and_a_sheet(cli: Cli, video: Path, tmp_path: Path) -> None:
    cli("index", video, "--with", "subtitles")
    ids = [str(note["id"]) for note in cli.json("notes", video, "--json")]
    done = cli("frames", "--notes", ",".join(ids), "--out", tmp_path / "o")
    names = [Path(line).name for line in done.stdout.splitlines()]
    assert names == ["talk-0h00m00.100s.jpg", "talk-0h00m01.000s.jpg", "talk-sheet.jpg"]
    assert [numbers(tmp_path / "o" / name) for name in names[:2]] == [[2], [25]]
    with open_video(tmp_path / "o" / "talk-sheet.jpg") as sheet:
        assert sheet.size[0] == 512


def test_times_in_markdown_are_links(cli: Cli, tmp_path: Path) -> None:
    video = talk(tmp_path / "my talk.mp4")
    cli("index", video, "--with", "subtitles")
    assert "| [0:01-0:01.8](my%20talk.mp4#t=1) |" in cli("notes", video, "--format", "md").stdout


def test_lists_in_place_of_clips(cli: Cli, video: Path, tmp_path: Path) -> None:
    pytest.importorskip("otio_cmx3600_adapter")
    ask(cli, video)
    for form in FORMATS:
        cli("clips", video, "--format", form, "--handles", "0.2", "--out", tmp_path / "o")
    whole = {f"clips.{suffix}" for suffix in ("edl", "otio", "fcpxml", "csv")}
    each = {f"talk-{end}" for end in ("markers.edl", "chapters.txt", "ffmetadata.txt", "youtube.txt")}
    assert {path.name for path in (tmp_path / "o").iterdir()} == whole | each
    assert "talk.mp4" in (tmp_path / "o" / "clips.csv").read_text() and ",0.8,2.0," in (tmp_path / "o" / "clips.csv").read_text()
    assert "exclude" in cli("clips", video, "--format", "edl", "--concat", "--out", tmp_path / "o", code=2).stderr


def test_the_command_offers_every_format() -> None:
    (option,) = (param for param in clips.params if param.name == "form")
    assert isinstance(option.type, click.Choice) and tuple(option.type.choices) == tuple(FORMATS)
