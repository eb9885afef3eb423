"""Notes as a tool result shows them, read back from its text, and grouped as people would read them.

Knows nothing of questions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer_agent.timeline import TimeRange, parse

_LINES_TOGETHER = 5
_CUE_GAP_MS = 1_000

_LINE = re.compile(
    r"^#(?P<id>\d{1,18}) (?:(?P<video>\S+) )?(?P<start>[\d:.]+)-(?P<end>[\d:.]+) (?P<kind>[\w-]+)(?P<marks>(?: \([^)]*\))*) "
    r'"(?P<text>.*)"(?P<again>[^"]*)$',
    re.M,
)
_AGAIN = re.compile(r"[\d:.]+-[\d:.]+")
_MORE_TIMES = re.compile(r" and (\d+) more times")
_CUT = re.compile(r"^\.\.\. \d+ more; narrow", re.M)


@dataclass(frozen=True)
class Line:
    """A note as a tool result shows it. `times` is how often it was found, more than once where repeats are folded."""

    id: int
    span: TimeRange
    kind: str
    text: str
    uncertain: bool
    video: str = ""
    times: int = 1


def lines_of(text: str) -> list[Line]:
    """Return the notes in a tool result."""
    found = []
    for m in _LINE.finditer(text):
        try:
            span = TimeRange(parse(m["start"]), parse(m["end"]))
        except ValueError:
            continue
        more = _MORE_TIMES.search(m["again"])
        times = 1 + len(_AGAIN.findall(m["again"])) + (int(more[1]) if more else 0)
        found.append(Line(int(m["id"]), span, m["kind"], m["text"], "uncertain" in m["marks"], m["video"] or "", times))
    return found


def was_cut(text: str) -> bool:
    """Tell whether a tool result says that there is more than it shows."""
    return bool(_CUT.search(text))


def groups(lines: Sequence[Line]) -> list[list[Line]]:
    """Group notes that are read together: subtitle cues that run on into a sentence, lines of text on screen at the same time."""
    ordered = sorted(lines, key=lambda n: (n.video, n.kind, n.span.start))
    found: list[list[Line]] = []
    for line in ordered:
        last = found[-1][-1] if found else None
        if last and line.kind == "subtitle" == last.kind and line.video == last.video and _runs_on(last, line):
            found[-1].append(line)
        elif line.kind == "text":
            together = [n for n in ordered if n.kind == "text" and n.video == line.video and n.span.overlaps(line.span)]
            if together[:_LINES_TOGETHER] not in found:
                found.append(together[:_LINES_TOGETHER])
        else:
            found.append([line])
    return found


def _runs_on(last: Line, line: Line) -> bool:
    return line.span.start - last.span.end <= _CUE_GAP_MS and not last.text.rstrip().endswith((".", "!", "?"))
