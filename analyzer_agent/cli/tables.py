"""Tables as plain text, for people and for `grep`.

Knows nothing of what is in them.
"""

from collections.abc import Collection, Sequence

import click

from analyzer_agent.cli.safe_json import one_line
from analyzer_agent.cli.wrapping import text_width, wrapped


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """Return columns as wide as they need to be, the last one unpadded; `numbers` names the columns that stand to the right.

    On a terminal the last column is broken at words to fit.
    """
    cells = [[one_line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(text_width(row[n]) for row in cells) for n in range(len(head))]
    lines = ["  ".join(_padded(cell, widths[n], head[n] in numbers) for n, cell in enumerate(row)).rstrip() for row in cells]
    left = sum(widths[:-1]) + 2 * len(widths[:-1])
    return "\n".join([click.style(lines[0], bold=True), *(wrapped(line, left) for line in lines[1:])])


def _padded(cell: str, width: int, right: bool) -> str:
    room = " " * (width - text_width(cell))
    return room + cell if right else cell + room
