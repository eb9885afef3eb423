"""The user's approval of long steps, and the time that calls spent waiting for it.

Which step is long is decided by `analyzer_call`.
"""

import threading
import time
from collections.abc import Callable

from analyzer_agent.events import ToolStarted


class ApprovalGate:
    """Calls `approve`, if set, and records how long each answer took."""

    def __init__(self, approve: Callable[[ToolStarted], bool] | None = None) -> None:
        self.approve = approve
        self._lock = threading.Lock()
        self._waits: list[tuple[str, float, float]] = []

    def __call__(self, start: ToolStarted) -> bool:
        """Return whether the step may run. Thread-safe."""
        if self.approve is None:
            return True
        began = time.monotonic()
        try:
            return self.approve(start)
        finally:
            with self._lock:
                self._waits.append((start.call_id, began, time.monotonic()))

    def waited(self, since: float, call_id: str | None = None) -> float:
        """Return the time spent waiting for answers, overlapping waits counted once.

        Args:
            since: the start of the measured time, in seconds of the monotonic clock.
            call_id: counts only the waits of this call; None counts those of all calls.

        Returns:
            Seconds.
        """
        with self._lock:
            waits = sorted((max(began, since), end) for name, began, end in self._waits if call_id in (None, name) and end > since)
        total, reached = 0.0, since
        for began, end in waits:
            total += max(0.0, end - max(began, reached))
            reached = max(reached, end)
        return total
