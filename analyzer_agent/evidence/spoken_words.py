"""Words with their times, from the detail of speech notes; estimated for notes without times."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import category

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.records import Note

_SPACELESS = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff]"
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""

_NO_SPACES = re.compile(_SPACELESS)
_UNIT = re.compile(rf"{_SPACELESS}(?:(?!{_SPACELESS})[^\w\s])*|(?:(?!{_SPACELESS})\S)+")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word: text, times in ms, probability if known; `joint` if no space stands before it."""

    text: str
    start: int
    end: int
    prob: float | None = None
    joint: bool = False


def words_of(run: MergedNote) -> list[SpokenWord]:
    """Return the words of a merged note in order, from those of its pieces that have word times.

    Words that an engine splits without a space, such as `l` and `'amour`, are one word, unless the
    script has no spaces.
    """
    return [word for note in run.notes for word in _stored_words(note)]


def words_or_estimate(runs: Sequence[MergedNote]) -> list[SpokenWord]:
    """Return the words of merged notes in order; missing times are interpolated by word length."""
    return [word for run in runs for note in run.notes for word in (_stored_words(note) or _interpolated_words(note))]


def joined(words: Sequence[SpokenWord]) -> str:
    """Return words as one text, with spaces except before `joint` words."""
    return "".join(word.text if word.joint or not n else f" {word.text}" for n, word in enumerate(words))


def _stored_words(note: Note) -> list[SpokenWord]:
    found: list[SpokenWord] = []
    for word in _stored(note):
        if word.joint and _inseparable(found[-1].text, word.text):
            before = found.pop()
            probs = [prob for prob in (before.prob, word.prob) if prob is not None]
            word = SpokenWord(before.text + word.text, before.start, word.end, min(probs, default=None), before.joint)
        found.append(word)
    return found


def _inseparable(one: str, other: str) -> bool:
    """Return whether two adjacent texts are one word, or a word and its punctuation."""
    spaceless = _NO_SPACES.match(one[-1]) or _NO_SPACES.match(other[0])
    return not spaceless or category(one[-1]) in ("Ps", "Pi") or category(other[0]) in ("Pe", "Pf", "Po")


def _stored(note: Note) -> Iterator[SpokenWord]:
    given = note.observation.detail.get("words")
    at = 0
    for word in given if isinstance(given, list | tuple) else ():
        if not isinstance(word, list | tuple) or not word[0]:
            continue
        text, start, end, prob = word
        place = note.text.find(str(text), at)
        # The first word of a note is never joint.
        yield SpokenWord(str(text), int(start), int(end), prob, joint=0 < at == place)
        at = at if place < 0 else place + len(str(text))


def _interpolated_words(note: Note) -> list[SpokenWord]:
    units = list(_UNIT.finditer(note.text))
    total = sum(len(unit[0]) for unit in units)
    words, before = [], 0
    for unit in units:
        start, end = (note.span.start + note.span.length * n // total for n in (before, before + len(unit[0])))
        words.append(SpokenWord(unit[0], start, end, joint=unit.start() > 0 and not note.text[unit.start() - 1].isspace()))
        before += len(unit[0])
    return words
