"""`transcribe`: what is said, on stdout or in files, in the formats that people use."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import tiny_whisper
from cli_kit import Cli, talk

SAID = ("One basket of fish costs forty dollars, she says.", "That is far too much.")


@pytest.fixture(autouse=True)
def weights(tmp_path: Path) -> None:
    tiny_whisper.install(tmp_path)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return talk(tmp_path / "talk.mp4", seconds=8)


def transcript(texts: Sequence[str] = SAID, step: float = 0.4) -> list[dict[str, Any]]:
    """Return sentences as faster-whisper writes them, a word every `step` seconds and a second between sentences."""
    segments: list[dict[str, Any]] = []
    at = 0.0
    for text in texts:
        words: list[dict[str, Any]] = [
            {"word": f" {word}", "start": at + n * step, "end": at + (n + 1) * step, "probability": 0.5}
            for n, word in enumerate(text.split())
        ]
        segments.append({"start": at, "end": words[-1]["end"], "text": text, "words": words})
        at = words[-1]["end"] + 1
    return segments


@pytest.fixture
def heard(cli: Cli, video: Path, tmp_path: Path) -> Path:
    """The clip, transcribed elsewhere before."""
    (tmp_path / "said.json").write_text(json.dumps(transcript(step=0.3)), encoding="utf-8")
    cli("import-notes", "--video", video, tmp_path / "said.json")
    return video


def test_to_stdout(cli: Cli, heard: Path) -> None:
    assert cli("transcribe", heard).stdout == "".join(f"{text}\n" for text in SAID)
    assert cli("transcribe", heard, "-f", "tsv").stdout == f"start\tend\ttext\n0\t2700\t{SAID[0]}\n3700\t5200\t{SAID[1]}\n"
    srt = cli("transcribe", heard, "-f", "srt").stdout
    assert srt.startswith("1\n00:00:00,000 --> 00:00:02,700\nOne basket of fish costs\nforty dollars, she says.\n\n2\n00:00:03,700 -->")
    assert "<00:00:00.300>basket" in cli("transcribe", heard, "-f", "vtt", "--words").stdout
    whole = cli.json("transcribe", heard, "-f", "json", "--words")
    assert (whole["video"], whole["text"], whole["not_examined"]) == ("talk.mp4", " ".join(SAID), [])
    assert whole["segments"][1]["start"] == 3.7 and whole["segments"][1]["words"][0]["word"] == "That"
    assert "words" not in cli.json("transcribe", heard, "-f", "json")["segments"][0]


def test_only_a_part(cli: Cli, heard: Path) -> None:
    assert cli("transcribe", heard, "--from", "3").stdout == f"{SAID[1]}\n"


def test_to_files(cli: Cli, heard: Path, tmp_path: Path) -> None:
    out = tmp_path / "talk.en.vtt"
    result = cli("transcribe", heard, "-o", out)
    assert result.stdout == "" and result.stderr.endswith(f"Wrote {out}\n")
    assert out.read_text(encoding="utf-8").startswith("WEBVTT\n\n00:00:00.000 -->")
    cli("transcribe", heard, "-o", tmp_path / "new" / "folder", "-f", "all", "--quiet")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        f"talk.{form}" for form in ("json", "srt", "tsv", "txt", "vtt")
    ]


def test_nothing_is_replaced_unasked(cli: Cli, heard: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.srt"
    out.write_text("mine", encoding="utf-8")
    result = cli("transcribe", heard, "-o", out, code=1)
    assert result.stderr == f"Error: {str(out)!r} exists already.\nHint: Replace it with --overwrite, or choose another place with -o.\n"
    assert out.read_text(encoding="utf-8") == "mine"
    cli("transcribe", heard, "-o", out, "--overwrite")
    assert out.read_text(encoding="utf-8").startswith("1\n00:00:00,000")


def test_several_videos_need_a_folder(cli: Cli, heard: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = talk(tmp_path / "b" / "talk.mp4")
    assert "Several transcripts need a folder, such as: -o transcripts" in cli("transcribe", heard, other, code=2).stderr
    assert "Several transcripts need a folder" in cli("transcribe", heard, "-f", "all", "-o", tmp_path / "x.srt", code=2).stderr
    result = cli("transcribe", heard, other, "-o", tmp_path / "out", code=1)
    assert result.stderr.startswith("Error: Two videos would be written to ")


def test_where_it_goes_is_understood(cli: Cli, heard: Path, tmp_path: Path) -> None:
    assert (
        "A transcript ends in .txt, .srt, .vtt, .tsv, .json, not in .mp4"
        in cli("transcribe", heard, "-o", tmp_path / "x.mp4", code=2).stderr
    )
    cli("transcribe", heard, "-o", tmp_path / "x.sub", "-f", "srt")
    assert (tmp_path / "x.sub").read_text(encoding="utf-8").startswith("1\n")
    cli("transcribe", heard, "-o", f"{tmp_path}/x.d/")
    assert (tmp_path / "x.d" / "talk.txt").exists()
    assert cli("transcribe", heard, "srt", code=1).stderr.startswith("Error: There is no file 'srt'.")


def test_a_place_that_cannot_be_written(cli: Cli, heard: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = cli("transcribe", heard, "-o", tmp_path / "file" / "x.srt", code=1)
    assert "cannot be written" in result.stderr and "Hint: Choose another place with -o." in result.stderr


def test_a_video_without_sound(cli: Cli, heard: Path, tmp_path: Path) -> None:
    silent = talk(tmp_path / "silent.mp4", sound=False)
    result = cli("transcribe", heard, silent, "-o", tmp_path / "out", "-f", "txt", "--quiet")
    assert (tmp_path / "out" / "talk.txt").exists() and not (tmp_path / "out" / "silent.txt").exists()
    assert result.stderr == "Warning: 1 of 2 skipped: silent.mp4 has no sound\n"
    assert cli("transcribe", silent, code=1).stderr.splitlines() == [
        "Error: There is no sound in silent.mp4, so there is nothing to transcribe.",
        "Hint: It has subtitles: analyzer-agent index VIDEO --with subtitles, then analyzer-agent notes VIDEO -f srt",
    ]


def test_where_nobody_speaks_it_says_so(cli: Cli, video: Path) -> None:
    result = cli("transcribe", video, "--quiet")
    assert (result.stdout, result.stderr) == ("", "No speech was found in talk.mp4.\n")


def test_what_it_writes_can_be_imported(cli: Cli, heard: Path, tmp_path: Path) -> None:
    cli("transcribe", heard, "-f", "json", "--words", "-o", tmp_path / "again.json")
    store = ("--store", tmp_path / "other.db")
    cli("import-notes", "--video", heard, tmp_path / "again.json", *store)
    assert cli("transcribe", heard, "-f", "vtt", "--words", *store).stdout == cli("transcribe", heard, "-f", "vtt", "--words").stdout
