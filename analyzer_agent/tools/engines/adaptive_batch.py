"""Free memory or reduce the batch size when memory runs out, so that small GPUs work, only slower.

No library is imported: an out-of-memory error is recognised by its type name and message.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from analyzer_agent.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

_OUT_OF_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")

BATCHES_BEFORE_GROWTH = 8
"""Full batches that must fit before a larger one is tried; doubled each time that fails."""

log = logging.getLogger(__name__)


class OutOfMemory(Unavailable):
    """Memory is too short, and no more can be freed."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that caused it, means that memory ran out.

    Recognises torch's OutOfMemoryError and RuntimeErrors of torch's CPU allocator, cuBLAS and
    CTranslate2.
    """
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY_TEXTS):
            return True
        error = error.__cause__
    return False


class AdaptiveBatch:
    """Run batches as large as memory allows.

    The size starts at `limit`, is halved when memory runs out, and doubles again after a while.

    Args:
        limit: maximum and initial batch size.
        fill: pad each batch to the current size with copies of its first item and drop their
            results. Kernels differ with the batch size, and a result must not depend on it.
        make_room: called when memory ran out (`EngineConfig.make_room`); while it returns True,
            the same size is retried.
        release: called before `make_room` to free memory that the library caches.
    """

    def __init__(
        self, limit: int, *, fill: bool = False, make_room: Callable[[], bool] = lambda: False, release: Callable[[], None] = lambda: None
    ) -> None:
        self.limit = self.size = limit
        self._fill, self._make_room, self._release = fill, make_room, release
        self._fitted, self._patience = 0, BATCHES_BEFORE_GROWTH

    def run(self, items: Sequence[T], work: Callable[[list[T]], Sequence[R]]) -> list[R]:
        """Apply `work` to the items in batches and return the results in order.

        Args:
            items: items to process.
            work: returns one result per item of a batch, in order.

        Raises:
            OutOfMemory: memory is too short for a single item.
        """
        done: list[R] = []
        while len(done) < len(items):
            size = self._next(len(items) - len(done))
            batch = list(items[len(done) : len(done) + size])
            filled = batch + batch[:1] * (size - len(batch)) if self._fill else batch
            found = _attempt(work, filled)
            # The handler has ended, so no traceback keeps the failed attempt's memory alive.
            if found is None:
                self._short(len(filled))
            else:
                done += found[: len(batch)]
                self._fits(len(filled))
        return done

    def _next(self, left: int) -> int:
        """Return the next batch size: a larger one if it is due and enough items are left."""
        larger = min(2 * self.size, self.limit)
        return larger if self._fitted >= self._patience and left >= larger else self.size

    def _fits(self, count: int) -> None:
        if count > self.size:
            self.size, self._fitted, self._patience = count, 1, BATCHES_BEFORE_GROWTH
            log.info("memory suffices for %d at a time again", count)
        elif count == self.size:
            self._fitted += 1

    def _short(self, count: int) -> None:
        """Free memory or reduce the size after memory ran out with a batch of `count`."""
        self._release()
        if count > self.size:
            # The smaller size still fits, so evict nothing, and retry the larger one less often.
            self._fitted, self._patience = 0, 2 * self._patience
            log.info("memory does not suffice for %d at a time yet; going on with %d", count, self.size)
        elif self._make_room():
            log.info("memory ran out with %d at a time; made room, and trying again", count)
        elif count == 1:
            raise OutOfMemory("Memory ran out, even with one at a time.", hint="Free some memory, or use --device cpu.")
        else:
            self.size, self._fitted = count // 2, 0
            log.info("memory ran out with %d at a time; going on with %d", count, self.size)


def retry_with_room(work: Callable[[], R], *, make_room: Callable[[], bool], release: Callable[[], None] = lambda: None) -> R:
    """Return the result of `work`, retried while memory can be freed.

    For work that cannot be split into batches.

    Raises:
        OutOfMemory: memory is too short, and no more can be freed.
    """
    return AdaptiveBatch(1, make_room=make_room, release=release).run([None], lambda _: [work()])[0]


def _attempt(work: Callable[[list[T]], Sequence[R]], batch: list[T]) -> Sequence[R] | None:
    try:
        return work(batch)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return None
