"""Counts the model calls that analyzers make, per tool call.

An engine is shared by sessions and knows nothing of questions, so what its model used is added to the
meter of the thread that it runs in. Code that hands work to other threads wraps it in `metered_too`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from analyzer_agent.records import NO_CALLS, TokenUsage

P = ParamSpec("P")
T = TypeVar("T")


class Meter:
    """Adds up model calls, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used = NO_CALLS

    @property
    def used(self) -> TokenUsage:
        """What the calls so far have used."""
        return self._used

    def add(self, usage: TokenUsage) -> None:
        """Count one more call."""
        with self._lock:
            self._used += usage


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering() -> Iterator[Meter]:
    """Count the model calls that the block makes, in this thread and in work wrapped in `metered_too`."""
    meter = Meter()
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def count_call(usage: TokenUsage) -> None:
    """Add a call to the meter, if one is running."""
    if meter := _METER.get():
        meter.add(usage)


def metered_too(work: Callable[P, T]) -> Callable[P, T]:
    """Return `work` so that it counts on the meter of this thread, whichever thread runs it."""
    meter = _METER.get()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        token = _METER.set(meter)
        try:
            return work(*args, **kwargs)
        finally:
            _METER.reset(token)

    return run
