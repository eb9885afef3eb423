"""Make room or work in smaller batches while memory is short, so that a small GPU does what a large one does, only slower.

Knows no library: what running out of memory looks like is told from the errors themselves.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from analyzer_agent.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

_OUT_OF_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")

BATCHES_BEFORE_GROWTH = 8
"""So many full batches must fit before larger ones are tried; twice as many each time that this failed."""

log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out.

    It is torch's own class, or a RuntimeError of torch's CPU allocator, cuBLAS or CTranslate2.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY_TEXTS)


class AdaptiveBatch:
    """Work in batches as large as memory allows: halved when it runs out, doubled again after a while, up to the size to begin with.

    Args:
        limit: how many at a time at most, and to begin with.
        fill: make every batch as large as the others by repeating its first item, whose further results are dropped: kernels differ from
            size to size, and a result must not depend on how many others were asked for.
        make_room: called when memory ran out, `EngineConfig.make_room`: as long as it returns True, the same size is tried again.
        release: called when memory ran out, before `make_room`: gives back what the library still holds.
    """

    def __init__(
        self, limit: int, *, fill: bool = False, make_room: Callable[[], bool] = lambda: False, release: Callable[[], None] = lambda: None
    ) -> None:
        self.limit = self.size = limit
        self._fill, self._make_room, self._release = fill, make_room, release
        self._fitted, self._patience = 0, BATCHES_BEFORE_GROWTH

    def run(self, items: Sequence[T], work: Callable[[list[T]], Sequence[R]]) -> list[R]:
        """Return what `work` gives for each item; it returns one result per item of a batch, in order.

        Raises:
            Unavailable: memory is too short for a single item.
        """
        done: list[R] = []
        while len(done) < len(items):
            size = self._next(len(items) - len(done))
            batch = list(items[len(done) : len(done) + size])
            filled = batch + batch[:1] * (size - len(batch)) if self._fill else batch
            found = _attempt(work, filled)
            # Only now, outside of the handler, does nothing hold on to the memory of the attempt any more.
            if found is None:
                self._short(len(filled))
            else:
                done += found[: len(batch)]
                self._fits(len(filled))
        return done

    def _next(self, left: int) -> int:
        """Return how many to hand over: more than what fitted so far if that is due, and so many are left."""
        larger = min(2 * self.size, self.limit)
        return larger if self._fitted >= self._patience and left >= larger else self.size

    def _fits(self, count: int) -> None:
        if count > self.size:
            self.size, self._fitted, self._patience = count, 1, BATCHES_BEFORE_GROWTH
            log.info("memory suffices for %d at a time again", count)
        elif count == self.size:
            self._fitted += 1

    def _short(self, count: int) -> None:
        """Decide what to do after memory ran out with `count` at a time."""
        self._release()
        if count > self.size:
            # Others keep their place: what is smaller fits. A GPU that stays short must not pay for this again and again.
            self._fitted, self._patience = 0, 2 * self._patience
            log.info("memory does not suffice for %d at a time yet; going on with %d", count, self.size)
        elif self._make_room():
            log.info("memory ran out with %d at a time; made room, and trying again", count)
        elif count == 1:
            raise Unavailable("Memory ran out, even with one at a time.", hint="Free some memory, or use --device cpu.")
        else:
            self.size, self._fitted = count // 2, 0
            log.info("memory ran out with %d at a time; going on with %d", count, self.size)


def retry_with_room(work: Callable[[], R], *, make_room: Callable[[], bool], release: Callable[[], None] = lambda: None) -> R:
    """Return what `work` gives: work that cannot be split is tried again as long as room can be made.

    Raises:
        Unavailable: memory is too short, and no more room can be made.
    """
    return AdaptiveBatch(1, make_room=make_room, release=release).run([None], lambda _: [work()])[0]


def _attempt(work: Callable[[list[T]], Sequence[R]], batch: list[T]) -> Sequence[R] | None:
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return None
