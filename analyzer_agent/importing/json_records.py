"""What the records of JSON transcripts share: their fields by the names that programs give them."""

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer_agent.importing.model import OPEN_END_MS, Entry, Place

TEXTS = ("text", "transcript", "line")
"""The fields that hold the text of a record."""

WORD_TEXTS = ("word", "text", "punctuated_word")
SCORES = ("score", "probability", "confidence", "p")
"""The fields that hold a word, and how sure its program is of it."""


def speaker_of(record: Mapping[str, Any], at: Place) -> str:
    """Return the name of the speaker of a record, "" if it names none."""
    given = record.get("speaker")
    if isinstance(given, int) and not isinstance(given, bool):
        return f"Speaker {given}"
    return at.text(given, "speaker") if isinstance(given, str) else ""


def listed(given: Any) -> Sequence[Any]:
    """Return a list, an empty one for anything else."""
    return given if isinstance(given, list | tuple) else ()


def first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the first of these fields that a record has, else None."""
    return next((record[name] for name in names if record.get(name) is not None), None)


def timed_entry(record: Any, at: Place) -> Entry:
    """Return the entry of a record with a text, and `start` and `end` or `duration`, or `timestamp: [start, end]`.

    An unknown end (null) is assumed.

    Raises:
        AgentError: a field is missing, or is no time.
    """
    record = fields_of(record, at)
    times = record.get("timestamp")
    if times is not None and (not isinstance(times, list | tuple) or len(times) != 2):
        raise at.invalid(f"'timestamp' must be a start and an end, not {times!r:.80}")
    if times is not None:
        record = {**record, "start": times[0], "end": times[1]}
    for field, names in (("start", ("start",)), ("end", ("end", "duration")), ("text", TEXTS)):
        if not set(names) & set(record):
            raise at.invalid(f"the field {field!r} is missing")
    start = at.time(record["start"], "start")
    if record.get("end") is not None:
        end = at.time(record["end"], "end")
    else:
        end = start + (OPEN_END_MS if record.get("duration") is None else at.time(record["duration"], "duration"))
    return at.entry(start, end, at.text(first(record, TEXTS)))


def fields_of(given: Any, at: Place) -> Mapping[str, Any]:
    """Return a record as an object.

    Raises:
        AgentError: it is none.
    """
    if not isinstance(given, Mapping):
        raise at.invalid(f"it is not a JSON object: {given!r:.80}")
    return given
