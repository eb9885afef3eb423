"""Make docs/demo.svg: run a command in a terminal, and draw what it shows at the end.

    python docs/cast.py [COMMAND...]

Needs the extra `docs` and a system with pseudo-terminals (Linux, macOS).
"""

import os
import pty
import re
import shlex
import sys
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

COLUMNS, ROWS, MOST_LINES = 100, 400, 30
COMMAND = ("analyzer-agent", "demo")
ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).with_name("demo.svg")


def recorded(command: list[str]) -> bytes:
    """Run a command in a terminal of its own; return all that it wrote."""
    child, terminal = pty.fork()
    if child == 0:
        environment = os.environ | {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
        os.execvpe(command[0], command, environment)
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the child has gone
            part = b""
        if not part:
            break
        written += part
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{shlex.join(command)} failed: {os.waitstatus_to_exitcode(status)}")
    return written.replace(str(ROOT).encode(), b".")  # nobody needs the folders of the machine where it was recorded


def drawn(written: bytes, title: str) -> str:
    """Return the terminal as SVG: its first lines after all cursor moves, with colours."""
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(screen).feed(written)
    lines = [line.rstrip() for line in screen.display]
    last = max((number for number, line in enumerate(lines) if line), default=0)
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text(f"$ {title}", style="bold"))
    for number in range(min(last + 1, MOST_LINES)):
        text = Text()
        cells = [screen.buffer[number][column] for column in range(len(lines[number]))]
        for (colour, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            text.append("".join(cell.data for cell in run), Style(color=_colour(colour), bold=bold))
        console.print(text, no_wrap=True, crop=False)
    svg = console.export_svg(title=title, unique_id="cast")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)  # they would be fetched from a server


def _colour(name: str) -> str | None:
    """Return a colour of pyte as rich names it."""
    if name == "default":
        return None
    return {"brown": "yellow"}.get(name, f"#{name}" if len(name) == 6 and name.isalnum() and not name.isalpha() else name)


if __name__ == "__main__":
    command = sys.argv[1:] or list(COMMAND)
    OUT.write_text(drawn(recorded(command), shlex.join(command)), encoding="utf-8")
    print(OUT)
