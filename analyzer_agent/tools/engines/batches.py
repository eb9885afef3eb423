"""Work in batches that shrink when memory runs out, so that a small GPU does what a large one does, only slower.

Knows no library: what running out of memory looks like is told from the errors themselves.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from analyzer_agent.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")

log = logging.getLogger(__name__)


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out: torch's own class, or a RuntimeError by torch's CPU allocator or CTranslate2."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def with_shrinking_batches(
    items: Sequence[T],
    size: int,
    work: Callable[[list[T]], Sequence[R]],
    *,
    fill: bool = False,
    release: Callable[[], None] = lambda: None,
) -> tuple[list[R], int]:
    """Return what `work` gives for each item, and the batch size that fitted into memory, to begin with next time.

    Args:
        items: handed over `size` at a time; each time memory runs out, half as many.
        size: how many to begin with, at least 1.
        work: returns one result per item, in order.
        fill: make every batch as large as the others by repeating its first item, whose further results are dropped: kernels differ from
            size to size, and a result must not depend on how many others were asked for.
        release: called when memory ran out, before the next try: gives back what the library still holds.

    Raises:
        Unavailable: memory is too short for a single item.
    """
    done: list[R] = []
    while len(done) < len(items):
        batch = list(items[len(done) : len(done) + size])
        filled = batch + batch[:1] * (size - len(batch)) if fill else batch
        found = _attempt(work, filled)
        if found is not None:
            done += found[: len(batch)]
            continue
        # Only now, outside of the handler, does nothing hold on to the memory of the attempt any more.
        release()
        if len(filled) == 1:
            raise Unavailable("Memory ran out, even with one picture at a time.", hint="Free some memory, or use --device cpu.")
        size = len(filled) // 2
        log.info("memory ran out with %d at a time; going on with %d", len(filled), size)
    return done, size


def _attempt(work: Callable[[list[T]], Sequence[R]], batch: list[T]) -> Sequence[R] | None:
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    return None
