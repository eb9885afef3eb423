"""`chat` on a pseudo-terminal: questions that can be seen, and a keyboard that scrambles nothing."""

import os

import pytest
from cli_kit import talk

if os.name != "posix":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

from terminal_kit import Terminal

from analyzer_agent.cli.drawing import Lines
from analyzer_agent.cli.permission import Permission
from analyzer_agent.events import ToolStarted, Warned

GO_ON = "Go on? [Y/n/a] (a = always in this session)"
ASKED = "What does Nicolas say?"


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """An ordinary clip, just long enough that an engine which never ran here is asked for."""
    return talk(tmp_path_factory.mktemp("long") / "long.mp4", cues=(), seconds=61)


@pytest.mark.parametrize(
    ("columns", "step"),
    [
        (80, "transcribe_speech on 61 s may take a while: never measured here."),
        (140, "transcribe_speech on 61 s with pocketsphinx may take a while: never measured here."),
    ],
)
def test_the_question_before_a_long_step_is_seen_and_answered(tmp_path, long, columns, step):
    with Terminal(tmp_path, "chat", long, "--tools", "speech", "--engine", "speech=pocketsphinx", columns=columns) as terminal:
        terminal.until(lambda lines: lines[-1:] == [">"])
        terminal.send(f"{ASKED}\n")
        lines = terminal.until(lambda lines: any(line.startswith("Go on?") for line in lines))
        assert lines[-1] == GO_ON and terminal.echoes
        assert lines[-2] == step
        terminal.send("y\n")
        lines = terminal.until(lambda lines: lines[-1] == ">" and any(line.startswith("Cost: ") for line in lines))
        assert f"{GO_ON} y" in lines, "the question stays as it was"
        assert any(line.startswith("✓ transcribe_speech") and "61 s new in" in line for line in lines)
        terminal.send("\x04")
        assert terminal.end() == 0 and terminal.echoes


def start(number):
    return ToolStarted(f"call-{number}", "transcribe_speech", new_ms=90_000, engine="whisper")


def test_always_is_asked_once(monkeypatch, capsys):
    answers = iter(["a\n"])
    monkeypatch.setattr(Permission, "_answer", lambda self: next(answers))
    permission = Permission()
    assert permission(start(1)) and permission(start(2))
    assert "".join(capsys.readouterr()).count("Go on?") == 1


@pytest.mark.parametrize(("answer", "granted"), [("\n", True), ("Y\n", True), ("yes\n", True), ("n\n", False), ("what?\n", False)])
def test_answers(monkeypatch, answer, granted):
    monkeypatch.setattr(Permission, "_answer", lambda self: answer)
    assert Permission()(start(1)) is granted


def test_what_happens_while_a_question_is_open_is_drawn_after_it(capsys):
    drawer = Lines()
    with drawer.asking():
        drawer.note("first")
        drawer.draw(Warned("second"))
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "first\nWarning: second\n"
