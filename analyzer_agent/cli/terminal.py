"""Ctrl-C, the echo of the terminal, and the prompt of `chat`.

Ctrl-C stops at the next safe point, and a second one quits at once; finished grains are in the
store already. While progress is drawn, typed text is not echoed but kept. Without a terminal, or in
a background process, which a change of the terminal would stop, the echo stays as it is.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import click

from analyzer_agent.cli.errors import INTERRUPTED

_before: Any = None
"""The terminal's attributes before `echo_off`; None while it echoes."""

_PROMPT = "> "
_MAX_HISTORY_LINES = 1000
_EXIT_HINT = "Press Ctrl-C again or Ctrl-D to leave."

GRACE_S = 2.0
"""Seconds that a command may take to stop by itself."""


@contextmanager
def interruptible(
    cancel: Callable[[], None], *, on_stop: Callable[[], None] = lambda: None, grace: float | None = GRACE_S
) -> Iterator[None]:
    """Run the block so that Ctrl-C calls `cancel` and raises KeyboardInterrupt.

    Args:
        cancel: requests a stop after the current grain.
        on_stop: called at the first Ctrl-C, to tidy up the terminal.
        grace: seconds until the process is ended; None waits for the grain or a second Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: quit_at_once())
        on_stop()
        cancel()
        if grace is not None:
            threading.Thread(target=_quit_later, args=(ended, grace), daemon=True).start()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGINT, before)


def _quit_later(ended: threading.Event, grace: float) -> None:
    if not ended.wait(grace):
        quit_at_once()


def quit_at_once() -> None:
    """End the process now, whatever runs in it."""
    echo_on()
    sys.stdout.flush()
    sys.stderr.write("\nInterrupted. Finished work is stored.\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def echo_off() -> None:
    """Stop echoing typed text."""
    global _before
    if _before is not None or not _is_own_terminal():
        return
    import termios

    with suppress(termios.error):
        was = termios.tcgetattr(sys.stdin)
        silent = [*was]
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
        _before = was


def echo_on() -> None:
    """Echo again, if `echo_off` stopped it. Safe to call at any time, from any thread."""
    global _before
    was, _before = _before, None
    if was is None or not _is_own_terminal():
        return
    import termios

    with suppress(termios.error):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, was)


@contextmanager
def echo_while_answering() -> Iterator[None]:
    """Echo while the block runs; first drop typed-ahead text, which was not meant as an answer."""
    hushed = _before is not None
    echo_on()
    if _is_own_terminal():
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
    try:
        yield
    finally:
        if hushed:
            echo_off()


def _is_own_terminal() -> bool:
    """Tell whether stdin is a terminal that this process may change."""
    try:
        return os.name == "posix" and sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


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
