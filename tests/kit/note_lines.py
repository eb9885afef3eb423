"""Reads the lines of notes in a tool's text, as somebody who knows only the text."""

import re
from typing import NamedTuple

from analyzer_agent.timeline import TimeRange, parse

_LINE = re.compile(
    r"^#(?P<id>\d{1,18}) (?:(?P<video>\S+) )?(?P<start>[\d:.]+)-(?P<end>[\d:.]+) (?P<kind>[\w-]+)(?P<marks>(?: \([^)]*\))*) "
    r'"(?P<text>.*)"(?P<again>[^"]*)$',
    re.M,
)
_FURTHER_TIME = re.compile(r"[\d:.]+-[\d:.]+")
_MORE_TIMES = re.compile(r" and (\d+) more times")


class NoteLine(NamedTuple):
    """A note as its line tells it; `times` counts its repeats."""

    id: int
    span: TimeRange
    kind: str
    text: str
    uncertain: bool
    times: int


def parse_note_lines(text: str) -> list[NoteLine]:
    """Return the notes in a tool's text."""
    return [_read(match) for match in _LINE.finditer(text)]


def _read(match: re.Match[str]) -> NoteLine:
    span = TimeRange(parse(match["start"]), parse(match["end"]))
    return NoteLine(int(match["id"]), span, match["kind"], match["text"], "uncertain" in match["marks"], _times(match["again"]))


def _times(again: str) -> int:
    more = _MORE_TIMES.search(again)
    return 1 + len(_FURTHER_TIME.findall(again)) + (int(more[1]) if more else 0)
