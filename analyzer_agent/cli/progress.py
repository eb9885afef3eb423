"""Draw events on stderr: live on a terminal, as plain lines elsewhere, not at all with `--quiet`.

Text from videos is sanitized and never interpreted as markup.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from analyzer_agent.cli import terminal
from analyzer_agent.cli.output import echo, warn
from analyzer_agent.events import (
    Answered,
    Event,
    Progress,
    SentBack,
    TextDelta,
    Thinking,
    ToolFinished,
    ToolStarted,
    Verifying,
    Waiting,
    Warned,
    Writing,
)
from analyzer_agent.sanitize import one_line
from analyzer_agent.wording import amount, counted, estimate, finished, subject

_LINE_INTERVAL_S = 5.0
"""Seconds between two plain lines on the progress of one call."""

_WIDE = 100
"""Terminals with at least this many columns get long bars."""

_WRITING_INTERVAL_S = 10.0
"""Seconds between two plain lines on what the model writes."""

_COUNT_INTERVAL_S = 30.0
"""Seconds between two plain lines on the progress of a batch."""


class ProgressDisplay:
    """Context manager that draws events; this base class draws warnings only.

    Thread-safe. While a question to the user is open, drawing is deferred.
    """

    def __init__(self, titled: Callable[[str], str] = str) -> None:
        self.titled = titled
        self._lock = threading.RLock()
        self._asking = False
        self._kept: list[Callable[[], None]] = []

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def draw(self, event: Event) -> None:
        """Draw an event."""
        self._when_free(lambda: self._draw(event))

    def note(self, text: str) -> None:
        """Print a permanent line."""
        self._when_free(lambda: self._note(self._words(text)))

    def count(self, done: int, total: int, text: str) -> None:
        """Show the progress of a batch, with its figures so far."""
        self._when_free(lambda: self._count(done, total, text))

    def busy(self, text: str) -> None:
        """Show a spinner with this text until the first event, if the display is live."""

    def pause(self) -> None:
        """Remove live bars from the terminal until the next event."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Defer all drawing while the block asks the user something."""
        with self._lock:
            self.pause()
            self._asking = True
        try:
            yield
        finally:
            with self._lock:
                self._asking, kept, self._kept = False, self._kept, []
                for show in kept:
                    show()

    def _when_free(self, show: Callable[[], None]) -> None:
        with self._lock:
            if self._asking:
                self._kept.append(show)
            else:
                show()

    def _draw(self, event: Event) -> None:
        if isinstance(event, Warned):
            warn(self._words(event.text))

    def _words(self, text: str) -> str:
        return one_line(self.titled(text))

    def _note(self, text: str) -> None:
        pass

    def _count(self, done: int, total: int, text: str) -> None:
        pass


def progress_display(quiet: bool, titled: Callable[[str], str] = str) -> ProgressDisplay:
    """Return the display that suits stderr; `titled` replaces video ids by file names."""
    if quiet:
        return ProgressDisplay(titled)
    return LiveDisplay(titled) if sys.stderr.isatty() else LineDisplay(titled)


class LineDisplay(ProgressDisplay):
    """Plain lines, for logs and pipes."""

    def __init__(self, titled: Callable[[str], str] = str) -> None:
        super().__init__(titled)
        self._begun: dict[str, ToolStarted] = {}
        self._printed: dict[str, float] = {}
        """When the last line on a call, a wait or the batch was printed."""

    def _draw(self, event: Event) -> None:
        match event:
            case Thinking():
                self._printed["writing"] = time.monotonic()
            case Writing() if self._is_due("writing", _WRITING_INTERVAL_S):
                self.note(str(event))
            case ToolStarted():
                self._begun[event.call_id] = event
                self._is_due(event.call_id, _LINE_INTERVAL_S)
                if event.new_ms:
                    self.note(str(event))
            case Progress() if self._is_due(event.call_id, _LINE_INTERVAL_S):
                self.note(str(event))
            case Waiting() if self._is_due(f"waiting {event.call_id}", math.inf):
                self.note(str(event))
            case ToolFinished():
                self._printed.pop(f"waiting {event.result.call_id}", None)
                self.note(finished(event.result, self._begun.pop(event.result.call_id, None)))
            case SentBack():
                self.note(str(event))
            case Warned():
                super()._draw(event)

    def _is_due(self, subject: str, interval_s: float) -> bool:
        """Tell whether the last line on this subject is so long ago; if so, the next one counts from now."""
        now = time.monotonic()
        if now - self._printed.get(subject, -math.inf) < interval_s:
            return False
        self._printed[subject] = now
        return True

    def _count(self, done: int, total: int, text: str) -> None:
        if self._is_due("count", _COUNT_INTERVAL_S):
            self.note(f"{done} of {total}: {text}")

    def _note(self, text: str) -> None:
        echo(text, err=True)


class LiveDisplay(ProgressDisplay):
    """A spinner with bars on a terminal; finished calls become lines above it."""

    def __init__(self, titled: Callable[[str], str] = str) -> None:
        super().__init__(titled)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24 if self._console.width >= _WIDE else 12),
            TextColumn("{task.fields[far]}", markup=False, style="dim"),
            TextColumn("{task.elapsed:.0f} s", markup=False, style="dim"),  # keeps moving during a long step
        )
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._tasks: dict[str, Any] = {}
        self._begun: dict[str, ToolStarted] = {}
        self._step = "thinking"

    def __enter__(self) -> "LiveDisplay":
        terminal.echo_off()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()
        terminal.echo_on()

    def busy(self, text: str) -> None:
        """Show a spinner with this text until the first event."""
        self._when_free(lambda: self._set("think", text))

    def pause(self) -> None:
        """Remove the bars until the next event."""
        with self._lock:
            self._progress.stop()

    def _draw(self, event: Event) -> None:
        match event:
            case Thinking() | Verifying():
                self._step = str(event)
                self._set("think", self._step)
            case Writing():
                self._set("think", self._step, far=f"{counted(event.tokens, 'token')} so far")
            case SentBack():
                self._line(("-", "yellow"), str(event))
            case ToolStarted():
                self._drop("think")
                self._begun[event.call_id] = event
                self._set(event.call_id, subject(event), total=event.new_ms, far=f"{amount(event.new_ms)} new{estimate(event)}")
            case Progress():
                far = f"{amount(event.done_ms)} of {amount(event.total_ms)}"
                begun = self._begun.get(event.call_id)
                self._set(event.call_id, subject(begun) if begun else event.tool, total=event.total_ms, done=event.done_ms, far=far)
            case Waiting():
                self._set(event.call_id, f"{event.tool}: waiting for another process that analyzes {event.span}")
            case ToolFinished():
                self._drop(event.result.call_id)
                mark = ("-", "yellow") if event.result.refused else ("✓", "green")
                self._line(mark, finished(event.result, self._begun.pop(event.result.call_id, None)))
            case Warned():
                self._line(("!", "yellow"), event.text)
            case TextDelta() | Answered():
                self._drop("think")
                self.pause()

    def _note(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style="dim"))

    def _count(self, done: int, total: int, text: str) -> None:
        self._drop("think")
        self._set("count", f"{done} of {total}", total=total, done=done, far=text)

    def _set(self, name: str, text: str, *, total: int = 0, done: int = 0, far: str = "") -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task("", total=None, far="")
        self._progress.update(self._tasks[name], description=self._words(text), total=total or None, completed=done, far=one_line(far))
        self._progress.start()

    def _drop(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))

    def _line(self, mark: tuple[str, str], text: str) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(mark, " ", (self._words(text), "dim")))
