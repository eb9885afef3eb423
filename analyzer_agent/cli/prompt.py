"""The prompt of `chat`: line editing, history, and a Ctrl-C that first clears the line."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import click

_PROMPT = "> "
_MAX_HISTORY_LINES = 1000
_EXIT_HINT = "Press Ctrl-C again or Ctrl-D to leave."


class Prompt:
    """Reads lines from stdin; on a terminal, with a history file that only the user can read.

    Args:
        history: the history file; it and its folder need not exist.
    """

    def __init__(self, history: Path) -> None:
        self.tty = sys.stdin.isatty()
        self._history = history
        self._editor: ModuleType | None = None
        self._last = ""
        if self.tty:
            with suppress(ImportError):
                import readline  # input() then edits and recalls lines

                self._editor = readline
                self._recall()

    def read(self) -> str:
        """Return the next line.

        Raises:
            EOFError: end of input, or Ctrl-D.
            KeyboardInterrupt: Ctrl-C; on a terminal, twice in a row on an empty line.
        """
        pressed = False
        while True:
            try:
                line = input(_PROMPT if self.tty else "").strip()
            except KeyboardInterrupt:
                if not self.tty or (pressed and not self._typed()):
                    raise
                pressed = True
                click.echo(f"\n{click.style(_EXIT_HINT, dim=True)}", err=True)
                continue
            self._keep(line)
            return line

    def _typed(self) -> str:
        return str(self._editor.get_line_buffer()) if self._editor else ""

    def _recall(self) -> None:
        assert self._editor
        with suppress(OSError):
            lines = self._history.read_text(encoding="utf-8", errors="replace").splitlines()
            for line in lines[-_MAX_HISTORY_LINES:]:
                self._editor.add_history(line)
            self._last = lines[-1] if lines else ""
            if len(lines) > 2 * _MAX_HISTORY_LINES:
                self._history.write_text("".join(f"{line}\n" for line in lines[-_MAX_HISTORY_LINES:]), encoding="utf-8")

    def _keep(self, line: str) -> None:
        if not self._editor or line in ("", self._last):
            return
        self._last = line
        with suppress(OSError):  # history is optional
            self._history.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(file, "w", encoding="utf-8", errors="replace") as out:
                out.write(f"{line}\n")
