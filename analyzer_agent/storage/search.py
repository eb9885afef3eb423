"""Full-text search, whose run time hardly depends on the number of notes.

FTS5's `bm25` counts all notes with each word of a query before it scores the first, which takes too
long among a million notes. So it ranks only the notes with a rare word (one in at most
`RARE_WORD_NOTES` notes). The newest ones with other words, a bounded number, are ranked by the same
formula with estimates: how many notes have a word, from how far back the newest with it lie; and
each word counts once. The best 20 of `ORDER BY rank` -> of this module, in ms of CPU time among a
million notes (SQLite 3.40; "the" is in 15 % of them, "person" in 29 %; the six words include both):

| searched                          | rare word  | "the"    | "person"   | six words |
|-----------------------------------|------------|----------|------------|-----------|
| 96 videos                         | 0.2 -> 0.2 | 166 -> 3 | 292 -> 3   | 531 -> 10 |
| one of these videos               | 0.1 -> 0.1 | 6 -> 3   | 11 -> 3    | 19 -> 6   |
| 10 minutes of this one, two kinds | 0.1 -> 0.1 | 7 -> 3   | 11 -> 2    | 19 -> 6   |
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import log1p
from statistics import median

from sqlite_utils import Database

from analyzer_agent.storage.database import placeholders
from analyzer_agent.storage.search_words import quoted
from analyzer_agent.timeline import TimeRange

RARE_WORD_NOTES = 1_000
"""The maximum number of notes with a rare word."""

_MAX_FREQUENT_WORDS = 4
"""Number of frequent words to use, rarest first; the others hardly matter."""

_LENGTH_SHARE = 1.2 * 0.75 / (1 + 1.2 * 0.25)
"""How far the length of a text lowers its rank: as bm25, with its k1 and b, does for words that are there once."""

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
    for group in _groups(db, rare, {word: counted[word] for word in frequent}, place):
        yield from (id for id in group if id not in seen)
        seen.update(group)


def _groups(db: Database, rare: Sequence[str], frequent: Mapping[str, tuple[int, int]], place: SearchScope) -> Iterator[list[int]]:
    """Yield the groups of `best_matches`; `frequent` has what `_counted` returned, the rarest word first."""
    words = _text([*rare, *frequent])
    if rare:
        yield _ranked(db, f"{words} AND {_text(rare)}" if frequent else words, place)
    stretches = place.stretches(db) if frequent else []
    if not stretches:
        return
    (last,) = db.execute("SELECT max(id) FROM notes").fetchone()
    terms = place.in_videos(db) + place.of_kinds()
    weights = {word: log1p((last - first) / count) for word, (count, first) in frequent.items()}
    newest = _newest_ranked(db, words + terms, weights, stretches, place) if place.span else None
    if len(frequent) > 1 and (newest is None or len(newest) >= _NEWEST):
        rarest, next_one, *_ = frequent
        since = last - (last - frequent[rarest][1]) * _MAX_JOINT_NOTES // RARE_WORD_NOTES
        yield _newest_ranked(db, f"{_text([rarest])} AND {_text([next_one])}{terms}", weights, stretches, place, since)
    yield newest if newest is not None else _newest_ranked(db, words + terms, weights, stretches, place)


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


def _newest_ranked(
    db: Database, expression: str, weights: Mapping[str, float], stretches: Sequence[tuple[int, int]], place: SearchScope, since: int = 0
) -> list[int]:
    """Return the newest matches with ids in `stretches` and from `since`, ranked by the weights of their words, short texts first."""
    inside = " OR ".join(f"+rowid BETWEEN {low} AND {high}" for low, high in stretches)
    matching = f"SELECT rowid AS id FROM notes_fts WHERE notes_fts MATCH ? AND rowid BETWEEN ? AND ? AND ({inside})"
    high, limit = stretches[0][1], _NEWEST * (_OVERSAMPLING if place.span else 1)
    newest = f"SELECT count(*), min(id) FROM ({matching} ORDER BY rowid DESC LIMIT ?)"
    many, low = db.execute(newest, [expression, max(since, stretches[-1][0]), high, limit]).fetchone()
    if not many:
        return []
    # By word: each is looked up among these matches only, whereas bm25 first counts all notes with it.
    hits = " UNION ALL ".join(f"SELECT id, {weight} AS weight FROM ({matching})" for weight in weights.values())
    bounds = [argument for word in weights for argument in (f"{expression} AND {_text([word])}", low, high)]
    where, args = place.holds()
    sql = (
        f"SELECT n.id FROM (SELECT id, sum(weight) AS weight FROM ({hits}) GROUP BY id) f CROSS JOIN notes n ON n.id = f.id WHERE {where} "
        f"ORDER BY f.weight / ({_LENGTH_SHARE} * length(n.text) / avg(length(n.text)) OVER () + 1) DESC, n.start_ms LIMIT ?"
    )
    return [row[0] for row in db.execute(sql, [*bounds, *args, _NEWEST])]


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
