"""Counts the model calls that analyzers make, per tool call, and keeps them within what a question may still spend.

An engine is shared by sessions and knows nothing of questions, so what its model used is added to the
meter of the thread that it runs in, and to those around it. Code that hands work to other threads
wraps it in `metered_too`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from analyzer_agent.records import NO_CALLS, TokenUsage

P = ParamSpec("P")
T = TypeVar("T")


class OutOfBudget(Exception):
    """Raised instead of a model call that no longer fits; what is done stays, the rest is left out for the budget."""


class Meter:
    """Adds up model calls, from any thread.

    Args:
        tokens: what may be spent; None means no limit.
        usd: the same in USD.
        outer: the meter that counts these calls, too.
    """

    def __init__(self, tokens: int | None = None, usd: float | None = None, outer: "Meter | None" = None) -> None:
        self._tokens, self._usd, self._outer = tokens, usd, outer
        self._lock = threading.Lock()
        self._used, self._last = NO_CALLS, NO_CALLS

    @property
    def used(self) -> TokenUsage:
        """What the calls so far have used."""
        return self._used

    def add(self, usage: TokenUsage) -> None:
        """Count one more call."""
        with self._lock:
            self._used, self._last = self._used + usage, usage
        if self._outer:
            self._outer.add(usage)

    def require_room(self) -> None:
        """Check that one more call fits, supposing that it uses what the last one did.

        Raises:
            OutOfBudget: it does not.
        """
        after = self._used + self._last
        if self._tokens is not None and after.tokens >= self._tokens:
            raise OutOfBudget("the tokens are spent")
        if self._usd is not None and (after.cost_usd or 0.0) >= self._usd:
            raise OutOfBudget("the money is spent")
        if self._outer:
            self._outer.require_room()


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metering(tokens: int | None = None, usd: float | None = None) -> Iterator[Meter]:
    """Count the model calls that the block makes, in this thread and in work wrapped in `metered_too`.

    Args:
        tokens: what they may use together; None means no limit.
        usd: the same in USD.
    """
    meter = Meter(tokens, usd, _METER.get())
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def count_call(usage: TokenUsage) -> None:
    """Add a call to the meter, if one is running."""
    if meter := _METER.get():
        meter.add(usage)


def require_room() -> None:
    """Check that the budget allows one more call; call it before each.

    Raises:
        OutOfBudget: it does not.
    """
    if meter := _METER.get():
        meter.require_room()


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
