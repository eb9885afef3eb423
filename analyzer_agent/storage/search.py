"""Full-text search whose run time hardly depends on the number of notes.

All notes with a rare word (in at most `RARE_WORD_NOTES` notes) are candidates. For a frequent word,
candidates are only the newest notes in the scope and those that also contain a rarer word, because
FTS5's own rank visits every note with any of the words.

If all words are rare, notes are ranked by FTS5's `bm25`. Otherwise the same formula is used with
estimates: the document frequency of a frequent word (from the density of its newest notes), the
term frequency (1), and the length of notes (in characters, relative to notes of similar score).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from operator import itemgetter
from statistics import median
from unicodedata import category

from sqlite_utils import Database

from analyzer_agent.storage.database import placeholders
from analyzer_agent.timeline import TimeRange

RARE_WORD_NOTES = 1_000
"""The maximum number of notes with a rare word."""

_MAX_QUERY_WORDS = 64
_PHRASE = re.compile(r'["“”„]([^"“”„]+)["“”]')
_NEWEST, _NEWEST_AT_LEAST = 1_000, 200
"""Number of candidates for frequent words: for all together, and at least for each."""

_LENGTH_BATCH = 250
"""Number of notes whose lengths are compared at a time."""

_MAX_FREQUENT_WORDS = 4
"""Candidates are fetched for this many frequent words, rarest first; the rest hardly matters."""

_MAX_JOINT_CANDIDATES = 3_000
"""Number of notes with the rarest of several frequent words that are checked for the others."""

_OVERSAMPLING = 4
"""Number of notes to fetch per candidate within a span, as notes outside of it lie in between."""

_SAMPLES, _MAX_EXTENTS, _ID_GRAIN = 256, 64, 64
"""Number of notes sampled to locate the ids of a span; the maximum number of (video, key, kind);
and the distance in ids around a sample that belongs to the span."""

_MAX_ID_RANGES, _MAX_ID_GAP = 12, 5_000
"""Maximum number of id ranges to search; gaps below `_MAX_ID_GAP` are cheaper to scan than a new
query."""

_MAX_ID = 1 << 62
_TERM_SATURATION, _LENGTH_WEIGHT = 1.2, 0.75  # k1 and b of bm25


def query_words(query: str) -> list[str]:
    """Return the distinct words of a query: letters and digits with their combining marks.

    At most 64 words are returned: more would make the search slow, and are probably a pasted text.
    """
    found = "".join(c if c.isalnum() or category(c).startswith("M") else " " for c in query).split()
    return list(dict.fromkeys(found))[:_MAX_QUERY_WORDS]


def query_terms(query: str) -> list[str]:
    """Return the distinct phrases in double quotes of a query, and its other words."""
    parts = _PHRASE.split(query)  # every second part is a phrase
    terms = [term for n, part in enumerate(parts) for term in ([" ".join(query_words(part))] if n % 2 else query_words(part))]
    return list(dict.fromkeys(filter(None, terms)))[:_MAX_QUERY_WORDS]


def has_phrase(query: str) -> bool:
    """Return whether a query has a phrase of several words in double quotes."""
    return any(" " in term for term in query_terms(query))


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
        return f" AND {{video}} : ({_any(self.videos)})" if others else ""

    def of_kinds(self) -> str:
        """Return the FTS condition for the kinds, to append to a query; "" for all kinds."""
        return "" if self.kinds is None else f" AND {{kind}} : ({_any(self.kinds)})"

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
    """Yield the ids of the notes in `place` that contain any of the words, best first."""
    holding = {word: _counted(db, word) for word in query}
    if sum(many for many, _ in holding.values()) <= RARE_WORD_NOTES:
        yield from _by_rank(db, query, place)
        return
    (notes,) = db.execute("SELECT max(id) FROM notes").fetchone()
    value: dict[str, float] = {}
    found: dict[str, set[int]] = {}
    apart: dict[str, float] = {}
    videos = place.in_videos(db)
    for word, (many, oldest) in holding.items():
        if many <= RARE_WORD_NOTES:
            value[word] = _rarity(many, notes)
            found[word] = set(_newest(db, _text([word]) + videos, RARE_WORD_NOTES))
        else:
            apart[word] = (notes + 1 - oldest) / many
            value[word] = _rarity(notes / apart[word], notes)
    found |= _frequent(db, apart, list(found), place, videos + place.of_kinds(), notes)
    worth = defaultdict[int, float](float)
    for word, ids in found.items():
        for n in ids:
            worth[n] += value[word]
    yield from _by_worth(db, worth, place)


def holding(db: Database, query: Sequence[str], place: SearchScope) -> Iterator[int]:
    """Yield the ids of the notes in `place` that contain all of the words and phrases, newest first."""
    where, args = place.holds()
    expression = " AND ".join(_text([word]) for word in query) + place.in_videos(db) + place.of_kinds()
    sql = "SELECT n.id FROM notes_fts f CROSS JOIN notes n ON n.id = f.rowid WHERE f.notes_fts MATCH ?"
    for row in db.execute(f"{sql} AND {where} ORDER BY f.rowid DESC", [expression, *args]):
        yield row[0]


def _by_rank(db: Database, query: Iterable[str], place: SearchScope) -> list[int]:
    where, args = place.holds()
    matching = "SELECT n.id FROM notes_fts f CROSS JOIN notes n ON n.id = f.rowid WHERE f.notes_fts MATCH ?"
    sql = f"{matching} AND {where} ORDER BY f.rank, n.start_ms"
    return [row[0] for row in db.execute(sql, [_text(query), *args])]


def _by_worth(db: Database, worth: Mapping[int, float], place: SearchScope) -> Iterator[int]:
    """Yield the notes in `place` by score: the sum of their words' weights, adjusted for length.

    The adjustment reorders notes only within a batch of `_LENGTH_BATCH`.
    """
    where, args = place.holds()
    sql = f"SELECT n.id, length(n.text), n.start_ms FROM json_each(?) j CROSS JOIN notes n ON n.id = j.value WHERE {where}"
    ordered = sorted(worth.items(), key=itemgetter(1, 0), reverse=True)
    for begin in range(0, len(ordered), _LENGTH_BATCH):
        rows = db.execute(sql, [json.dumps([n for n, _ in ordered[begin : begin + _LENGTH_BATCH]]), *args]).fetchall()
        usual = max(1, sum(length for _, length, _ in rows) / max(1, len(rows)))
        score = {n: worth[n] / (1 + _TERM_SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / usual)) for n, length, _ in rows}
        yield from (n for n, _, _ in sorted(rows, key=lambda row: (-score[row[0]], row[2])))


def _frequent(
    db: Database, apart: Mapping[str, float], rare: Sequence[str], place: SearchScope, terms: str, notes: int
) -> dict[str, set[int]]:
    """Return the candidates for each frequent word.

    These are its newest notes, those with a rare word, and those with other frequent words.

    Args:
        db: the store.
        apart: frequent word -> average number of notes per note that contains it.
        rare: the rare words.
        place: the scope.
        terms: the FTS condition of the scope.
        notes: the highest note id.
    """
    stretches = place.stretches(db) if apart else []
    telling = sorted(apart, key=lambda word: -apart[word])[:_MAX_FREQUENT_WORDS]
    many = max(_NEWEST_AT_LEAST, _NEWEST // max(1, len(telling)))
    found = {word: _within(db, _text([word]) + terms, stretches, many, place) for word in telling}
    cut = [word for word in telling if len(found[word]) == many]
    for word in cut if rare else []:
        found[word].update(_newest(db, f"{_text([word])} AND {_text(rare)}", RARE_WORD_NOTES * len(rare)))
    together = list(dict.fromkeys(tuple(cut[:many]) for many in (2, len(cut)) if len(cut) > 1))
    for words in together:
        # The run time grows with the number of visited notes that contain the rarest word.
        since = notes - round(_MAX_JOINT_CANDIDATES / len(together) * apart[words[0]])
        both = _within(db, " AND ".join(_text([word]) for word in words) + terms, stretches, many, place, since)
        for word in words:
            found[word].update(both)
    return found


def _within(
    db: Database, expression: str, stretches: Sequence[tuple[int, int]], limit: int, place: SearchScope, since: int = 0
) -> set[int]:
    """Return the newest matches of an FTS expression with ids in `stretches` and from `since`."""
    found: set[int] = set()
    for run in _runs(stretches):
        inside = " OR ".join(f"+rowid BETWEEN {low} AND {high}" for low, high in run)
        condition = f"AND rowid BETWEEN {max(since, run[-1][0])} AND {run[0][1]} AND ({inside})"
        found.update(_newest(db, expression, limit - len(found), condition, place))
        if len(found) == limit:
            break
    return found


def _newest(db: Database, expression: str, limit: int, condition: str = "", place: SearchScope | None = None) -> list[int]:
    sql = f"SELECT rowid FROM notes_fts WHERE notes_fts MATCH ? {condition} ORDER BY rowid DESC LIMIT ?"
    if place is None or place.span is None:
        return [row[0] for row in db.execute(sql, [expression, limit])]
    where, args = place.holds()
    sql = f"SELECT n.id FROM ({sql}) f CROSS JOIN notes n ON n.id = f.rowid WHERE {where} LIMIT ?"
    return [row[0] for row in db.execute(sql, [expression, _OVERSAMPLING * limit, *args, limit])]


def _counted(db: Database, word: str) -> tuple[int, int]:
    """Return the number of notes with a word and the lowest id of those counted.

    Notes are counted from the newest, up to `RARE_WORD_NOTES + 1`.
    """
    newest = "SELECT rowid FROM notes_fts WHERE notes_fts MATCH ? ORDER BY rowid DESC LIMIT ?"
    many, first = db.execute(f"SELECT count(*), coalesce(min(rowid), 0) FROM ({newest})", [_text([word]), RARE_WORD_NOTES + 1]).fetchone()
    return many, first


def _rarity(holding: float, notes: int) -> float:
    """Return the inverse document frequency as in FTS5's bm25."""
    return max(1e-6, log((notes - holding + 0.5) / (holding + 0.5)))


def _text(words: Iterable[str]) -> str:
    return f"{{text}} : ({_any(words)})"


def _any(phrases: Iterable[str]) -> str:
    return " OR ".join('"' + phrase.replace('"', '""') + '"' for phrase in phrases)


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


def _runs(stretches: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Group ranges (newest first) for one query each: gaps within a group are scanned."""
    runs: list[list[tuple[int, int]]] = []
    for low, high in stretches:
        if runs and runs[-1][-1][0] - high < _MAX_ID_GAP:
            runs[-1].append((low, high))
        else:
            runs.append([(low, high)])
    return runs
