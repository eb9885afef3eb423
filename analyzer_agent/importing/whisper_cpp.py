"""The JSON of whisper.cpp: segments with `offsets` in ms, made of tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from analyzer_agent.importing.json_records import fields_of, listed, speaker_of
from analyzer_agent.importing.model import Entry, ImportedWord, Place


def language_of(given: Mapping[str, Any]) -> str:
    """Return the language of a file, "" if it names none."""
    result = given.get("result")
    language = result.get("language") if isinstance(result, Mapping) else None
    return language if isinstance(language, str) else ""


def segment(record: Any, at: Place, language: str) -> Entry:
    """Parse a segment of whisper.cpp, whose `offsets` are ms.

    Raises:
        AgentError: it has no times.
    """
    record = fields_of(record, at)
    start, end = _times(record, at)
    entry = replace(at.entry(start, end, at.text(record.get("text"))), words=tuple(_words(record.get("tokens"), at)), language=language)
    told = [word.prob for word in entry.words if word.prob is not None]
    speaker = speaker_of(record, at)
    named = f"Speaker {speaker}" if speaker.isdecimal() else speaker
    return replace(entry, score=round(sum(told) / len(told), 3) if told else None).said_by(named)


def _times(record: Mapping[str, Any], at: Place) -> tuple[int, int]:
    offsets, stamps = record.get("offsets"), record.get("timestamps")
    if isinstance(offsets, Mapping) and all(isinstance(offsets.get(name), int) for name in ("from", "to")):
        return max(0, offsets["from"]), max(0, offsets["to"])
    if isinstance(stamps, Mapping) and {"from", "to"} <= set(stamps):
        start, end = (at.time(str(stamps[name]).replace(",", "."), name) for name in ("from", "to"))
        return start, end
    raise at.invalid("the field 'offsets' is missing")


def _words(given: Any, at: Place) -> Iterator[ImportedWord]:
    """Yield the words that tokens make up: a word begins with a space; `[_BEG_]` and the like are none."""
    word: ImportedWord | None = None
    for record in listed(given):
        text = record.get("text") if isinstance(record, Mapping) else None
        if not isinstance(text, str) or text.startswith("[_") or not isinstance(record.get("offsets"), Mapping):
            continue
        (start, end), prob = _times(record, at), at.score(record.get("p"))
        if word is not None and not text.startswith(" "):
            prob = min((one for one in (word.prob, prob) if one is not None), default=None)
            word = ImportedWord(word.text + text, word.start, max(end, word.end), prob)
            continue
        if word is not None:
            yield word
        word = ImportedWord(text, start, max(end, start + 1), prob)
    if word is not None:
        yield word
