"""Seconds or milliseconds: the same header stands for either, so the file and the video decide.

Whisper's own TSV is in whole ms, other tools write seconds under the same names.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Literal

from analyzer_agent.errors import AgentError
from analyzer_agent.importing.model import Document, Entry
from analyzer_agent.timeline import clock

Unit = Literal["s", "ms"]

_OWN_UNIT = ("srt", "vtt", "whisper.cpp", "captions")
"""Formats whose unit is known."""

_SPOKEN = ("speech", "subtitle")
_BEYOND_MS, _BEYOND_SHARE = 10_000, 0.05
"""How far a file may reach beyond the end of its video."""

_SLOW, _FAST = 0.25, 150.0
"""Letters a second that nobody speaks: fewer than `_SLOW`, more than `_FAST`."""


def in_seconds(document: Document, unit: Unit | None, limit: int, kind: str) -> tuple[Document, str]:
    """Return a document whose times are read in their unit, and a message for people.

    Times are ms if all are whole numbers, go beyond the end of the video as seconds and not as ms,
    and leave a text that could be spoken.

    Args:
        document: the document, its numbers read as seconds.
        unit: the unit, if the user named it.
        limit: the time in the file at which the video ends, in ms.
        kind: the kind that the user gave to entries that name none.

    Raises:
        AgentError: both units fit, and the text would last longer than anybody speaks.
    """
    if document.form in _OWN_UNIT:
        if unit:
            raise AgentError(f"The unit of the times is known in this format ({document.form}).", hint="Leave out --unit.")
        return document, ""
    if unit:
        return (_as_ms(document) if unit == "ms" else document), ""
    entries = [entry for entry in document.entries if entry.text]
    if not entries or not all(_is_whole(entry) for entry in entries):
        return document, ""
    last = max(entry.end for entry in entries)
    rate = median(sum(map(str.isalnum, entry.text)) * 1000 / (entry.end - entry.start) for entry in entries)
    if rate * 1000 > _FAST:
        return document, ""
    if not _fits(last, limit) and _fits(last // 1000, limit):
        told = f"the times are whole numbers up to {last // 1000}, far beyond the video at {clock(limit)}: they were read as milliseconds"
        return _as_ms(document), f"{told}; --unit s reads them as seconds"
    if rate < _SLOW and _are_spoken(entries, kind or document.kind):
        raise AgentError(
            "The times of this file may be seconds or milliseconds: as seconds, its words would last "
            f"{clock(round(1000 / rate) if rate else last)} for each letter.",
            hint="Say which: --unit s or --unit ms.",
        )
    return document, ""


def _is_whole(entry: Entry) -> bool:
    times = [entry.start, entry.end, *(time for word in entry.words for time in (word.start, word.end))]
    # An entry without a length was given 1 ms.
    return all(time % 1000 <= 1 for time in times)


def _fits(last: int, limit: int) -> bool:
    return last <= limit + max(_BEYOND_MS, round(limit * _BEYOND_SHARE))


def _are_spoken(entries: Sequence[Entry], kind: str) -> bool:
    return all((entry.kind or kind or _SPOKEN[0]) in _SPOKEN for entry in entries)


def _as_ms(document: Document) -> Document:
    return replace(document, entries=[_shrunk(entry) for entry in document.entries])


def _shrunk(entry: Entry) -> Entry:
    start, end = round(entry.start / 1000), round(entry.end / 1000)
    words = tuple(w._replace(start=round(w.start / 1000), end=max(round(w.end / 1000), round(w.start / 1000) + 1)) for w in entry.words)
    return replace(entry, start=start, end=max(end, start + 1), words=words)
