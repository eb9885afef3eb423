"""Wrap lines at the terminal's width; output that is not a terminal is left unwrapped."""

import re
import shutil
import sys
import unicodedata
from collections.abc import Callable

import click

from analyzer_agent.cli.safe_json import sanitize

_NO_WIDTH = ("Mn", "Me", "Cf")
_STYLE = re.compile(r"\x1b\[[\d;]*m")
_MIN_ROOM = 20
"""Do not wrap if fewer columns than this remain after the indent."""


def terminal_columns(err: bool = False) -> int:
    """Return the width in columns of the terminal on stdout (or stderr), 0 if there is none."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def text_width(text: str) -> int:
    """Return the width in columns: wide characters take two, combining ones and styles none."""
    text = _STYLE.sub("", text) if "\x1b" in text else text
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
