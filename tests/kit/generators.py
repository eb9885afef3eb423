"""Run generators that yield progress and return a result."""

from collections.abc import Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


def result_of(running: Generator[Any, None, Result], events: list[Any] | None = None) -> Result:
    """Run a generator to its end and return its result; what it yields is appended to `events`."""
    while True:
        try:
            event = next(running)
        except StopIteration as end:
            result: Result = end.value
            return result
        if events is not None:
            events.append(event)
