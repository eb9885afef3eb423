"""Lines broken at words at the terminal's width, later ones indented; nothing is broken where the output is no terminal.

Knows nothing of what the lines say.
"""

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
"""With fewer columns than this beside the indent, lines are left to the terminal."""


def terminal_columns(err: bool = False) -> int:
    """Return the width of the terminal that stdout (or stderr) is, 0 where it is none."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else 0


def text_width(text: str) -> int:
    """Return how many columns a terminal gives to a text: wide characters take two, combining ones and styles none."""
    text = _STYLE.sub("", text) if "\x1b" in text else text
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.category(c) in _NO_WIDTH else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, hang: int = 0, *, err: bool = False) -> str:
    """Return text for stdout (or stderr), each of its lines broken to fit the terminal and continued `hang` columns further right."""
    wide = terminal_columns(err)
    if wide - hang < _MIN_ROOM:
        return text
    return "\n".join(f"\n{' ' * hang}".join(break_line(line, wide, hang)) for line in text.split("\n"))


def break_line(line: str, wide: int, hang: int = 0) -> list[str]:
    """Return a line in pieces of at most `wide` columns, or `hang` less from the second on; words longer than that are cut."""
    pieces, piece = list[str](), ""
    for word in re.findall(r"\s*\S+", line):
        room = wide - (hang if pieces else 0)
        if text_width(piece + word) > room and piece.strip() and text_width(word.strip()) <= wide - hang:
            pieces.append(piece)
            piece = word.strip()
            continue
        if "\x1b" in word:  # styled: never cut
            piece += word
            continue
        for character in word:
            if text_width(piece + character) > wide - (hang if pieces else 0):
                pieces.append(piece)
                piece = ""
            piece += character
    return [*pieces, piece]


def echo(text: str = "", hang: int | None = None, *, err: bool = False) -> None:
    """Print text on stdout (or stderr), wrapped at words on a terminal; all that is no JSON and no file goes through here.

    Args:
        text: may be styled.
        hang: columns by which continued lines are indented; by default as far as their first line.
        err: print on stderr.
    """
    lines = (wrapped(line, len(line) - len(line.lstrip(" ")) if hang is None else hang, err=err) for line in text.split("\n"))
    click.echo("\n".join(lines), err=err)


class Writer:
    """Writes text on stdout as it streams, whole words at a time, broken at the terminal's width; `titled` is applied to each word."""

    def __init__(self, titled: Callable[[str], str] = str) -> None:
        self._titled = titled
        self._begun = ""
        self._gap = ""
        self._column = 0

    def write(self, text: str) -> None:
        """Write the words that are complete, and keep the last one."""
        *tokens, self._begun = re.findall(r"\s+|\S+", self._begun + text) or [""]
        self._put(tokens)

    def end(self) -> None:
        """Write what was kept, and end the line."""
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
