"""Notes as a tool result shows them, read back from its text, and grouped as people would read them.

Knows nothing of questions.
"""

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
    """A note as a tool result shows it. `times` is how often it was found, more than once where repeats are folded."""

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
    """Tell whether a tool result says that there is more than it shows."""
    return bool(_TRUNCATED.search(text))


def group_lines(lines: Sequence[NoteLine]) -> list[list[NoteLine]]:
    """Group notes that are read together: subtitle cues that run on into a sentence, lines of text on screen at the same time."""
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
