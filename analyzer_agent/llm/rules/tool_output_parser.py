"""Notes parsed from the text of tool results, and grouped into sentences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer_agent.timeline import TimeRange, parse

_MAX_GROUPED_LINES = 5
_CUE_GAP_MS = 1_000

_LINE = re.compile(
    r"^#(?P<id>\d{1,18}) (?:(?P<video>\S+) )?(?P<start>[\d:.]+)-(?P<end>[\d:.]+) (?P<kind>[\w-]+)(?P<marks>(?: \([^)]*\))*) "
    r'"(?P<text>.*)"(?P<again>[^"]*)$',
    re.M,
)
_FURTHER_TIME = re.compile(r"[\d:.]+-[\d:.]+")
_MORE_TIMES = re.compile(r" and (\d+) more times")
_TRUNCATED = re.compile(r"^\.\.\. \d+ more; narrow", re.M)


@dataclass(frozen=True)
class NoteLine:
    """A note in a tool result; `times` is the number of occurrences, over 1 for folded repeats."""

    id: int
    span: TimeRange
    kind: str
    text: str
    uncertain: bool
    video: str = ""
    times: int = 1


def parse_note_lines(text: str) -> list[NoteLine]:
    """Return the notes in a tool result."""
    found = []
    for m in _LINE.finditer(text):
        try:
            span = TimeRange(parse(m["start"]), parse(m["end"]))
        except ValueError:
            continue
        more = _MORE_TIMES.search(m["again"])
        times = 1 + len(_FURTHER_TIME.findall(m["again"])) + (int(more[1]) if more else 0)
        found.append(NoteLine(int(m["id"]), span, m["kind"], m["text"], "uncertain" in m["marks"], m["video"] or "", times))
    return found


def is_truncated(text: str) -> bool:
    """Return whether a tool result says that it is truncated."""
    return bool(_TRUNCATED.search(text))


def group_lines(lines: Sequence[NoteLine]) -> list[list[NoteLine]]:
    """Group subtitle cues that form one sentence, and text lines that are visible together."""
    ordered = sorted(lines, key=lambda n: (n.video, n.kind, n.span.start))
    found: list[list[NoteLine]] = []
    for line in ordered:
        last = found[-1][-1] if found else None
        if last and line.kind == "subtitle" == last.kind and line.video == last.video and _continues(last, line):
            found[-1].append(line)
        elif line.kind == "text":
            together = [n for n in ordered if n.kind == "text" and n.video == line.video and n.span.overlaps(line.span)]
            if together[:_MAX_GROUPED_LINES] not in found:
                found.append(together[:_MAX_GROUPED_LINES])
        else:
            found.append([line])
    return found


def _continues(last: NoteLine, line: NoteLine) -> bool:
    return line.span.start - last.span.end <= _CUE_GAP_MS and not last.text.rstrip().endswith((".", "!", "?"))
