"""`chat` on a pseudo-terminal: questions that can be seen, and a keyboard that scrambles nothing."""

import json
import os
import re
from functools import partial
from pathlib import Path

import pytest

import tiny_whisper
from cli_kit import talk

if os.name != "posix":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

from analyzer_agent.cli.approval import TerminalApproval
from analyzer_agent.cli.progress import LineDisplay
from analyzer_agent.events import Thinking, ToolStarted, Warned, Writing
from terminal_kit import Terminal

GO_ON = "Continue? [Y/n/a] (a = always in this session)"
HEARING = ("--tools", "speech", "--offline")
ASKED = "What does Nicolas say?"


@pytest.fixture(autouse=True)
def weights(tmp_path: Path) -> None:
    tiny_whisper.install(tmp_path)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary clip, just long enough that an engine which never ran here is asked for."""
    return talk(tmp_path_factory.mktemp("long") / "long.mp4", cues=(), seconds=61)


@pytest.mark.parametrize(
    ("columns", "step"),
    [
        (76, "transcribe_speech on 61 s may take a while (not measured here yet)."),
        (140, "transcribe_speech on 61 s with whisper may take a while (not measured here yet)."),
    ],
)
def test_the_question_before_a_long_step_is_seen_and_answered(tmp_path: Path, long: Path, columns: int, step: str) -> None:
    with Terminal(tmp_path, "chat", long, *HEARING, columns=columns) as terminal:
        terminal.until(lambda lines: lines[-1:] == [">"])
        terminal.send(f"{ASKED}\n")
        lines = terminal.until(lambda lines: any(line.startswith("Continue?") for line in lines))
        assert lines[-1] == GO_ON and terminal.echoes
        assert lines[-2] == step
        terminal.send("y\n")
        terminal.until(lambda lines: not terminal.echoes)
        terminal.send("/cost\n")  # typed ahead
        lines = terminal.until(lambda lines: lines[-1] == ">" and any("1 answered" in line for line in lines))
        assert f"{GO_ON} y" in lines, "the question stays as it was"
        assert [line for line in lines if "/cost" in line] == ["> /cost"], "it is shown where it is answered"
        assert any(line.startswith("✓ transcribe_speech") and "61 s new in" in line for line in lines)
        terminal.send("\x04")
        assert terminal.end() == 0 and terminal.echoes


def test_ctrl_c_at_the_question_declines_it(tmp_path: Path, long: Path) -> None:
    with Terminal(tmp_path, "chat", long, *HEARING) as terminal:
        terminal.until(prompts)
        terminal.send(f"{ASKED}\n")
        terminal.until(lambda lines: lines[-1] == GO_ON)
        terminal.send("\x03")
        lines = terminal.until(lambda lines: prompts(lines) and any("Stopped." in line for line in lines))
        assert not any("new in" in line for line in lines)
        terminal.send("/more\n")
        terminal.until(lambda lines: lines[-1] == GO_ON)
        terminal.send("\x03")
        terminal.until(prompts)
        terminal.send("\x04")
        assert terminal.end() == 0 and terminal.echoes


def ends_with(line: str, lines: list[str]) -> bool:
    return lines[-1] == line


def prompts(lines: list[str]) -> bool:
    return lines[-1:] == [">"]


def test_ctrl_c_clears_the_line_and_twice_leaves(tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4")
    with Terminal(tmp_path, "chat", video, "--offline") as terminal:
        terminal.until(prompts)
        for typed in ("What is", "Who"):
            terminal.send(typed)
            terminal.until(partial(ends_with, f"> {typed}"))
            lines = terminal.interrupt(prompts)
            assert lines[-2] == "Press Ctrl-C again or Ctrl-D to leave."
        assert terminal.interrupted() == 130
        assert not any(line.startswith("To continue later: ") for line in terminal.screen.lines()), "nothing was asked"


def test_words_and_history_of_the_prompt(tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4")
    with Terminal(tmp_path, "chat", video, "--offline") as terminal:
        terminal.until(prompts)
        terminal.send("help\n")
        terminal.until(lambda lines: prompts(lines) and any(line.startswith("  /cost ") for line in lines))
        terminal.send("Exit\n")
        assert terminal.end() == 0
    (history,) = tmp_path.glob("**/chat-history")
    assert history.read_text() == "help\nExit\n" and history.stat().st_mode & 0o777 == 0o600
    with Terminal(tmp_path, "chat", video, "--offline") as terminal:
        terminal.until(prompts)
        terminal.send("\x1b[A\x1b[A")
        terminal.until(lambda lines: lines[-1] == "> help")
        terminal.send("\x04\x15/q\n")
        assert terminal.end() == 0


def test_a_question_that_is_quit_at_once_leaves_a_terminal_that_echoes(tmp_path: Path, long: Path) -> None:
    with Terminal(tmp_path, "ask", long, ASKED, *HEARING) as terminal:
        terminal.until(lambda lines: not terminal.echoes and any("transcribe_speech" in line for line in lines))
        terminal.send("\x03")
        terminal.until(lambda lines: any("Interrupted" in line for line in lines))
        assert terminal.end() == 130 and terminal.echoes


def start(number: int) -> ToolStarted:
    return ToolStarted(f"call-{number}", "transcribe_speech", new_ms=90_000, engine="whisper")


def test_always_is_asked_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["a\n"])
    monkeypatch.setattr(TerminalApproval, "_answer", lambda self: next(answers))
    permission = TerminalApproval()
    assert permission(start(1)) and permission(start(2))
    assert "".join(capsys.readouterr()).count("Continue?") == 1


@pytest.mark.parametrize(("answer", "granted"), [("\n", True), ("Y\n", True), ("yes\n", True), ("n\n", False), ("what?\n", False)])
def test_answers(monkeypatch: pytest.MonkeyPatch, answer: str, granted: bool) -> None:
    monkeypatch.setattr(TerminalApproval, "_answer", lambda self: answer)
    assert TerminalApproval()(start(1)) is granted


def test_what_happens_while_a_question_is_open_is_drawn_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    drawer = LineDisplay()
    with drawer.asking():
        drawer.note("first")
        drawer.draw(Warned("second"))
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "first\nWarning: second\n"


def test_the_tokens_that_a_model_has_written_are_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    monkeypatch.setattr("analyzer_agent.cli.progress.time.monotonic", lambda: now)
    drawer = LineDisplay()
    drawer.draw(Thinking(1, 12))
    for now, tokens in ((101.0, 10), (111.0, 1200), (112.0, 1210)):  # noqa: B007
        drawer.draw(Writing(tokens))
    assert capsys.readouterr().err == "writing, 1200 tokens so far\n"


def test_something_moves_before_the_first_event(tmp_path: Path, long: Path) -> None:
    with Terminal(tmp_path, "ask", long, ASKED, *HEARING) as terminal:
        lines = terminal.until(bool)
        assert "opening long.mp4" in lines[0]
        terminal.until(lambda lines: any("61 s new" in line and re.search(r" \d+ s$", line) for line in lines))
        assert terminal.end() == 0
    questions = tmp_path / "q.jsonl"
    questions.write_text(json.dumps({"id": "a", "video": str(long), "question": ASKED}) + "\n")
    with Terminal(tmp_path, "batch", questions, "--out", "a.jsonl", *HEARING) as terminal:
        lines = terminal.until(bool)
        assert re.match(r"[⠋⠙⠹⠸] 0 of 1 ", lines[0]) and "opening " in lines[0]
        assert terminal.end() == 0
