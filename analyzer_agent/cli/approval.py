"""Ask the user before a long step. The thread that runs the step calls in and waits.

The scheduler decides which steps are long.
"""

import shutil
import sys
import threading
from collections.abc import Callable

import click

from analyzer_agent.cli import terminal
from analyzer_agent.cli.output import text_width
from analyzer_agent.cli.progress import ProgressDisplay
from analyzer_agent.events import ToolStarted
from analyzer_agent.sanitize import one_line
from analyzer_agent.wording import amount

_POLL_S = 0.2
_QUIT = ("/quit", "/q", "/exit", "quit", "exit")
_GO_ON = "Continue? [Y/n/a] (a = always in this session) "


class TerminalApproval:
    """A callback that asks on the terminal, one question at a time; Ctrl-C declines."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawer = ProgressDisplay()
        self._stopped = threading.Event()
        self._always = False
        self._cancel: Callable[[], None] = lambda: None
        self.left = False
        """Whether the user typed `/quit` at a question."""

    def attend(self, drawer: ProgressDisplay, cancel: Callable[[], None]) -> None:
        """Pause this display while a question is open; `cancel` stops the question when the user leaves."""
        self._drawer, self._cancel = drawer, cancel
        self._stopped.clear()

    def stop(self) -> None:
        """Decline the open question, if there is one."""
        if self._lock.locked():
            click.echo(err=_on_stderr())
        self._stopped.set()

    def __call__(self, start: ToolStarted) -> bool:
        """Return whether the step may run."""
        with self._lock:
            if self._always:
                return True
            with self._drawer.asking(), terminal.echo_while_answering():
                click.echo(
                    f"{question(start, self._drawer.titled, shutil.get_terminal_size().columns)}\n{_GO_ON}", nl=False, err=_on_stderr()
                )
                answer = self._answer().strip().lower()
            if answer in _QUIT:
                self.left = True
                self._cancel()
                return False
            self._always = answer in ("a", "always")
            return self._always or answer in ("", "y", "yes")

    def _answer(self) -> str:
        # Poll: only the main thread receives Ctrl-C, and it must end this wait too.
        try:
            import select

            while not self._stopped.is_set():
                if select.select([sys.stdin], [], [], _POLL_S)[0]:
                    return sys.stdin.readline() or "n"
        except (ImportError, OSError, ValueError):
            return sys.stdin.readline() or "n"
        return "n"


def can_ask() -> bool:
    """Tell whether there is a terminal both to ask on and to read from."""
    return sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty())


def question(start: ToolStarted, titled: Callable[[str], str], columns: int) -> str:
    """Return the question on one line, with as many details as fit into `columns`."""
    video, engine = one_line(titled(str(start.args.get("video") or ""))), one_line(start.engine)
    told = "may take a while (not measured here yet)" if start.estimate_ms is None else f"would take about {amount(start.estimate_ms)}"
    step = f"{one_line(start.tool)} on {amount(start.new_ms)}"
    ways = [f"{step}{of}{by} {told}." for of in (f" of {video}" if video else "", "") for by in (f" with {engine}" if engine else "", "")]
    return next((way for way in ways if text_width(way) <= columns), ways[-1])


def _on_stderr() -> bool:
    return sys.stderr.isatty()
