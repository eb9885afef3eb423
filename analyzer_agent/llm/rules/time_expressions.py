"""Times in questions: "at 0:12", "in the first 10 seconds", "after 0:20"."""

import re
from collections.abc import Callable

from analyzer_agent.timeline import TimeRange, parse

TimeSelector = Callable[[TimeRange], TimeRange | None]
"""Maps the scope of a video to the part that a question is about, None if that is outside."""


_START_OR_END_MS = 10_000
"""The minimum length of "at the beginning" and "at the end", in ms; else a tenth of the video."""


_AROUND_MS = 1_000


_CLOCK = r"\d{1,6}:\d\d(?::\d\d)?(?:\.\d+)?"


_AMOUNT = r"(?:\d{1,9}(?:\.\d+)?)\s*(?:seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b"


_TIME = rf"(?:{_CLOCK}|{_AMOUNT})"


_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000}


_WHOLE = r"(?:\s+of\s+(?:the|this)\s+(?:video|clip|film|movie|recording)|(?=\s*(?:[?.!,]|$)))"


def _parse_ms(text: str) -> int:
    if ":" in text:
        return parse(text)
    number, unit = re.fullmatch(r"([\d.]+)\s*(\w)\w*", text.strip()).groups()  # type: ignore[union-attr]
    return round(float(number) * _UNITS[unit.lower()])


def _edge_ms(scope: TimeRange) -> int:
    return min(scope.length, max(_START_OR_END_MS, scope.length // 10))


def _span(start: int, end: int) -> TimeRange:
    return TimeRange(max(0, start), max(0, start, end))


_TIME_EXPRESSIONS: tuple[tuple[str, Callable[[re.Match[str], TimeRange], TimeRange]], ...] = (
    (
        rf"\b(?:between|from)\s+({_TIME})\s*(?:-|\u2013|to|and|until|till)\s*({_TIME})",
        lambda m, _: _span(*sorted((_parse_ms(m[1]), _parse_ms(m[2])))),
    ),
    (rf"({_CLOCK})\s*(?:-|\u2013|to|and|until|till)\s*({_CLOCK})", lambda m, _: _span(*sorted((_parse_ms(m[1]), _parse_ms(m[2]))))),
    (rf"\b(?:in|during|within)?\s*(?:the\s+)?first\s+({_AMOUNT})", lambda m, s: _span(s.start, s.start + _parse_ms(m[1]))),
    (r"\b(?:in|during|within)\s+the\s+first\s+(second|minute|hour)\b", lambda m, s: _span(s.start, s.start + _parse_ms(f"1 {m[1]}"))),
    (rf"\b(?:in|during|within)?\s*(?:the\s+)?last\s+({_AMOUNT})", lambda m, s: _span(s.end - _parse_ms(m[1]), s.end)),
    (r"\b(?:in|during|within)\s+the\s+last\s+(second|minute|hour)\b", lambda m, s: _span(s.end - _parse_ms(f"1 {m[1]}"), s.end)),
    (rf"\b(?:after|since|from)\s+({_TIME})(?:\s+on(?:wards?)?\b)?", lambda m, s: _span(_parse_ms(m[1]), s.end)),
    (rf"\b(?:before|until|till|up\s+to)\s+({_TIME})", lambda m, s: _span(s.start, _parse_ms(m[1]))),
    (rf"\b(?:at|around|near|about)\s+({_TIME})", lambda m, _: _span(_parse_ms(m[1]) - _AROUND_MS, _parse_ms(m[1]) + _AROUND_MS)),
    (rf"\b(?:at|in)\s+the\s+(?:very\s+)?(?:beginning|start){_WHOLE}", lambda m, s: _span(s.start, s.start + _edge_ms(s))),
    (rf"\b(?:at|in)\s+the\s+(?:very\s+)?end{_WHOLE}", lambda m, s: _span(s.end - _edge_ms(s), s.end)),
)


def parse_time_expression(question: str) -> tuple[str, TimeSelector | None]:
    """Split off a time expression: "at 0:12", "in the first 10 seconds", "after 0:20".

    Returns:
        The question without it, and the selector of the part that it names, None without one.
    """
    for pattern, make in _TIME_EXPRESSIONS:
        if match := re.search(pattern, question, re.I):
            try:
                make(match, TimeRange(0, 1))
            except ValueError:  # such as 0:99
                continue
            rest = f"{question[: match.start()]} {question[match.end() :]}"
            return rest, lambda scope, make=make, match=match: make(match, scope).within(scope)
    return question, None
