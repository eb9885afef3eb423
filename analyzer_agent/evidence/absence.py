"""Absence notes: what an analyzer looked for over a range and did not find, as evidence that can be cited.

They are derived from coverage: stored under the key that covers the range, deleted with its
coverage, left out of searches and descriptions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.protocols import Spec, Video
from analyzer_agent.records import ABSENCE, Observation, Unexamined
from analyzer_agent.timeline import TimeRange, instants, merge, seconds, total

_MAX_NOTES = 8
"""The most notes of one call; where it looked at more parts, the first ones are told."""

_SOUGHT = ("classes", "vocabulary", "question")
"""The arguments that name what is looked for."""

_HOW = ("every", "compare", "sheet")
"""The arguments that say how it is looked for, which the note tells otherwise."""


def seen_parts(ranges: Sequence[TimeRange], left: Sequence[Unexamined]) -> list[TimeRange]:
    """Return the parts of `ranges` that were examined: without those in `left`, other tracks aside."""
    missed = [u.span for u in left if u.reason != "other_track"]
    return [part for span in ranges for part in span.minus(missed)]


def absence_text(spec: Spec, video: Video, span: TimeRange, step: int, args: Mapping[str, Any], looked: str = "") -> str:
    """Return what was not found, and how it was looked for: `no text: looked at 8 frames, one every 2 s`.

    Args:
        spec: the spec of the analyzer that looked.
        video: the video.
        span: where it looked.
        step: the sampling step in ms; 0 if it does not sample.
        args: the arguments of its call.
        looked: what was looked at, such as "8 frames, 0:05-0:06.9", if the analyzer tells.
    """
    given = {name: args[name] for name in (*spec.options_schema, *spec.filters_schema) if name in args}
    sought = next((_listed(given[name]) for name in _SOUGHT if given.get(name)), " or ".join(spec.kinds))
    others = ", ".join(f"{name} {_listed(value)}" for name, value in given.items() if name not in (*_SOUGHT, *_HOW))
    what = f"nothing that answers {sought}" if "question" in given else f"no {sought}"
    return f"{what}{f' ({others})' if others else ''}: {f'looked at {looked}' if looked else how_text(spec, video, span, step)}"


def _listed(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else f'"{value}"' if isinstance(value, str) else str(value)


def how_text(spec: Spec, video: Video, span: TimeRange, step: int) -> str:
    """Return how closely an analyzer has looked at a range: `looked at 8 frames, one every 2 s`, `heard whole`; `step` is in ms."""
    if step and video.picture:
        frames = len(instants(span, step, video.picture))
        return f"looked at {frames} frame{'' if frames == 1 else 's'}, one every {seconds(step):g} s"
    return {"audio": "heard whole", "subtitles": "read whole"}.get(spec.needs, "examined whole")


def store_absences(reader: NoteReader, video: str, keys: Sequence[str], absences: Sequence[tuple[TimeRange, str]]) -> list[MergedNote]:
    """Store absences and return them as notes; those that are stored already keep their ids.

    Args:
        reader: reads the notes.
        video: the video id.
        keys: the cache keys of which one covers each range.
        absences: where something was not found, and the note's text.
    """
    store = reader.store
    found: list[MergedNote] = []
    for span, text in absences[:_MAX_NOTES]:
        shares = {key: total(merge(c.span for c in store.ledger.covered(video, [key], span))) for key in keys}
        if any(shares.values()):
            ids = store.ledger.keep(video, max(keys, key=lambda key: shares[key]), (), [Observation(span, ABSENCE, text)])
            found += [reader.merged_note_of(note) for note in store.notes.get(ids).values()]
    return found
