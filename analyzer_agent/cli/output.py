"""Print text, tables, answers and JSON; on a terminal, lines are wrapped at its width."""

import itertools
import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import click

from analyzer_agent.records import Answer
from analyzer_agent.sanitize import UNSAFE_OR_BREAK, one_line, sanitize
from analyzer_agent.wording import Role, answer_lines

_NO_WIDTH = ("Mn", "Me", "Cf")
_MIN_ROOM = 20
"""Do not wrap if fewer columns than this remain after the indent."""

_GAP = 2
_MIN_COLUMN = 10
"""The minimum width of text columns in tables."""

_MIN_LAST = 20
"""The width of the last column of a table, if it needs it, at which narrowing the others stops."""

_STYLES: Mapping[Role, Mapping[str, Any]] = {"answer": {"bold": True}, "doubt": {"fg": "yellow"}, "cost": {"dim": True}}
_HANGING: Mapping[Role, int] = {"doubt": 4, "unexamined": 2, "ending": 2, "cost": 2}
"""Indent of continuation lines, in columns."""


def safe_json(value: Any, indent: int | None = 2) -> str:
    """Return JSON without control characters and line separators, encodable for stdout."""
    ascii_only = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") != "utf8"
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    return UNSAFE_OR_BREAK.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def terminal_columns(err: bool = False) -> int:
    """Return the width in columns of the terminal on stdout (or stderr), 0 if there is none."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def text_width(text: str) -> int:
    """Return the width in columns: wide characters take two, combining ones and styles none."""
    text = click.unstyle(text)
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.category(c) in _NO_WIDTH else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, hang: int = 0, *, err: bool = False) -> str:
    """Wrap each line for stdout (or stderr), indenting continuation lines by `hang` columns."""
    wide = terminal_columns(err)
    if wide - hang < _MIN_ROOM:
        return text
    return "\n".join(f"\n{' ' * hang}".join(break_line(line, wide, hang)) for line in text.split("\n"))


def break_line(line: str, wide: int, hang: int = 0) -> list[str]:
    """Split a line at words into pieces of `wide` columns, later ones of `wide - hang`."""
    pieces, piece = list[str](), ""
    for word in re.findall(r"\s*\S+", line):
        room = wide - (hang if pieces else 0)
        if text_width(piece + word) > room and piece.strip() and text_width(word.strip()) <= wide - hang:
            pieces.append(piece)
            piece = word.strip()
            continue
        if "\x1b" in word:  # never split a style sequence
            piece += word
            continue
        for character in word:
            if text_width(piece + character) > wide - (hang if pieces else 0):
                pieces.append(piece)
                piece = ""
            piece += character
    return [*pieces, piece]


def echo(text: str = "", hang: int | None = None, *, err: bool = False) -> None:
    """Print text, wrapped on a terminal. Use it for all output except JSON and file contents.

    Args:
        text: the text, which may be styled.
        hang: the indent of continuation lines in columns; by default that of the first line.
        err: print on stderr.
    """
    lines = (wrapped(line, len(line) - len(line.lstrip(" ")) if hang is None else hang, err=err) for line in text.split("\n"))
    click.echo("\n".join(lines), err=err)


def echo_marked(mark: str, text: str, **style: Any) -> None:
    """Print `mark: text` on stderr, with the mark in this style."""
    told = wrapped(f"{mark}: {sanitize(text)}", err=True)
    click.echo(click.style(f"{mark}:", **style) + told.removeprefix(f"{mark}:"), err=True)


def warn(text: str) -> None:
    """Print a warning line on stderr."""
    echo_marked("Warning", one_line(text), fg="yellow")


class Writer:
    """Writes streamed text to stdout word by word, wrapped; `titled` is applied to each word."""

    def __init__(self, titled: Callable[[str], str] = str) -> None:
        self._titled = titled
        self._begun = ""
        self._gap = ""
        self._column = 0

    def write(self, text: str) -> None:
        """Write the complete words, and buffer the last one."""
        *tokens, self._begun = re.findall(r"\s+|\S+", self._begun + text) or [""]
        self._put(tokens)

    def end(self) -> None:
        """Write the buffered word, and end the line."""
        self._put([self._begun] if self._begun.strip() else [])
        if self._column:
            click.echo()
        self._begun, self._gap, self._column = "", "", 0

    def _put(self, tokens: list[str]) -> None:
        for token in tokens:
            word = sanitize(self._titled(token))
            if not word.strip():
                self._gap += word
                continue
            if "\n" in self._gap:
                self._column = 0
            elif self._column + text_width(self._gap + word) > (terminal_columns() or sys.maxsize) and self._column:
                self._gap, self._column = "\n", 0
            click.echo(self._gap + word, nl=False)
            self._column += text_width((self._gap + word).rpartition("\n")[2])
            self._gap = ""
        sys.stdout.flush()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = (), without: Collection[str] = ()) -> str:
    """Return a table; on a terminal, wrap the last column and, if needed, the widest ones.

    Args:
        head: the column names.
        rows: the cells.
        numbers: the columns to align to the right.
        without: the columns to leave out.
    """
    cells = [[one_line(cell) for name, cell in zip(head, row, strict=True) if name not in without] for row in [head, *rows]]
    head = cells[0]
    widths = [max(map(text_width, column)) for column in zip(*cells, strict=True)]
    wide = terminal_columns()
    if wide:
        longest = [max(text_width(word) for cell in column for word in (cell.split() or [""])) for column in zip(*cells, strict=True)]
        widths = _fitted(widths, longest, [name not in numbers for name in head], wide)
    lines = []
    for row in cells:
        pieces = [break_line(cell, width) if wide else [cell] for cell, width in zip(row, widths, strict=True)]
        for line in itertools.zip_longest(*pieces, fillvalue=""):
            padded = [_padded(cell, width, name in numbers) for cell, width, name in zip(line, widths, head, strict=True)]
            lines.append((" " * _GAP).join(padded).rstrip())
    return "\n".join([click.style(lines[0], bold=True), *lines[1:]])


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """Return a table in Markdown; `numbers` are the columns to align to the right."""
    rule = "|".join("---:" if name in numbers else "---" for name in head)
    return "\n".join([f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _padded(cell: str, width: int, right: bool) -> str:
    room = " " * (width - text_width(cell))
    return room + cell if right else cell + room


def _fitted(widths: Sequence[int], longest: Sequence[int], narrows: Sequence[bool], wide: int) -> list[int]:
    """Return widths that leave room for the last column, whose own width is the rest; `widths` if that is impossible.

    Args:
        widths: the widths of the columns.
        longest: the width of the longest word of each.
        narrows: whether a column may be narrowed.
        wide: the width of the terminal.
    """
    *fitted, last = widths
    room = wide - _GAP * len(fitted) - min(last, _MIN_LAST)
    for floors in ([max(word, _MIN_COLUMN) for word in longest], [_MIN_COLUMN] * len(longest)):  # words are cut only if nothing else helps
        while sum(fitted) > room:
            able = [n for n, width in enumerate(fitted) if narrows[n] and width > floors[n]]
            if not able:
                break
            fitted[max(able, key=lambda n: fitted[n])] -= 1
    if sum(fitted) > room:
        return list(widths)
    return [*fitted, min(last, wide - sum(fitted) - _GAP * len(fitted))]


def print_answer(answer: Answer, *, streamed: bool = False, **details: Any) -> None:
    """Print an answer on stdout.

    Args:
        answer: the answer.
        streamed: its text was streamed to the terminal already; print the rest only.
        details: arguments for `answer_lines`.
    """
    for role, line in answer_lines(answer, **details):
        if role == "citation":
            click.echo(cited(line.strip()))
        elif role != "answer" or not streamed:
            click.echo(click.style(wrapped(line, _HANGING.get(role, 0)), **_STYLES.get(role, {})))


def cited(line: str) -> str:
    """Return a line that starts with a citation mark, indented and wrapped to the right of it."""
    return wrapped(f"  {line}", 3 + len(line.partition(" ")[0]))
