"""JSON formats.

Transcripts of Whisper and WhisperX, caption lists, subtitles of LongVideoBench, and the output of
`notes --format json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analyzer_agent.importing.model import Document, Entry, ImportedWord, Place

_SEGMENT = ("start", "end", "text")
_OPEN_END_MS = 5_000
"""Assumed duration of a subtitle without an end, in ms."""


def parse_json(text: str, name: str) -> Any:
    """Parse JSON, or JSON lines into a list; `name` is the file's name, for messages.

    Raises:
        AgentError: the text is neither; the message names the line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
        if error.msg != "Extra data" or not lines[0][1].rstrip().endswith("}"):
            raise Place(name, f"line {error.lineno}").invalid(f"it is not valid JSON ({error.msg})") from error
        return [_line(line, name, number) for number, line in lines]
    except (ValueError, RecursionError) as error:  # too many digits, or too deeply nested
        raise Place(name, "line 1").invalid("it is not valid JSON") from error


def document(given: Any, name: str, every: int) -> Document:
    """Convert parsed JSON to a document.

    Args:
        given: the parsed JSON.
        name: the file's name, for messages.
        every: the spacing of caption lists, in ms.

    Raises:
        AgentError: the format is unknown, or a record is invalid.
    """
    if isinstance(given, Mapping) and isinstance(given.get("segments"), list):
        return _transcript(given["segments"], given, name)
    if isinstance(given, Mapping) and set(_SEGMENT) <= set(given):
        given = [given]
    if isinstance(given, list) and given and isinstance(given[0], Mapping):
        if "kind" in given[0]:
            return Document("notes", [_note(record, Place(name, f"record {n}")) for n, record in enumerate(given, 1)])
        if {"timestamp", "line"} & set(given[0]):
            return Document("subtitles-json", [_cue(record, Place(name, f"subtitle {n}")) for n, record in enumerate(given, 1)])
        return _transcript(given, {}, name)
    if isinstance(given, list):
        return _captions(dict(enumerate(given)), name, every)
    if isinstance(given, Mapping) and all(key.isdecimal() and key.isascii() and len(key) < 10 for key in given):
        return _captions({int(key): value for key, value in given.items()}, name, every)
    raise Place(name, "line 1").invalid("this JSON is none of the forms that can be imported")


def _line(line: str, name: str, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Place(name, f"line {number}").invalid("it is not valid JSON") from error


def _captions(given: Mapping[int, Any], name: str, every: int) -> Document:
    places = {n: Place(name, f"caption {n}") for n in given}
    entries = [at.entry(n * every, (n + 1) * every, at.text(given[n], "caption")) for n, at in places.items()]
    return Document("captions", entries, every)


def _note(record: Any, at: Place) -> Entry:
    entry = _generic_entry(record, at)
    kind, score = at.text(record.get("kind"), "kind"), at.score(record.get("score"))
    return replace(entry, kind=kind, score=score, uncertain=record.get("uncertain") is True)


def _cue(record: Any, at: Place) -> Entry:
    """Parse a subtitle of LongVideoBench.

    It has `timestamp: [start, end]` and `text`, with null for an unknown end; or `start`, `end` and
    `line`.
    """
    record = _record(record, at)
    times = record.get("timestamp", [record.get("start"), record.get("end")])
    if not isinstance(times, list) or len(times) != 2:
        raise at.invalid(f"'timestamp' must be a start and an end, not {times!r:.80}")
    start = at.time(times[0], "start")
    end = start + _OPEN_END_MS if times[1] is None else at.time(times[1], "end")
    return at.entry(start, end, at.text(record.get("text", record.get("line"))))


def _transcript(segments: Sequence[Any], head: Mapping[str, Any], name: str) -> Document:
    language = Place(name, "the head").text(head.get("language"), "language")
    entries = [_segment(record, Place(name, f"segment {n}"), language) for n, record in enumerate(segments, 1)]
    aligned = "word_segments" in head or any("score" in w for s in segments for w in s.get("words") or () if isinstance(w, Mapping))
    return Document("whisperx" if aligned else "faster-whisper", entries)


def _segment(record: Any, at: Place, language: str) -> Entry:
    entry = _generic_entry(record, at)
    words = _words(record.get("words") or (), entry, at)
    told = [word.prob for word in words if word.prob is not None]
    score = round(sum(told) / len(told), 3) if told else None
    return replace(entry, words=tuple(words), score=score, language=language)


def _words(given: Any, segment: Entry, at: Place) -> list[ImportedWord]:
    """Parse words in order.

    Missing times, as WhisperX leaves them for unaligned words, are taken from the neighbours.
    """
    if not isinstance(given, list | tuple):
        raise at.invalid("'words' must be a list")
    words: list[ImportedWord] = []
    for n, record in enumerate(given, 1):
        place = at._replace(where=f"{at.where}, word {n}")
        text = _record(record, place).get("word")
        if not isinstance(text, str):
            raise place.invalid("the field 'word' is missing")
        before = words[-1] if words else ImportedWord("", segment.start, segment.start, None)
        start = before.end if record.get("start") is None else max(before.start, place.time(record["start"], "start"))
        later = (place.time(w["start"], "start") for w in given[n:] if isinstance(w, Mapping) and w.get("start") is not None)
        end = next(later, segment.end) if record.get("end") is None else place.time(record["end"], "end")
        prob = place.score(record.get("score", record.get("probability")))
        words.append(ImportedWord(" " * text.startswith(" ") + place.text(text), start, max(end, start + 1), prob))
    return words


def _generic_entry(record: Any, at: Place) -> Entry:
    record = _record(record, at)
    if missing := [field for field in _SEGMENT if field not in record]:
        raise at.invalid(f"the field {missing[0]!r} is missing")
    start, end = (at.time(record[field], field) for field in ("start", "end"))
    return at.entry(start, end, at.text(record["text"]))


def _record(given: Any, at: Place) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise at.invalid(f"it is not a JSON object: {given!r:.80}")
    return given
