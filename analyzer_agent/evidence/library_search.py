"""Search over many videos: which of them contain words, how often, and where.

Counts merged notes: a title that stays on screen is one, however many samples show it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from analyzer_agent.evidence.merging import MergedNote, NoteReader, merge_notes
from analyzer_agent.evidence.tracks import is_piece, join_tracks, merged_track
from analyzer_agent.records import Note
from analyzer_agent.storage.search import has_phrase
from analyzer_agent.timeline import TimeRange

_MAX_COUNTED = 2_000
"""Maximum number of notes read: the newest with all words, or the best with any of them."""


@dataclass(frozen=True, slots=True)
class VideoMatches:
    """The matches in one video: their number and the first (without `all_words`, the best) ones."""

    video: str
    count: int
    runs: tuple[MergedNote, ...]


@dataclass(frozen=True, slots=True)
class LibraryMatches:
    """The result of a search, the videos with the most matches first.

    Attributes:
        all_words: whether the notes contain all words; if no note does, matches of any word are
            returned.
        cut: whether there are more notes than were counted.
    """

    hits: tuple[VideoMatches, ...]
    all_words: bool
    cut: bool


def search_videos(
    reader: NoteReader,
    query: str,
    videos: Sequence[str],
    *,
    span: TimeRange | None = None,
    kinds: Sequence[str] | None = None,
    shown: int = 3,
) -> LibraryMatches:
    """Search stored notes for all words of `query`, or for any of them if no note contains all.

    Args:
        reader: reads the store.
        query: plain words, and phrases in double quotes; with a phrase, notes must contain all.
        videos: ids of the videos.
        span: only notes that overlap it.
        kinds: only notes of these kinds.
        shown: number of matches to return for each video.
    """
    notes = list(islice(reader.store.notes.holding(query, videos=videos, span=span, kinds=kinds), _MAX_COUNTED + 1))
    all_words = bool(notes)
    if not all_words and not has_phrase(query):
        notes = list(islice(reader.store.notes.search(query, videos=videos, span=span, kinds=kinds), _MAX_COUNTED + 1))
    by_video: dict[str, list[Note]] = {}
    for note in notes[:_MAX_COUNTED]:
        if reader.tells(note, kinds):
            by_video.setdefault(note.video, []).append(note)
    hits = [_video_matches(reader, video, found, all_words, shown) for video, found in by_video.items()]
    order = {video: at for at, video in enumerate(videos)}
    return LibraryMatches(tuple(sorted(hits, key=lambda one: (-one.count, order[one.video]))), all_words, len(notes) > _MAX_COUNTED)


def _video_matches(reader: NoteReader, video: str, notes: Sequence[Note], in_time: bool, shown: int) -> VideoMatches:
    rank = {note.id: at for at, note in enumerate(notes)}
    ordered = sorted(notes, key=lambda note: (note.span.start, note.id))
    pieces = [note for note in ordered if is_piece(note)]
    provenances = {key: reader.store.notes.provenance(key) for key in {note.key for note in notes}}
    joined = [run.notes[0] for run in merge_notes([note for note in ordered if not is_piece(note)], provenances)]
    joined += [merged_track(track) for track in join_tracks(pieces)]
    first = sorted(joined, key=lambda note: note.span.start if in_time else rank[note.id])[:shown]
    return VideoMatches(video, len(joined), tuple(reader.merged_note_of(note) for note in first))
