"""What a figure is, and how two ways of doing one thing are timed against each other.

Knows nothing of videos or analyzers.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Args:
        what: what was measured.
        against: what it was measured against, or "" where a limit stands alone.
        values: one per run; the figure is their median.
        unit: what they count: "x" (times as fast), "%", "ms", "MB", "notes/s", "calls".
        target: what was set out to be reached; None where a figure only explains another.
        at_most: whether the target is an upper limit.
        same: what was compared with the other way's result and found equal.
        why: why there are no values: what is missing here.
    """

    what: str
    against: str = ""
    values: Sequence[float] = ()
    unit: str = "x"
    target: float | None = 1.0
    at_most: bool = False
    same: str = ""
    why: str = ""
    seconds: Sequence[Sequence[float]] = field(default=())
    """Of each run, seconds for the one way and for the other, where seconds were measured."""

    @property
    def value(self) -> float | None:
        """The median of the runs; None where nothing could be measured."""
        return statistics.median(self.values) if self.values else None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None where there is none, or nothing could be measured."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass(frozen=True)
class Work:
    """What subjects get: a folder for what they build (kept from run to run), and how often each figure is measured."""

    folder: Path
    runs: int = 5
    options: dict[str, Any] = field(default_factory=dict)


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def paired(ours: Callable[[], Any], plain: Callable[[], Any], runs: int) -> list[tuple[float, float]]:
    """Return (our seconds, plain seconds) of each run. They take turns in going first, so that neither always finds caches warm."""
    pairs = []
    for run in range(runs):
        if run % 2:
            other = timed(plain)
            pairs.append((timed(ours), other))
        else:
            mine = timed(ours)
            pairs.append((mine, timed(plain)))
    return pairs


def ratios(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Return how many times as fast ours was in each run."""
    return [plain / ours for ours, plain in pairs]
