"""Lines broken at words at the width of a terminal."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from analyzer_agent.cli import main, output
from analyzer_agent.cli.output import Writer, break_line, cited, echo, table, text_width, wrapped
from cli_kit import Cli, talk

TEXT = "A spectre is haunting Europe, the spectre of communism; all the powers of old Europe have entered into a holy alliance."


def command_paths(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield before
    for name, command in group.commands.items():
        yield from command_paths(command, (*before, name)) if isinstance(command, click.Group) else [(*before, name)]


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_to(columns: int) -> None:
        monkeypatch.setattr(output, "terminal_columns", lambda err=False: columns)

    return set_to


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_a_cited_line_is_broken_at_words_and_hangs_beside_its_mark(wide: Callable[..., None], columns: int) -> None:
    wide(columns)
    line = f'[#238] 0:00-0:13 speech, whisper: "{TEXT} {TEXT}"'
    first, *rest = cited(line).split("\n")
    assert rest and first.startswith("  [#238] 0:00-0:13 ")
    assert all(text_width(each) <= columns for each in (first, *rest)) and max(map(text_width, (first, *rest))) > columns - 12
    assert all(each.startswith(" " * 9) and each[9] != " " for each in rest)
    assert " ".join([first.strip(), *map(str.strip, rest)]) == line, "nothing is lost, and no word is broken"


def test_nothing_is_broken_without_a_terminal() -> None:
    assert wrapped(TEXT * 3) == TEXT * 3
    assert cited(f"[#1] {TEXT}") == f"  [#1] {TEXT}"


def test_line_breaks_of_the_text_stay(wide: Callable[..., None]) -> None:
    wide(30)
    assert wrapped("One.\n\nTwo is a line that is longer than that.") == "One.\n\nTwo is a line that is longer\nthan that."


def test_a_terminal_that_is_too_narrow_is_left_alone(wide: Callable[..., None]) -> None:
    wide(25)
    assert wrapped(TEXT, hang=10) == TEXT


def test_wide_characters_take_two_columns_and_are_cut_where_there_is_no_space() -> None:
    pieces = break_line("字幕" * 20, 30, 4)
    assert [text_width(piece) for piece in pieces] == [30, 26, 24] and "".join(pieces) == "字幕" * 20
    assert break_line("e\u0301" * 40, 40) == ["e\u0301" * 40], "combining characters take none"


def test_a_word_longer_than_the_line_is_cut() -> None:
    assert break_line("see " + "x" * 50, 20) == ["see " + "x" * 16, "x" * 20, "x" * 14]


def test_styles_take_no_column_and_are_not_cut(wide: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    wide(30)
    echo(f"  \x1b[1m{'bold ' * 4}\x1b[0m and a few words more", err=True)
    assert capsys.readouterr().err.split("\n") == ["  bold bold bold bold  and a", "  few words more", ""]


def test_wide_columns_of_a_table_are_narrowed_until_the_last_one_has_room(wide: Callable[..., None]) -> None:
    wide(60)
    rows = [["store", "/home/somebody/.local/share/analyzer-agent/store.db and more", 12, TEXT], ["mode", "manager", 3, "Short."]]
    lines = table(["setting", "value", "count", "help"], [[str(cell) for cell in row] for row in rows], numbers=("count",)).split("\n")
    assert all(text_width(line) <= 60 for line in lines) and lines[-1].split() == ["mode", "manager", "3", "Short."]
    assert all(word in " ".join(" ".join(lines).split()) for word in TEXT.split())
    named = table(["session", "videos", "question"], [["20261128-022240-0edab6", "another lecture about the price of fish", TEXT]])
    assert "20261128-022240-0edab6" in named, "a word is not cut while something else can be narrowed"


def test_what_commands_print_fits_the_terminal(wide: Callable[..., None], tmp_path: Path) -> None:
    wide(80)
    cli, videos = Cli(tmp_path), [talk(tmp_path / f"A lecture with quite a long name, part {n}.mp4") for n in range(3)]
    cli("chat", *videos, "--session", "s", "--tools", "subtitles", stdin="How much does one basket of fish cost in the morning?\n")
    for arguments in (["sessions"], ["search", "fish"], ["doctor"], ["config", "list"], ["cache", "stats"], ["chat", "--session", "s"]):
        result = cli(*arguments, stdin="/sessions\n")
        assert [line for line in f"{result.stdout}\n{result.stderr}".splitlines() if text_width(line) > 80] == [], arguments
    assert "A lecture with" in (shown := cli("sessions").stdout) and "and 2" in shown
    refused = cli("ask", *videos, "--tools", "subtitles", "--no-such-option", "What?", code=2).stderr
    assert all(text_width(line) <= 80 for line in refused.splitlines())


@pytest.mark.parametrize("path", list(command_paths(main)), ids=" ".join)
def test_help_fits_eighty_columns(tmp_path: Path, path: tuple[str, ...]) -> None:
    assert [line for line in Cli(tmp_path)(*path, "--help", COLUMNS="80").stdout.splitlines() if len(line) > 80] == []


def test_the_last_column_of_a_table_is_broken(wide: Callable[..., None]) -> None:
    wide(60)
    _head, first, second, *rest = table(["note", "time", "text"], [["#1", "0:00-0:13", TEXT], ["#2", "0:13-0:20", "Short."]]).split("\n")
    assert second.startswith(" " * 17) and second[17] != " " and len(first) <= 60 and rest[-1] == "#2    0:13-0:20  Short."


def test_streamed_words_are_broken_as_the_whole_text_is(wide: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    wide(40)
    writer = Writer()
    for at in range(0, len(TEXT), 3):
        writer.write(TEXT[at : at + 3])
    writer.end()
    assert capsys.readouterr().out == wrapped(TEXT) + "\n"


def test_streamed_text_is_kept_as_it_is_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    writer = Writer()
    for piece in ("One  line", "\n\nano", "ther\tline. \n"):
        writer.write(piece)
    writer.end()
    assert capsys.readouterr().out == "One  line\n\nanother\tline.\n"


def test_names_are_replaced_in_what_streams(capsys: pytest.CaptureFixture[str]) -> None:
    writer = Writer(lambda text: text.replace("my_talk.mp4", "my talk.mp4"))
    for piece in ("In my_", "talk", ".mp4 it ", "is."):
        writer.write(piece)
    writer.end()
    assert capsys.readouterr().out == "In my talk.mp4 it is.\n"
