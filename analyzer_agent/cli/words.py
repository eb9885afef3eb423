"""The words of progress: amounts, ranges, what a call works on and what it came to.

Knows nothing of how they are shown.
"""

from collections.abc import Sequence
from typing import Any

from analyzer_agent.events import ToolStarted
from analyzer_agent.records import ToolResult
from analyzer_agent.timeline import TimeRange, clock, seconds

_RANGES_SHOWN = 3
_ASKED, _LONGEST_ASKED = ("query", "question", "description"), 80


def amount(ms: int) -> str:
    """Return a stretch of time as people say it: `8.5 s`, `12:30`."""
    return f"{seconds(ms):.3g} s" if ms < 99_950 else clock(round(ms / 1000) * 1000)


def ranges_text(ranges: Sequence[TimeRange]) -> str:
    """Return the first few ranges, and how many more there are."""
    shown = ", ".join(str(r) for r in ranges[:_RANGES_SHOWN])
    return shown + (f" and {len(ranges) - _RANGES_SHOWN} more" if len(ranges) > _RANGES_SHOWN else "")


def subject(start: ToolStarted) -> str:
    """Return which tool works on what, for which words of the model, and with which engine."""
    asked = " ".join(str(start.args[name]) for name in _ASKED if name in start.args)
    words = [start.tool, str(start.args.get("video") or ""), f'"{asked[:_LONGEST_ASKED]}"' if asked else ""]
    words.append(ranges_text(start.ranges) or _asked_range(start.args.get("range")))
    words.append(f"({start.engine})" if start.engine else "")
    return " ".join(word for word in words if word)


def _asked_range(value: Any) -> str:
    return "-".join(str(v) for v in value) if isinstance(value, list) else str(value or "")


def estimate(start: ToolStarted) -> str:
    """Return how long a call may take, where that is known and worth saying."""
    if start.estimate_ms is None or start.estimate_ms < 2000:
        return ""
    return f", about {amount(start.estimate_ms)}"


def finished(result: ToolResult, start: ToolStarted | None) -> str:
    """Return what a call came to."""
    who = subject(start) if start else result.tool
    if result.refused:
        return f"{who}: {result.text.removeprefix('Refused: ')}"
    found = f"{len(result.note_ids)} note{'' if len(result.note_ids) == 1 else 's'}"
    cost = ""
    if result.analyzed_ms or result.reused_ms:
        cost = f", {amount(result.analyzed_ms)} new in {amount(result.wall_ms)}" if result.analyzed_ms else ", nothing new"
        cost += f", {amount(result.reused_ms)} reused" if result.reused_ms else ""
    failed = [u for u in result.not_examined if u.reason == "failed"]
    broken = f", failed on {ranges_text([u.span for u in failed])}: {failed[0].detail}" if failed else ""
    return f"{who}: {found}{cost}{broken}"
