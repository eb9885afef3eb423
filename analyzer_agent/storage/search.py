"""Full-text search, ranked by FTS5's own `bm25`, whose run time hardly depends on the number of notes.

`ORDER BY rank` scores every match, which takes too long among a million notes. So only a bounded
number is scored: notes with a rare word (one in at most `RARE_WORD_NOTES` notes), and the newest
ones with the other words. The best 20 of plain `ORDER BY rank` -> of this module, in ms of CPU time
(SQLite 3.40; "the" is in 15 % of the notes, "person" in 29 %; the six words include both):

| searched                                  | rare word  | "the"     | "person"  | six words |
|-------------------------------------------|------------|-----------|-----------|-----------|
| 0.3 million notes, one video              | 0.1 -> 0.1 | 47 -> 3   | 82 -> 4   | 161 -> 8  |
| a million notes, 96 videos                | 0.2 -> 0.2 | 160 -> 7  | 278 -> 9  | 566 -> 10 |
| one of these videos                       | 0.1 -> 0.1 | 7 -> 8    | 10 -> 10  | 21 -> 24  |
| a million notes, one video                | 0.1 -> 0.2 | 159 -> 6  | 282 -> 9  | 577 -> 10 |
| 10 minutes of this video, two kinds       | 4.4 -> 0.1 | 126 -> 10 | 60 -> 13  | 213 -> 17 |
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from sqlite_utils import Database

from analyzer_agent.storage.database import placeholders
from analyzer_agent.storage.search_words import quoted
from analyzer_agent.timeline import TimeRange

RARE_WORD_NOTES = 1_000
"""The maximum number of notes with a rare word."""

_MAX_FREQUENT_WORDS = 4
"""Number of frequent words to use, rarest first; the others hardly matter."""

_NEWEST = 1_000
"""Number of matches of frequent words to score."""

_OVERSAMPLING = 4
"""Number of matches to fetch per match within a span, as notes outside of it lie in between."""

_MAX_JOINT_NOTES = 3_000
"""Number of notes with the rarest frequent word, about, in which to look for the next one, too."""

_SAMPLES, _MAX_EXTENTS, _ID_GRAIN = 256, 64, 64
"""Number of notes sampled to locate the ids of a span; the maximum number of (video, key, kind);
and the distance in ids around a sample that belongs to the span."""

_MAX_ID_RANGES = 12
"""Maximum number of id ranges to search; the narrowest gaps are closed."""

_MAX_ID = 1 << 62


class SearchScope:
    """The scope of a search.

    Args:
        videos: ids of the videos; at least one.
        span: only notes that overlap it; None for all.
        kinds: only notes of these kinds; None for all.
    """

    def __init__(self, videos: Sequence[str], span: TimeRange | None, kinds: Iterable[str] | None) -> None:
        self.videos, self.span, self.kinds = list(videos), span, None if kinds is None else list(kinds)

    def holds(self) -> tuple[str, list[object]]:
        """Return the SQL condition that a note `n` is in the scope, and its arguments."""
        where, args = self._among("n")
        if self.span is None:
            return where, args
        return f"{where} AND n.start_ms < ? AND n.end_ms > ?", [*args, self.span.end, self.span.start]

    def in_videos(self, db: Database) -> str:
        """Return the FTS condition for the videos, to append to a query; "" for all videos."""
        others = db.execute(f"SELECT 1 FROM videos WHERE id NOT IN ({placeholders(self.videos)}) LIMIT 1", self.videos).fetchone()
        return f" AND {{video}} : ({_any(map(quoted, self.videos))})" if others else ""

    def of_kinds(self) -> str:
        """Return the FTS condition for the kinds, to append to a query; "" for all kinds."""
        return "" if self.kinds is None else f" AND {{kind}} : ({_any(map(quoted, self.kinds))})"

    def stretches(self, db: Database) -> list[tuple[int, int]]:
        """Return (low, high) ranges of ids that hold the notes of the span, newest first.

        Analyzers proceed in time, so ids grow with time within a run; sampled notes locate the
        runs. The ranges also contain notes outside the span.
        """
        span = self.span
        if span is None:
            return [(0, _MAX_ID)]
        where, args = self._among("s")
        extents = db.execute(
            f"SELECT s.video, s.key, s.longest_ms FROM note_extents s WHERE {where} LIMIT ?", [*args, _MAX_EXTENTS + 1]
        ).fetchall()
        if len(extents) > _MAX_EXTENTS:
            return [(0, _MAX_ID)]
        samples = _SAMPLES // max(1, len(extents))
        sql = (
            "SELECT DISTINCT (SELECT n.id FROM notes n WHERE n.video = ? AND n.key = ? AND n.start_ms >= j.value AND n.start_ms < ? "
            "ORDER BY n.start_ms LIMIT 1) FROM json_each(?) j"
        )
        found: list[tuple[int, int]] = []
        for video, key, longest in extents:
            start = max(0, span.start - longest)
            instants = [start + (span.end - start) * n // samples for n in range(samples)]
            ids = [row[0] for row in db.execute(sql, [video, key, span.end, json.dumps(instants)]) if row[0]]
            reach = _ID_GRAIN + (2 * round(median(abs(b - a) for a, b in pairwise(ids))) if len(ids) > 1 else 0)
            found += [(n - reach, n + reach) for n in ids]
        return _joined(found)

    def _among(self, table: str) -> tuple[str, list[object]]:
        where, args = f"{table}.video IN ({placeholders(self.videos)})", [*self.videos]
        if self.kinds is not None:
            where, args = f"{where} AND {table}.kind IN ({placeholders(self.kinds)})", [*args, *self.kinds]
        return where, [*args]


def best_matches(db: Database, query: Sequence[str], place: SearchScope) -> Iterator[int]:
    """Yield the ids of the notes in `place` that contain any of the words, best first.

    Notes with a rare word come first, then those with the two rarest of the frequent words, then
    the newest with any word; each group is ranked by itself.
    """
    counted = {word: _counted(db, word) for word in query}
    rare = [word for word, (count, _) in counted.items() if count <= RARE_WORD_NOTES]
    # The same number of newest notes reaches back further for a rarer word.
    others = [word for word in counted if word not in rare]
    frequent = sorted(others, key=lambda word: counted[word][1])[:_MAX_FREQUENT_WORDS]
    seen: set[int] = set()
    for group in _groups(db, rare, frequent, place, counted[frequent[0]][1] if frequent else 0):
        yield from (id for id in group if id not in seen)
        seen.update(group)


def _groups(db: Database, rare: Sequence[str], frequent: Sequence[str], place: SearchScope, oldest: int) -> Iterator[list[int]]:
    """Yield the groups of `best_matches`; `oldest` is the oldest counted note with `frequent[0]`."""
    words = _text([*rare, *frequent])
    if rare:
        yield _ranked(db, f"{words} AND {_text(rare)}" if frequent else words, place)
    stretches = place.stretches(db) if frequent else []
    if not stretches:
        return
    terms = place.in_videos(db) + place.of_kinds()
    newest = _newest_ranked(db, words + terms, stretches, place) if place.span else None
    if len(frequent) > 1 and (newest is None or len(newest) >= _NEWEST):
        (last,) = db.execute("SELECT max(id) FROM notes").fetchone()
        since = last - (last - oldest) * _MAX_JOINT_NOTES // RARE_WORD_NOTES
        yield _newest_ranked(db, f"{words} AND {_text(frequent[:1])} AND {_text(frequent[1:2])}{terms}", stretches, place, since)
    yield newest if newest is not None else _newest_ranked(db, words + terms, stretches, place)


def holding(db: Database, query: Sequence[str], place: SearchScope) -> Iterator[int]:
    """Yield the ids of the notes in `place` that contain all of the words and phrases, newest first."""
    where, args = place.holds()
    expression = " AND ".join(_text([word]) for word in query) + place.in_videos(db) + place.of_kinds()
    sql = "SELECT n.id FROM notes_fts f CROSS JOIN notes n ON n.id = f.rowid WHERE f.notes_fts MATCH ?"
    for row in db.execute(f"{sql} AND {where} ORDER BY f.rowid DESC", [expression, *args]):
        yield row[0]


def _ranked(db: Database, expression: str, place: SearchScope) -> list[int]:
    where, args = place.holds()
    matching = "SELECT n.id FROM notes_fts f CROSS JOIN notes n ON n.id = f.rowid WHERE f.notes_fts MATCH ?"
    return [row[0] for row in db.execute(f"{matching} AND {where} ORDER BY f.rank, n.start_ms", [expression, *args])]


def _newest_ranked(db: Database, expression: str, stretches: Sequence[tuple[int, int]], place: SearchScope, since: int = 0) -> list[int]:
    """Return the newest matches with ids in `stretches` and from `since`, ranked by their text."""
    inside = " OR ".join(f"+rowid BETWEEN {low} AND {high}" for low, high in stretches)
    newest = (
        "SELECT rowid AS id, bm25(notes_fts, 1.0, 0.0, 0.0) AS score FROM notes_fts WHERE notes_fts MATCH ? "
        f"AND rowid BETWEEN ? AND ? AND ({inside}) ORDER BY rowid DESC LIMIT ?"
    )
    where, args = place.holds()
    bounds = [max(since, stretches[-1][0]), stretches[0][1], _NEWEST * (_OVERSAMPLING if place.span else 1)]
    sql = f"SELECT n.id FROM ({newest}) f CROSS JOIN notes n ON n.id = f.id WHERE {where} ORDER BY f.score, n.start_ms LIMIT ?"
    return [row[0] for row in db.execute(sql, [expression, *bounds, *args, _NEWEST])]


def _counted(db: Database, word: str) -> tuple[int, int]:
    """Return the number of notes with a word and the lowest id of those counted.

    Notes are counted from the newest, up to `RARE_WORD_NOTES + 1`.
    """
    newest = "SELECT rowid FROM notes_fts WHERE notes_fts MATCH ? ORDER BY rowid DESC LIMIT ?"
    many, first = db.execute(f"SELECT count(*), coalesce(min(rowid), 0) FROM ({newest})", [_text([word]), RARE_WORD_NOTES + 1]).fetchone()
    return many, first


def _text(words: Iterable[str]) -> str:
    return f"{{text}} : ({_any(words)})"


def _any(phrases: Iterable[str]) -> str:
    return " OR ".join(phrases)


def _joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge ranges of ids into at most `_MAX_ID_RANGES`, newest first; narrow gaps are closed."""
    apart: list[tuple[int, int]] = []
    for low, high in sorted(stretches):
        if apart and low <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(high, apart[-1][1])
        else:
            apart.append((low, high))
    while len(apart) > _MAX_ID_RANGES:
        n = min(range(1, len(apart)), key=lambda n: apart[n][0] - apart[n - 1][1])
        apart[n - 1 : n + 1] = [(apart[n - 1][0], apart[n][1])]
    return apart[::-1]
