"""The scheduler of one turn's calls: threads, resources, budget, cancelling, approval.

Calls with different resources run in parallel, the others in sequence. Events are passed on as
they happen; results keep the order of the calls.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import Emit, ToolFinished, ToolStarted
from analyzer_agent.protocols.metering import metered_too, metering
from analyzer_agent.records import ToolCall, ToolResult


class RunsCalls(Protocol):
    """The tools, as the scheduler sees them."""

    def run(self, call: ToolCall, emit: Emit, *, budget_ms: int | None, cancel: threading.Event) -> ToolResult:
        """Run one call."""

    def resource(self, call: ToolCall) -> str:
        """Return the resource of a call."""


class CallScheduler:
    """Runs the calls of a turn.

    Args:
        tools: runs a single call, and knows its resource.
        approve: the user's callback before a long step; None approves every step.
    """

    def __init__(self, tools: RunsCalls, approve: Callable[[ToolStarted], bool] | None = None) -> None:
        self._tools, self._approve = tools, approve
        self._locks: dict[str, threading.Lock] = {}
        self._waiting = threading.Lock()
        self._waits: list[tuple[str, float, float]] = []

    def run(
        self, calls: Sequence[ToolCall], emit: Emit, budget_ms: int | None = None, cancel: threading.Event | None = None
    ) -> list[ToolResult]:
        """Run the calls of one turn.

        `ToolResult.wall_ms` excludes the time spent waiting for the user's approval.

        Args:
            calls: the calls.
            emit: receives the events, from several threads.
            budget_ms: the analyzer time for all calls, in ms; finished calls reduce it for later
                ones. None means no limit.
            cancel: stops all calls when set; is set if one fails or the caller is interrupted.

        Returns:
            The results, in the order of the calls.

        Raises:
            AgentError, Cancelled: from the first call that raised; finished grains stay stored.
        """
        cancel = cancel or threading.Event()
        results: dict[int, ToolResult] = {}
        failures: list[BaseException] = []

        def run_in_sequence(resource: str, row: Sequence[int], ended: threading.Event) -> None:
            try:
                for at in row:
                    with self._locks.setdefault(resource, threading.Lock()):
                        results[at] = self._run_one(calls[at], emit, _remaining_ms(budget_ms, list(results.values())), cancel)
            except BaseException as error:
                failures.append(error)
                cancel.set()
            finally:
                ended.set()

        rows: dict[str, list[int]] = {}
        for at, call in enumerate(calls):
            rows.setdefault(self._tools.resource(call), []).append(at)
        ends = {resource: threading.Event() for resource in rows}
        for resource, row in rows.items():
            threading.Thread(target=metered_too(run_in_sequence), args=(resource, row, ends[resource]), name="calls", daemon=True).start()
        # Events, because a `Thread.join` that was interrupted returns at once the next time.
        try:
            for ended in ends.values():
                ended.wait()
        except BaseException:  # such as Ctrl-C, where the caller runs in the main thread
            cancel.set()
            for ended in ends.values():
                ended.wait()
            raise
        if failures:
            raise failures[0]
        if cancel.is_set():
            raise Cancelled
        return [results[at] for at in range(len(calls))]

    def _run_one(self, call: ToolCall, emit: Emit, budget_ms: int | None, cancel: threading.Event) -> ToolResult:
        began = time.monotonic()
        with metering() as meter:
            result = self._tools.run(call, emit, budget_ms=budget_ms, cancel=cancel)
        busy = time.monotonic() - began - self.seconds_waited(began, call.id)
        result = replace(result, wall_ms=round(busy * 1000), vision=meter.used)
        emit(ToolFinished(result))
        return result

    def approves(self, start: ToolStarted) -> bool:
        """Return whether the user lets a step run. Thread-safe."""
        if self._approve is None:
            return True
        began = time.monotonic()
        try:
            return self._approve(start)
        finally:
            with self._waiting:
                self._waits.append((start.call_id, began, time.monotonic()))

    def seconds_waited(self, since: float, call_id: str | None = None) -> float:
        """Return the time spent waiting for the user's approval; overlapping waits count once.

        Args:
            since: the start of the measured time, in seconds of the monotonic clock.
            call_id: counts only the waits of this call; None counts those of all calls.

        Returns:
            Seconds.
        """
        with self._waiting:
            waits = sorted((max(began, since), end) for name, began, end in self._waits if call_id in (None, name) and end > since)
        total, reached = 0.0, since
        for began, end in waits:
            total += max(0.0, end - max(began, reached))
            reached = max(reached, end)
        return total


def spent_ms(results: Sequence[ToolResult]) -> int:
    """Return the time that analyzers spent on these results, in ms, failed attempts included."""
    return sum(r.wall_ms for r in results if r.analyzed_ms or any(u.reason == "failed" for u in r.not_examined))


def _remaining_ms(budget_ms: int | None, results: Sequence[ToolResult]) -> int | None:
    return None if budget_ms is None else max(0, budget_ms - spent_ms(results))
