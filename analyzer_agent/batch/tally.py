"""Count the progress of a run: answers, cost, accuracy and remaining time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer_agent.batch.answer_file import chosen_right
from analyzer_agent.records import Usage


@dataclass
class Tally:
    """Counts over one run.

    `judged` counts the choices with gold, including failed questions, and `right` the right ones;
    both include answers of earlier runs.
    """

    total: int
    done: int = 0
    failed: int = 0
    judged: int = 0
    right: int = 0
    usage: Usage = Usage()
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def add(self, record: Mapping[str, Any]) -> None:
        """Count an answered or failed question by its line in the answer file."""
        self.done += 1
        self.failed += "error" in record
        if (right := chosen_right(record)) is not None:
            self.judged += 1
            self.right += right
        self.usage += Usage.from_dict(record.get("usage") or {})

    @property
    def accuracy(self) -> float | None:
        """The share of right choices so far; no choice counts as wrong. None without gold."""
        return self.right / self.judged if self.judged else None

    @property
    def passed_s(self) -> float:
        """Seconds since the start of the run."""
        return self.clock() - self.began

    @property
    def left_s(self) -> float | None:
        """Estimated seconds left; None before the first answer."""
        return self.passed_s / self.done * (self.total - self.done) if self.done else None
