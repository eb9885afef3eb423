"""Format tables as plain text, for people and for `grep`."""

from collections.abc import Collection, Sequence

import click

from analyzer_agent.cli import wrapping
from analyzer_agent.cli.safe_json import one_line
from analyzer_agent.cli.wrapping import break_line, text_width

_GAP = 2
_MIN_COLUMN = 10
"""The minimum width of text columns."""

_MIN_LAST = 20
"""The width of the last column, if it needs it, at which narrowing the others stops."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """Return a table; on a terminal, wrap the last column and, if needed, the widest ones.

    Args:
        head: the column names.
        rows: the cells.
        numbers: the columns to align to the right.
    """
    cells = [[one_line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(text_width(row[n]) for row in cells) for n in range(len(head))]
    if wide := wrapping.terminal_columns():
        least = [max(text_width(word) for row in cells for word in (row[n].split() or [""])) for n in range(len(head))]
        widths = _fitted(widths, least, [name not in numbers for name in head], wide)
    first, *lines = (line for row in cells for line in _row(row, widths, [name in numbers for name in head], bool(wide)))
    return "\n".join([click.style(first, bold=True), *lines])


def _fitted(widths: Sequence[int], least: Sequence[int], narrows: Sequence[bool], wide: int) -> list[int]:
    """Return widths that leave room for the last column, whose own width is the rest; `widths` if that is impossible.

    Args:
        widths: the widths of the columns.
        least: the width of the longest word of each.
        narrows: whether a column may be narrowed.
        wide: the width of the terminal.
    """
    *fitted, last = widths
    gaps = _GAP * len(fitted)
    words = [max(longest, _MIN_COLUMN) for longest in least]
    for floors in (words, [_MIN_COLUMN] * len(words)):  # words are cut only if nothing else helps
        while sum(fitted) + gaps + min(last, _MIN_LAST) > wide:
            able = [n for n, width in enumerate(fitted) if narrows[n] and width > floors[n]]
            if not able:
                break
            fitted[max(able, key=lambda n: fitted[n])] -= 1
    if sum(fitted) + gaps + min(last, _MIN_LAST) > wide:
        return list(widths)
    return [*fitted, min(last, wide - sum(fitted) - gaps)]


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], broken: bool) -> list[str]:
    pieces = [break_line(cell, width) if broken else [cell] for cell, width in zip(cells, widths, strict=True)]
    lines = [[column[n] if n < len(column) else "" for column in pieces] for n in range(max(map(len, pieces)))]
    gap = " " * _GAP
    return [gap.join(_padded(*cell) for cell in zip(line, widths, right, strict=True)).rstrip() for line in lines]


def _padded(cell: str, width: int, right: bool) -> str:
    room = " " * (width - text_width(cell))
    return room + cell if right else cell + room
