"""Group findings that are alike and in the same place, the rarest first.

A false detection recurs with its scene; a real thing passes once. Likeness is that of the class or
text and of the place; how many shots have it is counted where cuts are known.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.evidence.places import boxes_of, place_of
from analyzer_agent.evidence.rendering import as_line
from analyzer_agent.evidence.shots import cut_starts
from analyzer_agent.folding import fold
from analyzer_agent.timeline import TimeRange, clock

_TIMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class AlikeFindings:
    """Findings of a kind with the same class or text in the same place, in time order, and how many shots have one.

    `shots` is 0 where no cuts are known.
    """

    runs: tuple[MergedNote, ...]
    shots: int


def rarest_first(reader: NoteReader, runs: Sequence[MergedNote], scopes: Mapping[str, TimeRange]) -> list[AlikeFindings]:
    """Return findings in groups of alike ones: those in the fewest shots first, then those that occur least often.

    Args:
        reader: reads the cuts.
        runs: the findings, in time order.
        scopes: where they were looked for, by video id.
    """
    groups: dict[tuple[str, str, str], list[MergedNote]] = {}
    for run in runs:
        boxes = boxes_of(run.notes[0])
        name = str(run.notes[0].observation.detail.get("class", run.text))
        groups.setdefault((run.kind, fold(name), place_of(boxes[0]) if boxes else ""), []).append(run)
    cuts = {video: cut_starts(reader.store.notes.read(video, scope, kinds=["scene"])) for video, scope in scopes.items()}
    found = [
        AlikeFindings(tuple(group), len({(run.video, bisect_right(cuts[run.video], run.span.start)) for run in group if cuts[run.video]}))
        for group in groups.values()
    ]
    return sorted(found, key=lambda one: (one.shots, len(one.runs), one.runs[0].span.start))


def rarity_lines(groups: Sequence[AlikeFindings], names: Mapping[str, str]) -> tuple[str, list[MergedNote]]:
    """Return a line for each group, and the findings that it names; `names`: video id -> name, if there are several."""
    lines, told = [], []
    for group in groups:
        first, *again = group.runs
        named = again[:_TIMES_SHOWN]
        times = ", ".join(f"#{run.id} {clock(run.span.start)}-{clock(run.span.end)}" for run in named)
        often = f"{len(group.runs)} time{'' if not again else 's'}" + (
            f" in {group.shots} shot{'' if group.shots == 1 else 's'}" if group.shots else ""
        )
        lines.append(f"{as_line(first, names.get(first.video, ''))} ({often}){f' again at {times}' if times else ''}")
        told += [first, *named]
    return "\n".join(lines), told
