"""Figures, and timing of two ways of doing the same thing."""

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
        what: what is measured.
        against: the reference, or "" for an absolute limit.
        values: one per run; the figure is their median.
        unit: "x" (times as fast), "%", "ms", "MB", "notes/s", "calls".
        target: value to reach; None for figures that only explain others.
        at_most: whether the target is an upper limit.
        same: what was compared with the reference's result and found equal.
        why: reason for having no values.
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
    """Of each run, the seconds of both ways, if seconds are measured."""

    @property
    def value(self) -> float | None:
        """The median of the runs; None without values."""
        return statistics.median(self.values) if self.values else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without target or values."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass(frozen=True)
class Work:
    """Input of the subjects: folder for reusable files, runs per figure, weights by analyzer."""

    folder: Path
    runs: int = 5
    options: dict[str, Any] = field(default_factory=dict)


def paired(ours: Callable[[], Any], plain: Callable[[], Any], runs: int) -> list[tuple[float, float]]:
    """Return (our seconds, plain seconds) per run.

    The two alternate in going first, so that neither always benefits from warm caches.
    """
    pairs = []
    for run in range(runs):
        took = {}
        for way in (plain, ours) if run % 2 else (ours, plain):
            began = time.perf_counter()
            way()
            took[way] = time.perf_counter() - began
        pairs.append((took[ours], took[plain]))
    return pairs


def speedup(
    work: Work, what: str, against: str, ours: Callable[[], Any], plain: Callable[[], Any], target: float | None = 1.0, same: str = ""
) -> Figure:
    """Return our speed relative to the plain way, measured now."""
    pairs = paired(ours, plain, work.runs)
    return Figure(what, against, [other / mine for mine, other in pairs], target=target, same=same, seconds=pairs)
