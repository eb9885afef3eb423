"""The scheduler of one turn's calls.

Calls with different resources, and calls that share a decoding pass, run in parallel; the others
run in sequence. Events are passed on as they happen; results keep the order of the calls.
"""

import queue
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from analyzer_agent.errors import Cancelled, Unavailable
from analyzer_agent.events import Event, ToolFinished
from analyzer_agent.protocols import Video
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.shared_decoding import SharedDecodeView, SupportsSharedDecoding
from analyzer_agent.toolbox.call_groups import CallGroup, group_calls, parallel_rows

if TYPE_CHECKING:
    from analyzer_agent.toolbox import Toolbox

T = TypeVar("T")


def run_calls(
    toolbox: "Toolbox", calls: Sequence[ToolCall], write: Callable[[Event], None], budget_ms: int | None, cancel: threading.Event
) -> list[ToolResult]:
    """Run the calls of one turn.

    Args:
        toolbox: runs a single call.
        calls: the calls.
        write: the event callback; runs in the caller's thread.
        budget_ms: the analyzer time for all calls, in ms; finished calls reduce it for later ones.
        cancel: stops all calls when set; is set if one fails.

    Returns:
        The results, in the order of the calls.

    Raises:
        AgentError, Cancelled: from the first call that raised; finished grains stay stored.
    """
    lines: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    results: dict[int, ToolResult] = {}

    def run(at: int, decode_view: Video | None = None) -> None:
        results[at] = _run_one(toolbox, calls[at], lines.put, _remaining_ms(budget_ms, list(results.values())), cancel, decode_view)

    def work(row: Sequence[CallGroup]) -> None:
        try:
            for unit in row:
                with toolbox.using(unit.resources):
                    _run_group(unit, run)
        except BaseException as error:
            lines.put(error)
        else:
            lines.put(None)

    side_by_side = parallel_rows(group_calls([toolbox.resource(one) for one in calls], [toolbox.watch(one) for one in calls]))
    for row in side_by_side:
        threading.Thread(target=work, args=(row,), name="calls", daemon=True).start()
    failed: BaseException | None = None
    for _ in side_by_side:
        while (line := lines.get()) is not None:
            if isinstance(line, BaseException):
                failed = failed or line
                cancel.set()
                break
            write(line)
    if failed is not None:
        raise failed
    if cancel.is_set():
        raise Cancelled
    return [results[at] for at in range(len(calls))]


def _run_group(unit: CallGroup, run: Callable[..., None]) -> None:
    """Run the calls of a group together; repeat one that ran out of memory after the others."""
    if not isinstance(unit.video, SupportsSharedDecoding):
        for at in unit.calls:
            run(at)
        return

    def beside(at: int, decode_view: SharedDecodeView) -> None:
        with closing(decode_view):
            run(at, decode_view)

    alone: list[int] = []
    failed: BaseException | None = None
    with ThreadPoolExecutor(len(unit.calls), "calls") as pool:
        running = {
            pool.submit(beside, at, decode_view): at
            for at, decode_view in zip(unit.calls, unit.video.shared_views(len(unit.calls)), strict=True)
        }
        for done in as_completed(running):
            error = done.exception()
            if isinstance(error, Unavailable):
                alone.append(running[done])
            else:
                failed = failed or error
    if failed is not None:
        raise failed
    for at in alone:
        run(at)


def run_in_thread(work: Callable[[Callable[[Event], None]], T], cancel: threading.Event) -> Generator[Event, None, T]:
    """Run `work` in a separate thread, yield its events, and return or raise its outcome.

    An interruption of the caller reaches the tools at once, and neither thread sees the other's
    context variables.

    Args:
        work: gets the event callback.
        cancel: is set when the caller is interrupted or closes the generator.
    """
    lines: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work(lines.put))
        except BaseException as error:
            failed.append(error)
        finally:
            lines.put(None)

    worker = threading.Thread(target=run, name="agent", daemon=True)
    worker.start()
    try:
        while (line := lines.get()) is not None:
            yield line
    except BaseException:
        cancel.set()
        raise
    finally:
        if not sys.is_finalizing():  # other threads no longer run then: `join` would hang
            worker.join()
    if failed:
        raise failed[0]
    return done[0]


def spent_ms(results: Sequence[ToolResult]) -> int:
    """Return the time that analyzers spent on these results, in ms, failed attempts included."""
    return sum(r.wall_ms for r in results if r.analyzed_ms or any(u.reason == "failed" for u in r.not_examined))


def _remaining_ms(budget_ms: int | None, results: Sequence[ToolResult]) -> int | None:
    return None if budget_ms is None else max(0, budget_ms - spent_ms(results))


def _run_one(
    toolbox: "Toolbox",
    call: ToolCall,
    put: Callable[[Event], None],
    budget_ms: int | None,
    cancel: threading.Event,
    decode_view: Video | None,
) -> ToolResult:
    running = toolbox.run(call, budget_ms=budget_ms, cancel=cancel, decode_view=decode_view)
    while True:
        try:
            put(next(running))
        except StopIteration as end:
            result: ToolResult = end.value
            put(ToolFinished(result))
            return result
