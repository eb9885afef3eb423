"""Summarize a long range in a few parts: their boundaries, distinctive words and best notes.

Extractive and deterministic: everything is taken from stored notes, and nothing is analyzed.

Boundaries follow TextTiling (Hearst, 1997): they lie where the words on both sides are less similar
than around neighbouring places. Words are weighted by inverse frequency, so no language needs a
list of stop words.
"""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import fsum, log, sqrt

from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.folding import is_unspaced, letters_of
from analyzer_agent.records import Observation, Provenance
from analyzer_agent.storage import CHAPTER, CHAPTERS, NoteSummary, Store
from analyzer_agent.timeline import TimeRange

MAX_PARTS = 12
MIN_PART_MS = 5_000
"""Minimum length of a part in ms, unless it is a shot."""

WORD_KINDS = ("speech", "subtitle", "text", "caption", "tag", "look")
_OTHER_KINDS = ("object", "motion")
_WINDOWS, _WINDOW_MS, _BLOCK_WINDOWS = 120, 1_000, 3
"""Maximum number of windows, their minimum length, and the number of windows compared on each side
of a place."""

_UNEVEN_COST = 0.1
"""Cost of a part of twice the average length; a complete change of words is worth 1."""

_WORDS_PER_PART, _NOTES_PER_PART, _CANDIDATE_NOTES = 6, 2, 8
_WORD = re.compile(r"[^\W_]{3,}")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a range: its distinctive words (best first), best notes, and its shot, if any."""

    span: TimeRange
    words: tuple[str, ...] = ()
    runs: tuple[MergedNote, ...] = ()
    shot: MergedNote | None = None


class SummaryCache:
    """A cache of summaries: with very many notes, one takes a second.

    An entry is valid until the notes on its video change.
    """

    def __init__(self, reader: NoteReader) -> None:
        self._reader = reader
        self._kept: dict[tuple[str, TimeRange], tuple[object, list[Part]]] = {}

    def of(self, video: str, span: TimeRange) -> list[Part]:
        """Return `summarize` for the current notes."""
        state = self._reader.store.notes.state(video)
        kept = self._kept.get((video, span))
        if kept is None or kept[0] != state:
            kept = self._kept[video, span] = state, summarize(self._reader, video, span)
        return kept[1]


def summarize(reader: NoteReader, video: str, span: TimeRange) -> list[Part]:
    """Divide `span` into at most `MAX_PARTS` parts, in time order.

    The parts are the shots if there are few enough, else stretches with different words.
    """
    shots = reader.merged_notes(video, span, kinds=["scene"])
    cuts = [shot.span.start for shot in shots if span.start < shot.span.start]
    said = [(note, _words(note.text)) for note in _notes(reader, video, span, WORD_KINDS)]
    if 1 < len(shots) <= MAX_PARTS:
        spans = [part for part in (shot.span.within(span) for shot in shots) if part]
        return _describe_parts(reader, video, spans, said, {shot.span.within(span): shot for shot in shots})
    return _describe_parts(reader, video, _split(span, said, cuts), said, {})


def _notes(reader: NoteReader, video: str, span: TimeRange, kinds: Sequence[str]) -> list[NoteSummary]:
    notes = reader.store.notes.brief(video, span, kinds)
    return notes if reader.only is None else [note for note in notes if note.analyzer in reader.only]


# --- boundaries of parts ------------------------------------------------------------------------

_NoteWords = Sequence[tuple[NoteSummary, list[str]]]


def _split(span: TimeRange, said: _NoteWords, cuts: Sequence[int]) -> list[TimeRange]:
    """Divide `span` where the words change most, into parts of half to twice the average length."""
    parts = min(MAX_PARTS, span.length // MIN_PART_MS)
    if parts < 2:
        return [span]
    windows = max(2 * parts, min(_WINDOWS, span.length // _WINDOW_MS))
    edges = [span.start + span.length * n // windows for n in range(windows + 1)]
    words: list[Counter[str]] = [Counter() for _ in range(windows)]
    for note, found in said:
        words[min(windows - 1, max(0, note.start - span.start) * windows // span.length)].update(found)
    chosen = _divided(_depths(_similar(words)), parts)
    spoken = sorted(note.start for note, _ in said)
    half = span.length // windows // 2
    places = [span.start, *(_placed(edges[n], half, cuts, spoken) for n in chosen), span.end]
    return [TimeRange(a, b) for a, b in pairwise(places)]


def _words(text: str) -> list[str]:
    """Return the words of a text; pairs of letters where words are not set apart, as in Chinese."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        letters = letters_of(word) if is_unspaced(word) else []
        found += map("".join, pairwise(letters)) if len(letters) > 2 else [word]
    return found


def _similar(windows: Sequence[Counter[str]]) -> list[float]:
    """Return the cosine similarity (0 to 1) of the words before and after each inner edge.

    It is 1 if a side has no words.
    """
    common = Counter(word for window in windows for word in window)
    weights = {word: log(len(windows) / n) for word, n in common.items()}
    alike = []
    for at in range(1, len(windows)):
        before, after = _block(windows[max(0, at - _BLOCK_WINDOWS) : at]), _block(windows[at : at + _BLOCK_WINDOWS])
        alike.append(_cosine(before, after, weights) if before and after else 1.0)
    return alike


def _block(windows: Iterable[Counter[str]]) -> Counter[str]:
    block: Counter[str] = Counter()
    for window in windows:
        block.update(window)
    return block


def _cosine(a: Mapping[str, int], b: Mapping[str, int], weights: Mapping[str, float]) -> float:
    both = sum(n * b[word] * weights[word] ** 2 for word, n in a.items() if word in b)
    size = sqrt(_square(a, weights) * _square(b, weights))
    return both / size if size else 1.0


def _square(words: Mapping[str, int], weights: Mapping[str, float]) -> float:
    return sum((n * weights[word]) ** 2 for word, n in words.items())


def _depths(alike: Sequence[float]) -> list[float]:
    """Return TextTiling's depth scores (0 to 1): the depth of each place below adjacent peaks."""
    return [(_peak(alike, at, -1) + _peak(alike, at, 1) - 2 * here) / 2 for at, here in enumerate(alike)]


def _peak(alike: Sequence[float], at: int, step: int) -> float:
    while 0 <= at + step < len(alike) and alike[at + step] >= alike[at]:
        at += step
    return alike[at]


def _divided(depths: Sequence[float], parts: int) -> list[int]:
    """Divide the windows into `parts` with the greatest total depth; return inner edges from 1.

    A part has half to twice the average number of windows; with equal depths, parts are even.
    """
    windows = len(depths) + 1
    shortest, longest = max(1, windows // (2 * parts)), -(-2 * windows // parts)
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for _ in range(parts):
        reached: dict[int, tuple[float, int]] = {}
        for begin, (value, _before) in best[-1].items():
            for end in range(begin + shortest, min(begin + longest, windows) + 1):
                gain = value - _UNEVEN_COST * ((end - begin) * parts / windows - 1) ** 2 + (depths[end - 1] if end < windows else 0.0)
                if end not in reached or gain > reached[end][0]:
                    reached[end] = (gain, begin)
        best.append(reached)
    chosen, at = [], windows
    for reached in reversed(best[1:]):
        at = reached[at][1]
        chosen.append(at)
    return sorted(chosen)[1:]


def _placed(at: int, half: int, cuts: Sequence[int], spoken: Sequence[int]) -> int:
    """Return the exact boundary within `half` ms of `at`: a cut, else after the longest pause."""
    low, high = at - half, at + half
    if near := cuts[bisect_left(cuts, low) : bisect_right(cuts, high)]:
        return min(near, key=lambda cut: abs(cut - at))
    first = max(1, bisect_left(spoken, low))
    starts = range(first, bisect_right(spoken, high))
    return max((spoken[n] for n in starts), key=lambda t: t - spoken[bisect_left(spoken, t) - 1], default=at)


# --- words and notes of parts -------------------------------------------------------------------


def _describe_parts(
    reader: NoteReader, video: str, spans: Sequence[TimeRange], said: _NoteWords, shots: Mapping[TimeRange | None, MergedNote]
) -> list[Part]:
    inside: list[list[tuple[NoteSummary, list[str]]]] = [[] for _ in spans]
    starts = [span.start for span in spans]
    for note, found in said:
        inside[max(0, bisect_right(starts, note.start) - 1)].append((note, found))
    counts = [Counter(word for _, found in part for word in found) for part in inside]
    common = Counter(word for count in counts for word in count)
    worded = sum(map(bool, counts))
    parts = []
    for span, part, count in zip(spans, inside, counts, strict=True):
        weights = {word: (1 + log(n)) * log((1 + worded) / common[word]) for word, n in count.items()}
        top = sorted(weights, key=lambda word: (-weights[word], word))[:_WORDS_PER_PART]
        ranked = _ranked(part, weights)
        if not ranked:
            ranked = sorted(_notes(reader, video, span, _OTHER_KINDS), key=lambda note: (-(note.score or 0.0), note.start))
        parts.append(Part(span, tuple(top), tuple(_runs(reader, video, ranked)), shots.get(span)))
    return parts


def _ranked(part: Iterable[tuple[NoteSummary, list[str]]], weights: Mapping[str, float]) -> list[NoteSummary]:
    """Return the notes by the weight of their distinct words, normalised for length; texts once."""
    # An exact sum does not depend on the order of the set, which differs between processes.
    value = {note: fsum(weights[word] for word in set(found)) / sqrt(len(found) + 4) for note, found in part if found}
    best: dict[str, NoteSummary] = {}
    for note in sorted(value, key=lambda n: (-value[n], n.start, n.id)):
        best.setdefault(note.text.casefold(), note)
    return list(best.values())


def _runs(reader: NoteReader, video: str, ranked: Sequence[NoteSummary]) -> list[MergedNote]:
    """Return the merged notes of the best notes, each once, in time order.

    Of a long merged note, the text is that of the note itself.
    """
    found: dict[int, MergedNote] = {}
    for note in ranked[:_CANDIDATE_NOTES]:
        span = TimeRange(note.start, note.end)
        run = next((r for r in reader.merged_notes(video, span, kinds=[note.kind]) if any(n.id == note.id for n in r.notes)), None)
        if run is not None and run.id not in found:
            found[run.id] = run if run.text == note.text else replace(run, text=f"... {note.text} ...")
        if len(found) == _NOTES_PER_PART:
            break
    return sorted(found.values(), key=lambda run: (run.span.start, run.id))


_MAX_TEXT_CHARS = 160


def store_chapters(store: Store, video: str, parts: Sequence[Part]) -> list[int | None]:
    """Store parts as chapters: citable notes that name their sources.

    Chapters are derived data: recreated when the notes on a video change, and left out of reading
    and searching unless requested by kind. The same parts of the same notes keep their ids.

    Returns:
        The id of each part's note; None for a part without sources.
    """
    state = hashlib.sha256(repr(store.notes.state(video)).encode()).hexdigest()[:12]
    provenance = Provenance(f"{CHAPTERS}:{state}", CHAPTERS, "1", "digest", 0, "", state, {"notes": state})
    told = [part for part in parts if _sources(part)]
    store.notes.add_provenance(provenance)
    ids = iter(store.ledger.keep(video, provenance.key, (), [_observed(part) for part in told]))
    return [next(ids) if _sources(part) else None for part in parts]


def _sources(part: Part) -> list[int]:
    return [run.id for run in ((part.shot, *part.runs) if part.shot else part.runs)]


def _observed(part: Part) -> Observation:
    sources = _sources(part)
    told = part.runs[0].text if part.runs else ""
    about = ": ".join(text for text in (", ".join(part.words), told[:_MAX_TEXT_CHARS]) if text) or "a shot"
    return Observation(part.span, CHAPTER, f"{about} (from {', '.join(f'#{n}' for n in sources)})", None, {"sources": list(sources)})
