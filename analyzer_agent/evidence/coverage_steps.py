"""Coverage by sampling step: how closely each part of a range was looked at. Pure functions over coverage."""

from collections.abc import Iterable

from analyzer_agent.storage import Covered
from analyzer_agent.timeline import TimeRange, merge


def spans_by_step(covered: Iterable[Covered], within: TimeRange) -> list[tuple[int, list[TimeRange]]]:
    """Return each step (ms) with the ranges that were covered at it or more closely, finest first.

    Args:
        covered: the coverage; a step of 0 covers every instant, so it is the finest.
        within: the range to report on.
    """
    by_step: dict[int, list[TimeRange]] = {}
    for part in covered:
        if clipped := part.span.within(within):
            by_step.setdefault(part.step, []).append(clipped)
    found: list[tuple[int, list[TimeRange]]] = []
    for step in sorted(by_step):
        spans = merge([*(found[-1][1] if found else ()), *by_step[step]])
        if not found or spans != found[-1][1]:
            found.append((step, spans))
    return found


def finest_steps(covered: Iterable[Covered], within: TimeRange) -> list[tuple[int, TimeRange]]:
    """Return the covered parts of a range, each with its finest step in ms, in time order."""
    known: list[TimeRange] = []
    parts: list[tuple[int, TimeRange]] = []
    for step, spans in spans_by_step(covered, within):
        parts += [(step, part) for span in spans for part in span.minus(known)]
        known = spans
    return sorted(parts, key=lambda part: part[1])
