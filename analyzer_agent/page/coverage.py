"""What the coverage ledger says of a video, as a page draws it: what was found, empty, failed or never looked at.

Pure functions over rows of the ledger.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from analyzer_agent.records import LOST, Unexamined
from analyzer_agent.storage import GrainState
from analyzer_agent.timeline import TimeRange, merge

Needs = Literal["picture", "audio", "subtitles", ""]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the timeline as an analyzer left it.

    Attributes:
        span: the part.
        state: `found` or `empty` where the analyzer looked, `failed` where it raised an error,
            `unread` where the file could not be read. What no segment covers was never looked at.
        step: the finest sampling step in ms; 0 if nothing was skipped.
        why: the error or reason, for people.
    """

    span: TimeRange
    state: Literal["found", "empty", "failed", "unread"]
    step: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """The parts that an analyzer has covered: what of the video it needs, and whether it samples."""

    needs: Needs
    sampled: bool
    segments: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class Unlooked:
    """The parts that were never looked at by any analyzer of a sort.

    Attributes:
        what: `any` for all analyzers together, else what of the video they need. Of those that need
            the picture only those that sample it count: the ones that find cuts and motion say
            nothing of what is in the picture.
        step: looked at this often or more; in ms, None for at all.
        spans: the parts.
    """

    what: Literal["any", "picture", "audio", "subtitles"]
    step: int | None
    spans: Sequence[TimeRange]


def segments(grains: Iterable[GrainState], notes: Iterable[TimeRange], unread: Iterable[Unexamined] = ()) -> list[Segment]:
    """Return the segments of one analyzer in time order; where it looked more than once, the best result counts.

    Args:
        grains: its rows of the ledger, with any engine.
        notes: the spans of its notes.
        unread: the ranges that it covered without being able to examine all of them.
    """
    with_notes = merge(notes)
    edges: dict[int, list[tuple[Segment, int]]] = {}
    for segment in (*(_of_grain(grain, with_notes) for grain in grains), *(_of_loss(u) for u in unread if u.reason in LOST)):
        edges.setdefault(segment.span.start, []).append((segment, 1))
        edges.setdefault(segment.span.end, []).append((segment, -1))
    found: list[Segment] = []
    here: Counter[Segment] = Counter()
    before = 0
    for at in sorted(edges):
        if here and at > before:
            _append(found, TimeRange(before, at), here)
        for segment, change in edges[at]:
            here[segment] += change
            if not here[segment]:
                del here[segment]
        before = at
    return found


def _of_grain(grain: GrainState, with_notes: Sequence[TimeRange]) -> Segment:
    if not grain.done:
        return Segment(grain.span, "failed", grain.step, grain.error)
    after = bisect_right(with_notes, grain.span.start, key=lambda span: span.end)
    found = after < len(with_notes) and with_notes[after].overlaps(grain.span)
    return Segment(grain.span, "found" if found else "empty", grain.step)


def _of_loss(lost: Unexamined) -> Segment:
    return Segment(lost.span, "unread", 0, lost.detail or lost.reason)


def _append(found: list[Segment], span: TimeRange, here: Iterable[Segment]) -> None:
    """Append what holds in `span`, or extend the last segment by it."""
    by_state = {segment.state: segment for segment in here}
    state = next(state for state in ("unread", "found", "empty", "failed") if state in by_state)
    looks = [segment.step for segment in here if segment.state in ("found", "empty")]
    step = min(looks, default=by_state[state].step)
    last = found[-1] if found else None
    if last and last.span.end == span.start and (last.state, last.step, last.why) == (state, step, by_state[state].why):
        found[-1] = Segment(TimeRange(last.span.start, span.end), last.state, last.step, last.why)
    else:
        found.append(Segment(span, by_state[state].state, step, by_state[state].why))


def unlooked(looked: Sequence[Looked], duration: int, has: Iterable[Needs]) -> list[Unlooked]:
    """Return what was never looked at: by any analyzer, then by those of the picture at each step, of sound, of subtitles.

    Args:
        looked: what each analyzer that ran has covered.
        duration: the duration of the video in ms.
        has: what the video has.
    """
    whole = TimeRange(0, duration)
    rows = [Unlooked("any", None, _rest(whole, (s for one in looked for s in one.segments)))]
    sampled = [segment for one in looked if one.needs == "picture" and one.sampled for segment in one.segments]
    for what in ("picture", "audio", "subtitles"):
        if what not in has:
            continue
        parts = sampled if what == "picture" else [s for one in looked if one.needs == what for s in one.segments]
        rows.append(Unlooked(what, None, _rest(whole, parts)))
        if what == "picture":
            steps = sorted({s.step for s in sampled if s.step and s.state in ("found", "empty")}, reverse=True)
            for step in steps[1:]:
                finer = Unlooked(what, step, _rest(whole, (s for s in sampled if s.step <= step)))
                # Nobody looked at a step between two that leave the same parts: the finer one tells more.
                if rows[-1].step and rows[-1].spans == finer.spans:
                    rows.pop()
                if rows[-1].spans != finer.spans:
                    rows.append(finer)
    return rows


def _rest(whole: TimeRange, parts: Iterable[Segment]) -> list[TimeRange]:
    return whole.minus(merge(s.span for s in parts if s.state in ("found", "empty")))
