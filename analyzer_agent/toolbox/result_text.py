"""Text of tool results: examined ranges, findings, and gaps with their reasons."""

from collections.abc import Sequence

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.rendering import spans_text
from analyzer_agent.evidence.tracks import most_at_once
from analyzer_agent.fencing import fenced as fence
from analyzer_agent.fencing import inline
from analyzer_agent.records import Unexamined
from analyzer_agent.timeline import TimeRange, total


def fenced_result(head: str, lines: str) -> str:
    """Return a head and the lines from the video, the latter in a fence that marks them as data."""
    if not lines:
        return head if head.endswith(".") else f"{head}."
    return f"{head}:\n{fence(lines)}"


def examined_text(who: str, ranges: Sequence[TimeRange], left: Sequence[Unexamined], found: bool, more: str = "") -> str:
    """Return sentences on the examined ranges, the gaps with their reasons, and empty findings.

    Args:
        who: the tool, its engine and, if the session has several, the video.
        ranges: the requested ranges, merged.
        left: the unexamined ranges.
        found: whether there are notes to show.
        more: a sentence about the notes, or the reason why there are none.
    """
    missed = [u.span for u in left if u.reason != "not_understood"]
    seen = [part for span in ranges for part in span.minus(missed)]
    said = [f"{who} looked at {spans_text(seen)}" if seen else f"{who} looked at nothing"]
    for reason, what in _REASONS.items():
        spans = [u.span for u in left if u.reason == reason]
        if not spans:
            continue
        # An error message may contain a file name or text from the file.
        detail = next((inline(u.detail) for u in reversed(left) if u.reason == reason and u.detail), "")
        said.append(f"{what} {spans_text(spans)}{f': {detail}' if detail else ''}")
    if more:
        said.append(more)
    elif not found and total(seen):
        said.append("Nothing was found there")
    return ".\n".join(line.rstrip(".") for line in said)


def track_counts(runs: Sequence[MergedNote], ranges: Sequence[TimeRange]) -> str:
    """Return the number of tracks of each class, and the most at a time; "" without tracks."""
    by_class: dict[str, list[TimeRange]] = {}
    for run in runs:
        if run.kind == "track":
            by_class.setdefault(run.text, []).append(run.span)
    told = []
    for name, spans in sorted(by_class.items(), key=lambda item: (-len(item[1]), item[0])):
        most = max(most_at_once([part for span in spans if (part := span.within(asked))]) for asked in ranges)
        told.append(f"{len(spans)} {name} (at most {most} at the same time)")
    return f"Counted: {', '.join(told)}" if told else ""


_REASONS = {
    "failed": "It failed on",
    "budget": "Not examined, because the budget is spent:",
    "unseen": "Not examined, because it failed too often:",
    "unavailable": "Not examined, because it cannot run here:",
    "not_understood": "Not understood, there is voice without words:",
    "undecodable": "Not examined, because it cannot be decoded:",
    "encrypted": "Not examined, because it is encrypted:",
    "other_track": "Not examined, because it is on another track:",
    "too_small": "Not examined, because it is too small for the engine:",
    "unreadable_cue": "Not examined, because the subtitle file cannot be read there:",
}
