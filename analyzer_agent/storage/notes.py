"""Videos, the recipes behind notes, and reading notes: by time, by words, by id.

Knows nothing of analyzers, nor of how notes are joined for reading.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analyzer_agent.records import JSON, Note, Observation, Recipe
from analyzer_agent.storage.database import Connections, marks, now
from analyzer_agent.storage.ledger import Ledger
from analyzer_agent.timeline import TimeRange

_CANDIDATES = 400
"""How many of the newest matches are ranked, so that a common word in a large store stays quick."""


class Notes:
    """What was found, and where it comes from. Safe to use from several threads and processes."""

    def __init__(self, connections: Connections, ledger: Ledger) -> None:
        self._at = connections
        self._ledger = ledger

    # --- videos and keys ------------------------------------------------------------------------------------------

    def add_video(self, video: str, name: str, path: str, duration: int) -> None:
        """Make a video known, or update its name and place."""
        with self._at.write() as db:
            db.execute(
                "INSERT INTO videos (id, name, path, duration_ms, added) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET name = excluded.name, path = excluded.path, duration_ms = excluded.duration_ms",
                [video, name, path, duration, now()],
            )

    def add_key(self, recipe: Recipe) -> None:
        """Make a recipe known, so that the provenance of each note can be told from its key."""
        with self._at.read() as db:
            if db.execute("SELECT 1 FROM keys WHERE key = ?", [recipe.key]).fetchone():
                return
        with self._at.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO keys (key, analyzer, version, engine, tier, weights, lane, params, uncertain) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(recipe.key, recipe.analyzer, recipe.version, recipe.engine, recipe.tier, recipe.weights, recipe.lane),
                    *(json.dumps(recipe.params, sort_keys=True), recipe.uncertain),
                ],
            )

    def recipes(self, *, video: str | None = None, analyzer: str | None = None) -> list[Recipe]:
        """Return the known recipes, oldest first; with `video`, those that looked at it."""
        where, args = ["1"], []
        if analyzer:
            where.append("analyzer = ?")
            args.append(analyzer)
        if video:
            where.append("key IN (SELECT DISTINCT key FROM coverage WHERE video = ? AND state = 'done')")
            args.append(video)
        with self._at.read() as db:
            rows = db.query(f"SELECT * FROM keys WHERE {' AND '.join(where)} ORDER BY id", args)
            return [_recipe(row) for row in rows]

    def recipe(self, key: str) -> Recipe:
        """Return where notes with this key come from."""
        with self._at.read() as db:
            return _recipe(next(db.query("SELECT * FROM keys WHERE key = ?", [key])))

    def facts(self, key: str) -> Mapping[str, JSON]:
        """Return what the engine behind `key` told of itself when it was last loaded."""
        with self._at.read() as db:
            row = db.execute("SELECT facts FROM keys WHERE key = ?", [key]).fetchone()
        return json.loads(row[0]) if row else {}

    def set_facts(self, key: str, facts: Mapping[str, JSON]) -> None:
        """Keep what the engine behind `key` tells of itself."""
        with self._at.write() as db:
            db.execute("UPDATE keys SET facts = ? WHERE key = ?", [json.dumps(facts), key])

    # --- reading --------------------------------------------------------------------------------------------------

    def read(self, video: str, span: TimeRange, *, keys: Iterable[str] | None = None, kinds: Iterable[str] | None = None) -> list[Note]:
        """Return the notes that overlap `span` in time order; for each grain only those of its best engine, best tier first.

        With `keys`, only those engines compete.
        """
        rivals = self._rivals(video, keys)
        wanted = [key for key in rivals]
        sql = (
            f"SELECT n.*, k.analyzer FROM notes n JOIN keys k ON k.key = n.key WHERE n.video = ? AND n.start_ms < ? AND n.end_ms > ? "
            f"AND n.start_ms > ? - (SELECT longest_ms FROM videos WHERE id = n.video) - 1 AND n.key IN ({marks(wanted)})"
        )
        args: list[Any] = [video, span.end, span.start, span.start, *wanted]
        if kinds is not None:
            chosen = list(kinds)
            sql += f" AND n.kind IN ({marks(chosen)})"
            args += chosen
        with self._at.read() as db:
            notes = [_note(row) for row in db.query(sql + " ORDER BY n.start_ms, n.id", args)]
        return self._visible(notes, rivals)

    def search(
        self, query: str, *, videos: Sequence[str], span: TimeRange | None = None, kinds: Iterable[str] | None = None, limit: int = 40
    ) -> list[Note]:
        """Return the notes that best match any word of `query`, best first. The query is plain words, not FTS syntax."""
        words = [word for word in "".join(c if c.isalnum() else " " for c in query).split()]
        if not words or not videos:
            return []
        match = " OR ".join(f'"{word}"' for word in words)
        inner = "SELECT rowid, rank FROM notes_fts WHERE notes_fts MATCH ? ORDER BY rowid DESC LIMIT ?"
        sql = (
            f"SELECT n.*, k.analyzer FROM ({inner}) f JOIN notes n ON n.id = f.rowid JOIN keys k ON k.key = n.key "
            f"WHERE n.video IN ({marks(videos)})"
        )
        args: list[Any] = [match, _CANDIDATES if span is None else -1, *videos]
        if span is not None:
            sql += " AND n.start_ms < ? AND n.end_ms > ?"
            args += [span.end, span.start]
        if kinds is not None:
            chosen = list(kinds)
            sql += f" AND n.kind IN ({marks(chosen)})"
            args += chosen
        with self._at.read() as db:
            found = [_note(row) for row in db.query(sql + " ORDER BY f.rank, n.start_ms", args)]
        rivals = {video: self._rivals(video, None) for video in videos}
        shown = [note for note in found if self._visible([note], rivals[note.video])]
        return shown[:limit]

    def get(self, ids: Iterable[int]) -> dict[int, Note]:
        """Return the notes with these ids; absent ones are left out."""
        wanted = list(ids)
        with self._at.read() as db:
            rows = db.query(f"SELECT n.*, k.analyzer FROM notes n JOIN keys k ON k.key = n.key WHERE n.id IN ({marks(wanted)})", wanted)
            return {row["id"]: _note(row) for row in rows}

    def _rivals(self, video: str, keys: Iterable[str] | None) -> dict[str, list[str]]:
        """Return each key that looked at `video` with the better ones of its analyzer and lane."""
        allowed = None if keys is None else set(keys)
        recipes = [r for r in self.recipes(video=video) if allowed is None or r.key in allowed]
        return {
            mine.key: [
                other.key
                for n, other in enumerate(recipes)
                if (other.analyzer, other.lane) == (mine.analyzer, mine.lane) and (other.tier, -n) < (mine.tier, -at)
            ]
            for at, mine in enumerate(recipes)
        }

    def _visible(self, notes: list[Note], rivals: Mapping[str, Sequence[str]]) -> list[Note]:
        if not any(rivals.get(note.key) for note in notes):
            return notes
        span = TimeRange(min(n.span.start for n in notes), max(n.span.end for n in notes) + 1)
        done = {key: self._ledger.covered(notes[0].video, [key], span) for key in {k for note in notes for k in rivals.get(note.key, ())}}
        return [
            note
            for note in notes
            if not any(c.span.start <= note.span.start < c.span.end for key in rivals.get(note.key, ()) for c in done[key])
        ]


def _note(row: Mapping[str, Any]) -> Note:
    span = TimeRange(row["start_ms"], row["end_ms"])
    found = Observation(span, row["kind"], row["text"], row["score"], json.loads(row["detail"]))
    return Note(row["id"], row["video"], row["analyzer"], row["key"], found)


def _recipe(row: Mapping[str, Any]) -> Recipe:
    plain = {name: row[name] for name in ("key", "analyzer", "version", "engine", "tier", "weights", "lane")}
    return Recipe(**plain, params=json.loads(row["params"]), uncertain=bool(row["uncertain"]))
