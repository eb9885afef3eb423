"""Full-text search that takes about the same time however many notes there are.

A word that is in at most `BOUND` notes is found wherever it is. Of a more frequent one only the newest notes in the searched place are
candidates, and those that also hold a rarer word: SQLite's own rank walks every note with any of the words, to count them.

Where all words are rare the order is that of FTS5's `bm25`. Else it is the same formula with estimates: how many notes hold a frequent word
(from how densely the newest of them lie), how often a word is in a note (once), how long notes are (in characters; the average is that of
the candidates). Knows ids only; nothing of what is shown of notes.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import nlargest
from math import log
from unicodedata import category

from sqlite_utils import Database

from analyzer_agent.storage.database import marks
from analyzer_agent.timeline import TimeRange

BOUND = 2_000
"""How many notes may hold a word that is found wherever it is."""

_WORDS = 64
_NEWEST, _NEWEST_AT_LEAST = 4_000, 400
"""How many notes are candidates for frequent words, all together and for each."""

_CANDIDATES = 3_000
_SAMPLES, _STRETCHES, _GRAIN, _LAST = 512, 8, 64, 1 << 62
_SATURATION, _LENGTHS = 1.2, 0.75  # k1 and b of bm25


def words(query: str) -> list[str]:
    """Return the first words of a query, each once: letters and digits, with the marks that many scripts set on them.

    More would make the search slow, and cannot be told from a text that somebody copied.
    """
    found = "".join(c if c.isalnum() or category(c).startswith("M") else " " for c in query).split()
    return list(dict.fromkeys(found))[:_WORDS]


class Place:
    """Where to search.

    Args:
        videos: in these, by id; at least one.
        span: notes that overlap it; None means all.
        kinds: notes of these kinds; None means all.
    """

    def __init__(self, videos: Sequence[str], span: TimeRange | None, kinds: Iterable[str] | None) -> None:
        self.videos, self.span, self.kinds = list(videos), span, None if kinds is None else list(kinds)

    def holds(self) -> tuple[str, list[object]]:
        """Return the condition that a note `n` lies here, and its arguments."""
        where, args = self._among("n")
        if self.span is None:
            return where, args
        return f"{where} AND n.start_ms < ? AND n.end_ms > ?", [*args, self.span.end, self.span.start]

    def terms(self) -> str:
        """Return an expression of the full-text index that is true of all notes in these videos and kinds, and of few others."""
        columns = [("video", self.videos), *([("kind", self.kinds)] if self.kinds is not None else [])]
        return "".join(f" AND {{{column}}} : ({_any(values)})" for column, values in columns)

    def stretches(self, db: Database) -> list[tuple[int, int]]:
        """Return between which ids the notes of the span lie, the newest first; others lie there as well.

        Analyzers go forward in time, so their ids grow with it, at least in stretches. Samples tell where these are.
        """
        if self.span is None:
            return [(0, _LAST)]
        where, args = self._among("s")
        (shelves,) = db.execute(f"SELECT count(*) FROM shelves s WHERE {where}", args).fetchone()
        samples = max(2, _SAMPLES // max(shelves, 1))
        starts = [self.span.start + self.span.length * n // samples for n in range(samples)]
        here = "SELECT n.id FROM notes n WHERE n.video = s.video AND n.key = s.key AND n.start_ms"
        rows = db.execute(
            f"SELECT min(id), max(id), max(last) FROM (SELECT s.video, s.key, s.kind, "
            f"({here} > j.value - iif(j.key, 1, s.longest_ms) AND n.start_ms < ? ORDER BY n.start_ms LIMIT 1) AS id, "
            f"iif(j.key, NULL, ({here} > j.value - s.longest_ms AND n.start_ms < ? ORDER BY n.start_ms DESC LIMIT 1)) AS last "
            f"FROM shelves s CROSS JOIN json_each(?) j WHERE {where}) WHERE id NOT NULL GROUP BY video, key, kind",
            [self.span.end, self.span.end, json.dumps(starts), *args],
        )
        return _joined((min(first, last) - _GRAIN, max(highest, last) + _GRAIN) for first, highest, last in rows)

    def _among(self, table: str) -> tuple[str, list[object]]:
        where, args = f"{table}.video IN ({marks(self.videos)})", [*self.videos]
        if self.kinds is not None:
            where, args = f"{where} AND {table}.kind IN ({marks(self.kinds)})", [*args, *self.kinds]
        return where, [*args]


def best(db: Database, query: Sequence[str], place: Place) -> list[int]:
    """Return the ids of the notes in `place` that best match any of the words, best first."""
    matches = {word: _newest(db, _text([word]), BOUND + 1) for word in query}
    if sum(map(len, matches.values())) <= BOUND:
        return _by_rank(db, query, place)
    (notes,) = db.execute("SELECT coalesce(max(id), 0) FROM notes").fetchone()
    value = {word: _rarity(_estimated(ids, notes), notes) for word, ids in matches.items()}
    rare = [word for word, ids in matches.items() if len(ids) <= BOUND]
    found = {word: set(_newest(db, _text([word]) + place.terms(), BOUND)) for word in rare}
    return _by_value(db, found | _frequent(db, sorted(matches.keys() - rare, key=lambda word: -value[word]), rare, place), value, place)


def _by_rank(db: Database, query: Iterable[str], place: Place) -> list[int]:
    where, args = place.holds()
    sql = f"SELECT n.id FROM notes_fts f CROSS JOIN notes n ON n.id = f.rowid WHERE f.notes_fts MATCH ? AND {where} ORDER BY f.rank, n.start_ms"
    return [row[0] for row in db.execute(sql, [_text(query), *args])]


def _by_value(db: Database, found: Mapping[str, Collection[int]], value: Mapping[str, float], place: Place) -> list[int]:
    """Return those of the found notes that are in `place`, ordered by what their words are worth and how short they are."""
    worth: dict[int, float] = defaultdict(float)
    for word, ids in found.items():
        for n in ids:
            worth[n] += value[word]
    where, args = place.holds()
    best = nlargest(_CANDIDATES, worth, key=worth.__getitem__)
    sql = f"SELECT n.id, length(n.text), n.start_ms FROM json_each(?) j CROSS JOIN notes n ON n.id = j.value WHERE {where}"
    rows = db.execute(sql, [json.dumps(best), *args]).fetchall()
    usual = sum(length for _, length, _ in rows) / max(1, len(rows))
    score = {n: -worth[n] / (1 + _SATURATION * (1 - _LENGTHS + _LENGTHS * length / max(1, usual))) for n, length, _ in rows}
    return [n for n, _, _ in sorted(rows, key=lambda row: (score[row[0]], row[2]))]


def _frequent(db: Database, frequent: Sequence[str], rare: Sequence[str], place: Place) -> dict[str, set[int]]:
    """Return candidates for each of the frequent words, which come rarest first."""
    found: dict[str, set[int]] = {}
    many = max(_NEWEST_AT_LEAST, _NEWEST // max(1, len(frequent)))
    terms, stretches = place.terms(), place.stretches(db) if frequent else []
    for n, word in enumerate(frequent):
        found[word] = set(_newest(db, f"{_text([word])} AND {_text(rare)}{terms}", BOUND * len(rare))) if rare else set()
        for expression in [*([f"{_text([word])} AND {_text(frequent[:n])}{terms}"] if n else []), _text([word]) + terms]:
            left = many
            for low, high in stretches:
                ids = _newest(db, expression, left, low, high)
                found[word].update(ids)
                left -= len(ids)
    return found


def _newest(db: Database, expression: str, limit: int, low: int = 0, high: int = _LAST) -> list[int]:
    sql = "SELECT rowid FROM notes_fts WHERE notes_fts MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?"
    return [row[0] for row in db.execute(sql, [expression, low, high, limit])]


def _estimated(newest: Sequence[int], notes: int) -> float:
    """Return how many notes hold a word whose newest notes are these: exact up to the bound."""
    return len(newest) if len(newest) <= BOUND else max(len(newest), BOUND * notes / (notes + 1 - newest[-1]))


def _rarity(holding: float, notes: int) -> float:
    """Return the inverse document frequency as FTS5 computes it."""
    return max(1e-6, log((notes - holding + 0.5) / (holding + 0.5)))


def _text(words: Iterable[str]) -> str:
    return f"{{text}} : ({_any(words)})"


def _any(phrases: Iterable[str]) -> str:
    return " OR ".join('"' + phrase.replace('"', '""') + '"' for phrase in phrases)


def _joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return stretches of ids as a few that hold them, the newest first: the narrowest gaps are closed."""
    apart: list[tuple[int, int]] = []
    for low, high in sorted(stretches):
        if apart and low <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(high, apart[-1][1])
        else:
            apart.append((low, high))
    while len(apart) > _STRETCHES:
        n = min(range(1, len(apart)), key=lambda n: apart[n][0] - apart[n - 1][1])
        apart[n - 1 : n + 1] = [(apart[n - 1][0], apart[n][1])]
    return apart[::-1]
