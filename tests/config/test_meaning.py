"""Analyzers go by several names: their own, their tool's, that of their notes, that of an engine that only they have."""

from pathlib import Path

import pytest

from analyzer_agent import Session
from analyzer_agent.errors import AgentError
from analyzer_agent.tools.aliases import resolve_kinds, resolve_name, resolve_names
from cli_kit import PRICE, Cli, talk


@pytest.mark.parametrize(
    ("name", "analyzer", "engine"),
    [
        ("speech", "speech", ""),
        ("transcribe_speech", "speech", ""),
        ("whisper", "speech", "whisper"),
        ("easyocr", "text", "easyocr"),
        ("object", "objects", ""),
        ("detect_objects", "objects", ""),
        ("subtitle", "subtitles", ""),
        ("captions", "captions", ""),
        ("rapidocr", "text", "rapidocr"),
    ],
)
def test_an_analyzer_by_any_name(name: str, analyzer: str, engine: str) -> None:
    assert resolve_name(name) == (analyzer, engine)


def test_names_that_say_nothing_or_too_much() -> None:
    with pytest.raises(AgentError) as unknown:
        resolve_name("spech")
    assert str(unknown.value) == "Unknown analyzer 'spech'." and unknown.value.hint.startswith(
        "Did you mean 'speech'? Choose from: scenes, "
    )
    with pytest.raises(AgentError) as several:
        resolve_name("ultralytics")
    assert several.value.hint == "Choose from: objects, tracks."
    with pytest.raises(AgentError, match="Two engines are named for text: easyocr and rapidocr"):
        resolve_names(["easyocr"], {"read_screen_text": "rapidocr"})


def test_kinds_by_any_name() -> None:
    assert [resolve_kinds(name) for name in ("object", "objects", "detect_objects", "transcribe_speech")] == [
        *(("object",), ("object",), ("object",), ("speech",)),
    ]
    with pytest.raises(AgentError, match="Unknown kind 'whisper'"):
        resolve_kinds("whisper")


def test_everywhere_on_the_command_line(tmp_path: Path) -> None:
    cli, video = Cli(tmp_path), talk(tmp_path / "talk.mp4")
    for name in ("read_subtitles", "subtitle"):
        (row,) = cli.json("index", video, "--with", name, "--json", "--quiet")["indexed"]
        assert row["analyzer"] == "subtitles"
    assert cli("ask", video, PRICE, "--tools", "read_subtitles", "--quiet").stdout.startswith('Subtitle: "One basket')
    for name in ("subtitles", "read_subtitles"):
        assert len(cli.json("notes", video, "--kind", name, "--json")) == 2
    assert cli("describe", video, "--with", "read_subtitles", "--covered").stdout
    for flags in (["--with", "whisper"], ["--engine", "whisper"], ["--engine", "transcribe_speech=whisper"]):
        said = cli("index", video, *flags, "--quiet", code=1).stderr
        assert said.startswith("Error: speech cannot run with 'whisper': no Whisper weights on this machine."), "never with another engine"
    assert "Deleted 2 notes" in cli("cache", "clear", "--analyzer", "read_subtitles", "--yes").stdout


def test_everywhere_in_python(tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4")
    with Session(video, store=tmp_path / "s.db", tools=["read_subtitles", "rapidocr"]) as session:
        assert session.settings.tools == ("subtitles", "text") and session.settings.engine == {"text": "rapidocr"}
        assert [result.tool for result in session.index(["subtitle"])] == ["read_subtitles"]
        assert len(session.notes(kinds=["read_subtitles"])) == 2
        with pytest.raises(AgentError, match="text runs with rapidocr in this session, not with easyocr"):
            session.index(["easyocr"])
        assert len(session.describe(["read_subtitles"]).lines) == 2
