"""What an answer cites: its marks, such as `[#12]`, and whether its quotations are in the cited notes.

Knows nothing of notes but their numbers and texts; `answer_check` decides what happens to a
misquotation.
"""

import re
from bisect import bisect, bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.spoken_words import SpokenWord, words_of
from analyzer_agent.folding import fold, is_unspaced, letters_of, words_in
from analyzer_agent.timeline import TimeRange, merge

# Quantifiers are possessive (`++`, `*+`) where they can be, so that no text makes the search slow.
_BLANK = r"[^\S\n]*+"
_MORE = rf"(?:(?:[^\S\n]|[,;&/\-\u2013\u2014])++(?:(?:and|to)\b)?{_BLANK}#?|#){_BLANK}\d++(?!\.?\d*+:)"
_CLOCK = r"\d++(?::\d++)++(?:\.\d++)?"
_TIMES = rf"(?:{_BLANK}{_CLOCK}(?:{_BLANK}[-\u2013]{_BLANK}{_CLOCK})?)?"
_MARK_TEXT = rf"[\[(\u3010]{_BLANK}(?:notes?{_BLANK})?(#{_BLANK}\d++(?:{_MORE})*){_TIMES}{_BLANK}[\])\u3011]"
_MARK = re.compile(_MARK_TEXT, re.I)
"""One number or several in brackets: `[#12]`, `[#12, #13]`, `(#12)`, `[notes #12 and 13]`; times that a model copied with it."""

_SENTENCE_STOP = r"(?:[.!?\u2026]+[\"'\u201c\u201d\u2018\u2019\u00ab\u00bb)]*|[\u3002\uff01\uff1f]+)"
_SENTENCE_END = re.compile(rf"{_SENTENCE_STOP}(?:(?:\s*{_MARK_TEXT})+[.!?,;]*)?(?=\s|$)|[\u3002\uff01\uff1f]+|\n+", re.I)

_LEFTOVERS = (
    (re.compile(r"\[\s*\]|\(\s*\)|\u3010\s*\u3011"), ""),
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"[ \t]+(?=[.!?,;\u2026](?:\s|$)|[\])\u3011]|$)"), ""),
)
_MAX_ID_DIGITS = 18


def parse_id(digits: str) -> int:
    """Return the number of a note, -1 where it is none (or too long to be one)."""
    return int(digits) if digits.isdecimal() and len(digits) <= _MAX_ID_DIGITS else -1


def cited_ids(text: str) -> list[int]:
    """Return the numbers that all marks of a text name, in order."""
    return [n for mark in _MARK.finditer(text) for n in _ids_of(mark)]


def strip_invalid(text: str, shown: Collection[int]) -> tuple[str, list[int], list[str]]:
    """Return the text with the marks of `shown` notes only, the numbers it cites, and the sentences that lost a mark.

    A mark belongs to the sentence that it ends, also where it comes after the full stop.
    """
    parts: list[str] = []
    lost: list[str] = []
    for sentence in _sentences(text):
        if any(n not in shown for n in cited_ids(sentence)):
            lost.append(sentence.strip())
        parts.append(_strip_sentence(sentence, shown))
    whole = "".join(parts).strip()
    return whole, list(dict.fromkeys(cited_ids(whole))), lost


def sentences_with_ids(text: str) -> Iterator[tuple[str, list[int]]]:
    """Yield each sentence without its marks, and the numbers that they name."""
    for sentence in _sentences(text):
        yield _strip_sentence(sentence, ()).strip(), cited_ids(sentence)


def sentence_spans(text: str) -> list[tuple[int, int, list[int]]]:
    """Return where each sentence of a text begins and ends, and the numbers that its marks name."""
    ends = [0, *accumulate(map(len, _sentences(text)))]
    return [(start, end, cited_ids(text[start:end])) for start, end in pairwise(ends)]


def renumber(text: str, ids: Mapping[int, int]) -> str:
    """Return the text with the numbers in its marks replaced; those that are not among `ids` stay."""
    return _MARK.sub(lambda mark: f"[{', '.join(f'#{ids.get(n, n)}' for n in _ids_of(mark))}]", text)


def replace_marks(text: str, marks: Mapping[int, str]) -> str:
    """Return the text with what `marks` has for each number in place of its mark; the others stay."""
    return _MARK.sub(lambda found: "".join(marks.get(n, f"[#{n}]") for n in _ids_of(found)), text)


def _strip_sentence(sentence: str, shown: Collection[int]) -> str:
    """Return a sentence without marks of other notes: again and again, as what is left around a mark may itself read as one."""

    def valid(mark: re.Match[str]) -> str:
        ids = [n for n in _ids_of(mark) if n in shown]
        return f"[{', '.join(f'#{n}' for n in ids)}]" if ids else ""

    while any(n not in shown for n in cited_ids(sentence)):
        sentence = _MARK.sub(valid, sentence)
        for pattern, by in _LEFTOVERS:
            sentence = pattern.sub(by, sentence)
    return _MARK.sub(valid, sentence)


def _ids_of(mark: re.Match[str]) -> Iterator[int]:
    yield from (parse_id(digits) for digits in re.findall(r"\d+", mark[1]))


def _sentences(text: str) -> Iterator[str]:
    at = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[at : end.end()]
        at = end.end()
    yield text[at:]


_MIN_QUOTED_WORDS = 3
"""With fewer words, quotation marks set off a term, not a quotation."""

_FEWEST_TIMED = 2
"""Shorter quotations get no time range of their own."""

_QUOTATION = re.compile(
    r"[\u201c\u201d\u201e](?P<curly>[^\u201c\u201d\u201e\n]*+)[\u201c\u201d]"
    r"|[\u00ab\u00bb](?P<angled>[^\u00ab\u00bb\n]*+)[\u00ab\u00bb]"
    r"|[\u2039\u203a](?P<small>[^\u2039\u203a\n]*+)[\u2039\u203a]"
    r"|\u300c(?P<corner>[^\u300c\u300d\n]*+)\u300d|\u300e(?P<double>[^\u300e\u300f\n]*+)\u300f"
    r'|(?<!\w)"(?P<straight>[^"\n]*+)"(?!\w)'
    # Between letters it is an apostrophe, at the edge of a word a quotation mark.
    r"|(?<!\w)['\u2018\u201a](?=\S)(?P<single>(?:[^'\u2018\u2019\n]|(?<=\w)['\u2019](?=\w))*+)['\u2018\u2019](?!\w)"
)
_OMITTED = re.compile(r"\u2026|\.{2,}|\[[^\[\]\n]*+\]")
"""An ellipsis, or a part in brackets: `[...]`, `[she]`, a citation mark."""

_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")


def misquoting_claims(text: str, cited: Sequence[int], evidence: Mapping[int, MergedNote | None], allowed: Iterable[str] = ()) -> list[str]:
    """Return the claims that quote words which their cited notes do not contain.

    Case, spaces, punctuation and the form of letters are ignored, see `folding`.

    Args:
        text: the answer, with its citation marks.
        cited: the note ids that claims without a mark rest on.
        evidence: the cited notes by id; a claim that cites a missing or None note is not checked.
        allowed: other texts that may be quoted, such as the options of a question.
    """
    free = {tuple(_words(other)) for other in allowed}
    wrong = []
    parts = sentence_spans(text)
    for quotation in _quotations(text):
        touched = _touched(parts, quotation)
        named = _named(touched) or cited
        runs = [run for n in named if (run := evidence.get(n)) is not None]
        if runs and len(runs) == len(named) and quotation.words not in free and not quotation.stands_in(_words_by_kind(runs)):
            wrong.append(text[touched[0][0] : touched[-1][1]].strip())
    return list(dict.fromkeys(wrong))


def spoken_at(text: str, cited: Sequence[int], evidence: Mapping[int, MergedNote]) -> dict[int, list[TimeRange]]:
    """Return the time ranges in which the quoted words are spoken, by note id.

    Only notes with word times count. The first occurrence wins; a quotation may run on from one
    cited note into the next.

    Args:
        text: the answer, with its citation marks.
        cited: the note ids that claims without a mark rest on.
        evidence: the cited notes by id.
    """
    found: dict[int, list[TimeRange]] = {}
    parts = sentence_spans(text)
    for quotation in _quotations(text, _FEWEST_TIMED):
        named = _named(_touched(parts, quotation)) or cited
        runs = {evidence[n].id: n for n in reversed(list(named)) if n in evidence}
        for line in _spoken([evidence[n] for n in runs.values()]):
            for number, span in _times(quotation, line):
                found.setdefault(runs[number], []).append(span)
    return {number: merge(spans) for number, spans in found.items()}


_Sentence = tuple[int, int, list[int]]


def _touched(parts: Sequence[_Sentence], quotation: "_Quotation") -> Sequence[_Sentence]:
    """Return the sentences that a quotation overlaps."""
    return parts[bisect(parts, quotation.start, key=_start) - 1 : bisect_left(parts, quotation.end, key=_start)]


def _named(touched: Iterable[_Sentence]) -> Sequence[int]:
    return list(dict.fromkeys(number for _, _, numbers in touched for number in numbers))


def _start(sentence: tuple[int, int, list[int]]) -> int:
    return sentence[0]


@dataclass(frozen=True, slots=True)
class _Quotation:
    """A quotation: its character range in the answer, and its pieces between ellipses."""

    start: int
    end: int
    pieces: Sequence[Sequence[str]]
    elided: bool

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word for piece in self.pieces for word in piece)

    def stands_in(self, told: Iterable[Sequence[str]]) -> bool:
        """Return whether each piece occurs in one of the texts.

        An ellipsis may cut a word in two, since notes are also shown truncated.
        """
        texts = list(told)
        return all(any(_contains("".join(piece), words, self.elided) for words in texts) for piece in self.pieces)


def _quotations(text: str, fewest: int = _MIN_QUOTED_WORDS) -> Iterator[_Quotation]:
    for found in _QUOTATION.finditer(text):
        quoted = found[found.lastgroup or 0]
        pieces = [words for part in _OMITTED.split(quoted) if (words := _words(part))]
        quotation = _Quotation(found.start(), found.end(), pieces, bool(_OMITTED.search(quoted)))
        letters = sum(map(is_unspaced, quotation.words))
        if len(quotation.words) - letters / 2 >= fewest:
            yield quotation


def _words(text: str) -> list[str]:
    """Return the folded words of a text, or its letters where words are not set apart."""
    words = words_in(_APOSTROPHE.sub("", fold(text)))
    return [part for word in words for part in (letters_of(word) if is_unspaced(word) else [word])]


def _words_by_kind(runs: Iterable[MergedNote]) -> list[list[str]]:
    """Return the words of notes, concatenated by kind: a sentence may span several subtitles."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for run in sorted(runs, key=lambda run: (run.span.start, run.id)):
        kinds.setdefault((run.video, run.kind), []).extend(_words(run.text))
    return list(kinds.values())


_Line = Sequence[tuple[str, int, SpokenWord]]
"""Consecutive spoken words: normalised text, id of the note, and the word with its times."""


def _spoken(runs: Iterable[MergedNote]) -> list[_Line]:
    """Return the timed words of notes, concatenated by kind as in `_words_by_kind`."""
    kinds: dict[tuple[str, str], list[tuple[str, int, SpokenWord]]] = {}
    for run in sorted(runs, key=lambda run: (run.span.start, run.id)):
        line = kinds.setdefault((run.video, run.kind), [])
        line.extend((part, run.id, word) for word in words_of(run) for part in _words(word.text))
    return list(kinds.values())


def _times(quotation: _Quotation, line: _Line) -> Iterator[tuple[int, TimeRange]]:
    """Yield note id and time range of each piece, if all pieces are spoken in `line`."""
    starts = [0, *accumulate(len(part) for part, _, _ in line)]
    places, at = list[tuple[int, int]](), 0
    for piece in map("".join, quotation.pieces):
        texts = [part for part, _, _ in line]
        place = _place(piece, texts, quotation.elided, at)
        if place is None and (place := _place(piece, texts, quotation.elided)) is None:
            return
        at = place + len(piece)
        places.append((bisect(starts, place) - 1, bisect_left(starts, at)))
    for first, beyond in places:
        for run in dict.fromkeys(number for _, number, _ in line[first:beyond]):
            own = [word for _, number, word in line[first:beyond] if number == run]
            yield run, TimeRange(own[0].start, max(word.end for word in own))


def _contains(part: str, words: Sequence[str], cut: bool) -> bool:
    """Return whether consecutive words, joined, make up `part`; with `cut`, also parts of words."""
    return _place(part, words, cut) is not None


def _place(part: str, words: Sequence[str], cut: bool, after: int = 0) -> int | None:
    """Return the first index of `part` in the joined words from `after` on, or None."""
    whole, edges = "".join(words), {0, *accumulate(map(len, words))}
    at = whole.find(part, after)
    while at >= 0:
        if cut or (at in edges and at + len(part) in edges):
            return at
        at = whole.find(part, at + 1)
    return None
