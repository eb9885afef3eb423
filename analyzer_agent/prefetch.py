"""Working ahead: the next items are fetched while the caller is busy with one. Knows nothing of what they are."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_END_OF_ITEMS: Any = object()
_wait_times = threading.local()


def prefetch(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield `items`, fetched by a thread of its own while the caller works: at most `depth` more of them than were yielded.

    What `items` raises is raised in its place. Close the generator to stop early: that waits for the item that is being fetched, and
    closes `items`. No thread is left behind.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    worker = pool.submit(threading.current_thread).result()
    try:
        fetched = deque(pool.submit(next, items, _END_OF_ITEMS) for _ in range(depth))
        while (item := _timed(fetched.popleft())) is not _END_OF_ITEMS:
            fetched.append(pool.submit(next, items, _END_OF_ITEMS))
            yield item
    finally:
        # Garbage collection, which may close this generator, runs in any thread; the worker cannot wait for itself.
        elsewhere = threading.current_thread() is not worker
        pool.shutdown(wait=elsewhere, cancel_futures=True)
        if elsewhere and isinstance(items, Generator):
            items.close()


def parallel_map(
    work: Callable[[T], R], items: Iterable[T], workers: int, stop: Callable[[], None] = lambda: None
) -> Generator[R, None, None]:
    """Yield what `work` gives for each item, in order, with so many threads at work: on items that come later, too.

    What `work` raises is raised in its place. Close the generator to stop early: that waits for what is being worked on, which `stop`,
    called at every end, may cut short.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="parallel") as pool:
        left = iter(items)
        begun = deque(pool.submit(work, item) for item in islice(left, workers + 1))
        try:
            while begun:
                found = begun.popleft().result()
                begun.extend(pool.submit(work, item) for item in islice(left, 1))
                yield found
        finally:
            for task in begun:
                task.cancel()
            stop()


def seconds_waited() -> float:
    """Return for how many seconds in all this thread has waited for items that were not there yet."""
    return getattr(_wait_times, "seconds", 0.0)


def _timed(item: "Future[T]") -> T:
    began = time.monotonic()
    try:
        return item.result()
    finally:
        _wait_times.seconds = seconds_waited() + time.monotonic() - began
