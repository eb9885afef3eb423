"""Count the progress of a run: answers, cost, accuracy and remaining time."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer_agent.batch.answer_file import chosen_right
from analyzer_agent.records import Usage

_LAST_QUESTIONS = 8
"""How many questions the estimate of the remaining time learns from."""


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
    _ends: deque[float] = field(init=False)
    """When the last questions ended, in seconds of the clock; before them, when the run began or the question before."""

    def __post_init__(self) -> None:
        self.began = self.clock()
        self._ends = deque([self.began], maxlen=_LAST_QUESTIONS + 1)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count an answered or failed question by its line in the answer file."""
        self.done += 1
        self._ends.append(self.clock())
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
        """Estimated seconds left, at the pace of the last questions; None before the first answer.

        The first questions load engines and analyze what later ones find stored, so they tell little
        of the rest.
        """
        if not self.done:
            return None
        each = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        return max(0.0, each * (self.total - self.done) - (self.clock() - self._ends[-1]))
