"""JSON formats.

Transcripts of Whisper and WhisperX, caption lists, subtitles of LongVideoBench, and the output of
`notes --format json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analyzer_agent.importing.model import Document, Entry, ImportedWord, invalid_place, score_of, span_of, text_of, time_of

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
            raise invalid_place(name, f"line {error.lineno}", f"it is not valid JSON ({error.msg})") from error
        return [_line(line, name, number) for number, line in lines]
    except (ValueError, RecursionError) as error:  # too many digits, or too deeply nested
        raise invalid_place(name, "line 1", "it is not valid JSON") from error


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
            return Document("notes", "notes-file", "", [_note(record, name, f"record {n}") for n, record in enumerate(given, 1)])
        if {"timestamp", "line"} & set(given[0]):
            return Document("subtitles-json", "subtitles-json", "subtitle", _cues(given, name))
        return _transcript(given, {}, name)
    if isinstance(given, list):
        return _captions(dict(enumerate(given)), name, every)
    if isinstance(given, Mapping) and all(key.isdecimal() and key.isascii() and len(key) < 10 for key in given):
        return _captions({int(key): value for key, value in given.items()}, name, every)
    raise invalid_place(name, "line 1", "this JSON is none of the forms that can be imported")


def _line(line: str, name: str, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise invalid_place(name, f"line {number}", "it is not valid JSON") from error


def _captions(given: Mapping[int, Any], name: str, every: int) -> Document:
    entries = [
        Entry(n * every, (n + 1) * every, text_of(text, name, f"caption {n}", "caption"), f"caption {n}") for n, text in given.items()
    ]
    return Document("captions", "captions-file", "caption", entries, every)


def _note(record: Any, name: str, where: str) -> Entry:
    kind = text_of(_record(record, name, where).get("kind"), name, where, "kind")
    uncertain = record.get("uncertain") is True
    return replace(_generic_entry(record, name, where), kind=kind, score=score_of(record.get("score"), name, where), uncertain=uncertain)


def _cues(given: Sequence[Any], name: str) -> list[Entry]:
    """Parse subtitles of LongVideoBench.

    Records have `timestamp: [start, end]` and `text`, with null for an unknown end; or `start`,
    `end` and `line`.
    """
    entries: list[Entry] = []
    for n, record in enumerate(given, 1):
        where = f"subtitle {n}"
        record = _record(record, name, where)
        times = record.get("timestamp", [record.get("start"), record.get("end")])
        if not isinstance(times, list) or len(times) != 2:
            raise invalid_place(name, where, f"'timestamp' must be a start and an end, not {times!r:.80}")
        start = time_of(times[0], name, where, "start")
        end = start + _OPEN_END_MS if times[1] is None else time_of(times[1], name, where, "end")
        entries.append(Entry(*span_of(start, end, name, where), text_of(record.get("text", record.get("line")), name, where), where))
    return entries


def _transcript(segments: Sequence[Any], head: Mapping[str, Any], name: str) -> Document:
    language = text_of(head.get("language"), name, "the head", "language")
    entries = [_segment(record, name, f"segment {n}", language) for n, record in enumerate(segments, 1)]
    aligned = "word_segments" in head or any("score" in w for s in segments for w in s.get("words") or () if isinstance(w, Mapping))
    form = "whisperx" if aligned else "faster-whisper"
    return Document(form, form, "speech", entries)


def _segment(record: Any, name: str, where: str, language: str) -> Entry:
    entry = _generic_entry(record, name, where)
    words = _words(record.get("words") or (), entry, name)
    told = [word.prob for word in words if word.prob is not None]
    score = round(sum(told) / len(told), 3) if told else None
    return replace(entry, words=tuple(words), score=score, language=language)


def _words(given: Any, segment: Entry, name: str) -> list[ImportedWord]:
    """Parse words in order.

    Missing times, as WhisperX leaves them for unaligned words, are taken from the neighbours.
    """
    if not isinstance(given, list | tuple):
        raise invalid_place(name, segment.where, "'words' must be a list")
    words: list[ImportedWord] = []
    for n, record in enumerate(given, 1):
        where = f"{segment.where}, word {n}"
        text = _record(record, name, where).get("word")
        if not isinstance(text, str):
            raise invalid_place(name, where, "the field 'word' is missing")
        before = words[-1] if words else ImportedWord("", segment.start, segment.start, None)
        start = before.end if record.get("start") is None else max(before.start, time_of(record["start"], name, where, "start"))
        later = (time_of(w["start"], name, where, "start") for w in given[n:] if isinstance(w, Mapping) and w.get("start") is not None)
        end = next(later, segment.end) if record.get("end") is None else time_of(record["end"], name, where, "end")
        prob = score_of(record.get("score", record.get("probability")), name, where)
        words.append(ImportedWord(" " * text.startswith(" ") + text_of(text, name, where), start, max(end, start + 1), prob))
    return words


def _generic_entry(record: Any, name: str, where: str) -> Entry:
    record = _record(record, name, where)
    if missing := [field for field in _SEGMENT if field not in record]:
        raise invalid_place(name, where, f"the field {missing[0]!r} is missing")
    start, end = (time_of(record[field], name, where, field) for field in ("start", "end"))
    return Entry(*span_of(start, end, name, where), text_of(record["text"], name, where), where)


def _record(given: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise invalid_place(name, where, f"it is not a JSON object: {given!r:.80}")
    return given
