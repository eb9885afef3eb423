"""Prefetching and parallel mapping of iterators in threads."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_END_OF_ITEMS: Any = object()


def prefetch(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield `items`, prefetched by a separate thread.

    An exception from `items` is raised at its position. Close the generator to stop early: this
    waits for the item that is being fetched, closes `items` and ends the thread.

    Args:
        items: the source; used only by the thread.
        depth: the maximum number of prefetched items.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    worker = pool.submit(threading.current_thread).result()
    try:
        fetched = deque(pool.submit(next, items, _END_OF_ITEMS) for _ in range(depth))
        while (item := fetched.popleft().result()) is not _END_OF_ITEMS:
            fetched.append(pool.submit(next, items, _END_OF_ITEMS))
            yield item
    finally:
        # Garbage collection may close this generator in the worker, which cannot wait for itself.
        elsewhere = threading.current_thread() is not worker
        pool.shutdown(wait=elsewhere, cancel_futures=True)
        if elsewhere and isinstance(items, Generator):
            items.close()


def parallel_map(
    work: Callable[[T], R], items: Iterable[T], workers: int, stop: Callable[[], None] = lambda: None
) -> Generator[R, None, None]:
    """Map `work` over `items` in `workers` threads; results keep the order of `items`.

    At most `workers + 1` items are in flight. An exception from `work` is raised at its position.
    Close the generator to stop early: this waits for the running calls.

    Args:
        work: the function.
        items: its arguments; consumed by the caller's thread.
        workers: the number of threads.
        stop: called when the generator ends for any reason; may cut the running calls short.
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
