"""The user's consent to a step that takes long: who is asked, and for how long calls waited for an answer.

Knows nothing of what takes how long.
"""

import threading
import time
from collections.abc import Callable

from analyzer_agent.events import ToolStarted


class ApprovalGate:
    """Asks `approve`, if there is one, and keeps the time that its answers took."""

    def __init__(self, approve: Callable[[ToolStarted], bool] | None = None) -> None:
        self.approve = approve
        self._lock = threading.Lock()
        self._waits: list[tuple[str, float, float]] = []

    def __call__(self, start: ToolStarted) -> bool:
        """Return whether the step may run. May be called from several threads."""
        if self.approve is None:
            return True
        began = time.monotonic()
        try:
            return self.approve(start)
        finally:
            with self._lock:
                self._waits.append((start.call_id, began, time.monotonic()))

    def waited(self, since: float, call_id: str | None = None) -> float:
        """Return for how many seconds after `since` (of the monotonic clock) an answer was waited for, for any call or for one."""
        with self._lock:
            waits = sorted((max(began, since), end) for name, began, end in self._waits if call_id in (None, name) and end > since)
        total, reached = 0.0, since
        for began, end in waits:
            total += max(0.0, end - max(began, reached))
            reached = max(reached, end)
        return total
