"""Asking before a step that takes long. The question comes from the thread that runs the step, the answer from the terminal.

Knows nothing of how long is long.
"""

import sys
import threading

import click

from analyzer_agent.cli.drawing import Drawer, amount, subject
from analyzer_agent.cli.plain import one_line
from analyzer_agent.events import ToolStarted

_POLL_S = 0.2


class Permission:
    """Asks on the terminal whether a step may run. One question at a time; Ctrl-C at the question declines it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawer: Drawer | None = None
        self._stopped = threading.Event()

    def attend(self, drawer: Drawer) -> None:
        """Use this drawer from now on: it is paused for a question."""
        self._drawer = drawer
        self._stopped.clear()

    def stop(self) -> None:
        """Decline the question that is open, if there is one."""
        self._stopped.set()

    def __call__(self, start: ToolStarted) -> bool:
        """Return whether the step may run."""
        with self._lock:
            if self._drawer:
                self._drawer.pause()
            told = f"about {amount(start.estimate_ms)}" if start.estimate_ms is not None else "an unknown time: it never ran here"
            click.echo(f"{one_line(subject(start))} would take {told}. Go on? [Y/n] ", nl=False, err=True)
            return self._answer().strip().lower() in ("", "y", "yes")

    def _answer(self) -> str:
        # Polling, so that Ctrl-C, which only the main thread hears, ends the wait as well.
        try:
            import select

            while not self._stopped.is_set():
                if select.select([sys.stdin], [], [], _POLL_S)[0]:
                    return sys.stdin.readline() or "n"
        except (ImportError, OSError, ValueError):
            return sys.stdin.readline() or "n"
        return "n"
