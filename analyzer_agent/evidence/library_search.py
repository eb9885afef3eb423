"""Search over a library: which videos, why and where. Rankings of notes, by words or by anything else, are fused by their ranks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from analyzer_agent.evidence.joining import MergedNote, single
from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.search import content_words
from analyzer_agent.folding import is_unspaced
from analyzer_agent.records import Note
from analyzer_agent.storage.search_words import has_phrase
from analyzer_agent.timeline import TimeRange

_READ = 400
"""So many notes of each ranking are read."""

_EARLY_RANKS = 60
"""Damps the lead of the first ranks, as usual where ranks are fused (Cormack and others, 2009)."""


class Ranking(Protocol):
    """Ranks notes for a query; several are fused."""

    name: str
    """What is told of a note that it found, such as "words"."""

    def best(self, query: str, videos: Sequence[str], kinds: Sequence[str] | None) -> Iterable[Note]:
        """Yield notes of these videos and kinds, best first; None means all kinds."""


class WordRanking:
    """Ranks notes by words: those with all words first, then those with any of them by BM25.

    Args:
        reader: reads the store.
    """

    name = "words"

    def __init__(self, reader: NoteReader) -> None:
        self._notes = reader.store.notes

    def best(self, query: str, videos: Sequence[str], kinds: Sequence[str] | None) -> Iterable[Note]:
        """Yield the notes; each once."""
        words = content_words(query)
        sought = " ".join(words)
        whole = islice(self._notes.holding(sought, videos=videos, kinds=kinds), _READ + 1)
        # A whole sentence is one word where words are not set apart by spaces: its parts are sought.
        several = len(words) > 1 or any(map(is_unspaced, words))
        others = self._notes.search(sought, videos=videos, kinds=kinds) if several and not has_phrase(query) else ()
        seen: set[int] = set()
        for note in chain(whole, others):
            if note.id not in seen:
                seen.add(note.id)
                yield note


@dataclass(frozen=True, slots=True)
class FoundVideo:
    """A video that a search found.

    Attributes:
        video: its id.
        runs: the best of its notes.
        count: the number of its notes among all that were read.
        found_by: the names of the rankings that found it.
    """

    video: str
    runs: tuple[MergedNote, ...]
    count: int
    found_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundVideos:
    """The videos that a search found, best first; `cut` tells that more notes match than were read, and perhaps more videos."""

    videos: tuple[FoundVideo, ...]
    cut: bool = False


def find_videos(
    reader: NoteReader,
    query: str,
    scopes: Mapping[str, TimeRange],
    *,
    rankings: Sequence[Ranking] = (),
    kinds: Sequence[str] | None = None,
    shown: int = 3,
) -> FoundVideos:
    """Return the videos that match a query, best first.

    A video ranks by its best note in each ranking, so a long one does not push others out; the ranks
    are fused by their reciprocals.

    Args:
        reader: reads the store.
        query: plain words, and phrases in double quotes.
        scopes: the ids of the videos, each with the part that is searched.
        rankings: what ranks the notes; by default their words.
        kinds: only these kinds of notes.
        shown: the most notes of one video.
    """
    scores: dict[str, float] = {}
    notes: dict[str, dict[int, tuple[float, Note]]] = {}
    by: dict[str, list[str]] = {}
    cut = False
    for ranking in rankings or [WordRanking(reader)]:
        places: dict[str, int] = {}
        ranked = ranking.best(query, list(scopes), kinds)
        found = (note for note in ranked if reader.tells(note, kinds) and note.span.overlaps(scopes[note.video]))
        for at, note in enumerate(found):
            if at == _READ:
                cut = True
                break
            if note.video not in places:
                places[note.video] = len(places)
                scores[note.video] = scores.get(note.video, 0.0) + 1 / (_EARLY_RANKS + places[note.video])
                by.setdefault(note.video, []).append(ranking.name)
            own = notes.setdefault(note.video, {})
            own[note.id] = own.get(note.id, (0.0, note))[0] + 1 / (_EARLY_RANKS + at), note
    order = sorted(scores, key=lambda video: -scores[video])
    best = (FoundVideo(video, _best(reader, notes[video].values(), shown), len(notes[video]), tuple(by[video])) for video in order)
    return FoundVideos(tuple(best), cut)


def _best(reader: NoteReader, notes: Iterable[tuple[float, Note]], shown: int) -> tuple[MergedNote, ...]:
    """Return the best notes in time order, each text once; nothing is joined to them, which would take long for many videos."""
    ranked = sorted(notes, key=lambda one: -one[0])
    apart = {note.text: note for _, note in reversed(ranked)}
    first = [note for _, note in ranked if apart[note.text] is note][:shown]
    return tuple(single(note, reader.store.notes.provenance(note.key)) for note in sorted(first, key=lambda note: note.span.start))
