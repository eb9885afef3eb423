"""Transcripts of words alone, as OpenAI gives them on request: made into sentences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analyzer_agent.folding import is_unspaced, words_in
from analyzer_agent.importing.json_records import SCORES, WORD_TEXTS, fields_of, first, speaker_of
from analyzer_agent.importing.model import Entry, ImportedWord, Place

_PAUSE_MS = 1_500
_MAX_WORDS = 40
"""The most words of a sentence."""

_SENTENCE_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f", "\u2026")


def sentences_of(entries: Sequence[Entry], language: str) -> list[Entry]:
    """Return the sentences that words make up; they end at stops, pauses and changes of the speaker."""
    sentences: list[list[Entry]] = []
    for entry in entries:
        last = sentences[-1][-1] if sentences else None
        if last is None or _ends(last, entry) or len(sentences[-1]) >= _MAX_WORDS:
            sentences.append([])
        sentences[-1].append(entry)
    return [_sentence(words, language) for words in sentences]


def word_entry(record: Any, at: Place) -> Entry:
    """Return a word as an entry, with its speaker as its kind.

    Raises:
        AgentError: it is no word, or has no start.
    """
    record = fields_of(record, at)
    text = first(record, WORD_TEXTS)
    if not isinstance(text, str) or record.get("start") is None:
        raise at.invalid("it is no word with a start")
    start = at.time(record["start"], "start")
    end = start + 1 if record.get("end") is None else at.time(record["end"], "end")
    return replace(at.entry(start, end, at.text(text)), score=at.score(first(record, SCORES)), kind=speaker_of(record, at))


def _ends(last: Entry, following: Entry) -> bool:
    return last.text.endswith(_SENTENCE_ENDS) or following.start - last.end > _PAUSE_MS or following.kind != last.kind


def _sentence(words: Sequence[Entry], language: str) -> Entry:
    unspaced = all(is_unspaced(word) for one in words for word in words_in(one.text))
    space = "" if unspaced else " "
    text = space.join(word.text for word in words)
    told = [word.score for word in words if word.score is not None]
    parts = tuple(ImportedWord(f"{space}{word.text}", word.start, word.end, word.score) for word in words)
    entry = Entry(words[0].start, max(word.end for word in words), text, words[0].where, words=parts, language=language)
    return replace(entry, score=round(sum(told) / len(told), 3) if told else None).said_by(words[0].kind)
