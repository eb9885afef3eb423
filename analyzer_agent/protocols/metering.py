"""Counts the model calls that analyzers make, per tool call, and keeps them within what a question may still spend.

An engine is shared by sessions and knows nothing of questions, so what its model used is added to the
meter of the thread that it runs in, and to those around it. Code that hands work to other threads
wraps it in `metered_too`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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
        self._changed = threading.Condition()
        self._used, self._last, self._under_way = NO_CALLS, NO_CALLS, 0

    @property
    def used(self) -> TokenUsage:
        """What the calls so far have used."""
        return self._used

    def add(self, usage: TokenUsage) -> None:
        """Count one more call."""
        with self._changed:
            self._used, self._last = self._used + usage, usage
        if self._outer:
            self._outer.add(usage)

    @property
    def left(self) -> tuple[int | None, float | None]:
        """The tokens and the USD that may still be spent, by the outer meters too; None means no limit."""
        tokens, usd = self._outer.left if self._outer else (None, None)
        own_tokens = None if self._tokens is None else self._tokens - self._used.tokens
        own_usd = None if self._usd is None else self._usd - (self._used.cost_usd or 0.0)
        return _least(tokens, own_tokens), _least(usd, own_usd)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Reserve what one more call may use: what the last one did. Within a limit the first call goes alone.

        Raises:
            OutOfBudget: it does not fit beside those under way.
        """
        with self._changed:
            limited = self._tokens is not None or self._usd is not None
            while limited and self._under_way and not self._used.calls:
                self._changed.wait()
            self._require_room()
            self._under_way += 1
        try:
            with self._outer.room() if self._outer else nullcontext():
                yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _require_room(self) -> None:
        calls = self._under_way + 1
        if self._tokens is not None and self._used.tokens + calls * self._last.tokens >= self._tokens:
            raise OutOfBudget("the tokens are spent")
        if self._usd is not None and (self._used.cost_usd or 0.0) + calls * (self._last.cost_usd or 0.0) >= self._usd:
            raise OutOfBudget("the money is spent")


N = TypeVar("N", int, float)


def _least(one: N | None, other: N | None) -> N | None:
    return one if other is None else other if one is None else min(one, other)


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


def budget_left() -> tuple[int | None, float | None]:
    """Return the tokens and the USD that may still be spent where this is called; None means no limit."""
    meter = _METER.get()
    return meter.left if meter else (None, None)


@contextmanager
def room_for_call() -> Iterator[None]:
    """Keep room for one call in the budget while the block makes it, and counts it with `count_call`.

    Raises:
        OutOfBudget: there is none.
    """
    meter = _METER.get()
    with meter.room() if meter else nullcontext():
        yield


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
