"""Alignment of a file's entries with a video: grouped by analyzer, shifted and clipped."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analyzer_agent.errors import AgentError
from analyzer_agent.importing.model import Document, Entry, Flaws, ImportedWord, Place
from analyzer_agent.timeline import TimeRange, clock

_SHOT = re.compile(r"(?:shot(?: \d+)?)?", re.I)


def by_analyzer(document: Document, name: str, kind: str, analyzers: Mapping[str, str]) -> dict[str, list[Entry]]:
    """Group entries by analyzer and set their kinds; entries without text are dropped.

    Args:
        document: the parsed file.
        name: the file's name, for messages.
        kind: the kind of entries that name none; "" means that of the format.
        analyzers: analyzer by kind.

    Raises:
        AgentError: a kind is unknown or missing, or a scene has a text, which notes would not show.
    """
    valid = f"Choose from: {', '.join(analyzers)}."
    if kind and kind not in analyzers:
        raise AgentError(f"Notes of the kind {kind!r} cannot be imported.", hint=valid)
    groups: dict[str, list[Entry]] = {}
    for entry in document.entries:
        which = entry.kind or kind or document.kind
        if not which:
            raise AgentError(f"{name}, {entry.where}: it names no kind.", hint=f"Say what it is: --kind KIND. {valid}")
        if which not in analyzers:
            raise AgentError(f"{name}, {entry.where}: notes of the kind {which!r} cannot be imported.", hint=valid)
        if which == "scene" and not _SHOT.fullmatch(entry.text):
            raise Place(name, entry.where, Flaws()).invalid(
                f"a scene has times and no text but 'shot', not {entry.text!r:.80}; use the kind 'caption'"
            )
        if entry.text:
            groups.setdefault(analyzers[which], []).append(replace(entry, kind=which))
    return groups


def shift_earlier(entries: Sequence[Entry], by: int) -> list[Entry]:
    """Shift entries `by` ms earlier, and clip them at 0."""
    return [replace(e, start=max(0, e.start - by), end=e.end - by, words=tuple(_shift_words(e.words, by))) for e in entries if e.end > by]


def _shift_words(words: Sequence[ImportedWord], by: int) -> Iterator[ImportedWord]:
    yield from (w._replace(start=max(0, w.start - by), end=w.end - by) for w in words if w.end > by)


def clip_to_span(
    groups: Mapping[str, Sequence[Entry]], span: TimeRange, duration: int, name: str
) -> tuple[dict[str, list[Entry]], list[str]]:
    """Select the entries that overlap `span`.

    Args:
        groups: the entries by analyzer.
        span: the range that the file covers.
        duration: the video's duration in ms.
        name: the file's name, for messages.

    Returns:
        The entries by analyzer, and messages for people on those that were left out.

    Raises:
        AgentError: no entry overlaps.
    """
    entries = [entry for group in groups.values() for entry in group]
    beyond = sum(entry.start >= duration for entry in entries)
    kept = {analyzer: [e for e in group if e.start < span.end and e.end > span.start] for analyzer, group in groups.items()}
    count = sum(map(len, kept.values()))
    if not count:
        last = clock(max(entry.end for entry in entries))
        raise AgentError(
            f"Nothing of {name!r} lies within {span}: it reaches from {clock(min(e.start for e in entries))} to {last}.",
            hint="Check that it belongs to this video, and its --duration, --from and --to.",
        )
    outside = len(entries) - count - beyond
    told = [(beyond, f"beyond the end of the video at {clock(duration)}"), (outside, f"outside of {span}")]
    return kept, [f"{n} of {len(entries)} notes lie {where} and were left out" for n, where in told if n]
