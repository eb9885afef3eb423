"""Write the rows of notes and of coverage, with the lengths that bound later reads."""

import json
from collections.abc import Sequence

from sqlite_utils import Database

from analyzer_agent.records import ABSENCE, Observation
from analyzer_agent.sanitize import encodable
from analyzer_agent.storage.database import now
from analyzer_agent.storage.search_words import indexed_words
from analyzer_agent.timeline import TimeRange

# The length of the longest grain bounds the start of overlapping rows, so few rows are read.
OVERLAPPING = (
    "FROM coverage_stats l CROSS JOIN coverage c ON c.video = l.video AND c.key = l.key "
    "WHERE l.video = ? AND l.key IN ({}) AND c.start_ms > ? - l.longest_ms AND c.start_ms < ? AND c.end_ms > ?"
)

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def insert_notes(db: Database, video: str, key: str, found: Sequence[Observation]) -> None:
    """Insert notes and update the length of the longest one of each kind."""
    if not found:
        return
    db.conn.executemany(
        "INSERT INTO notes (video, key, kind, start_ms, end_ms, text, words, score, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (video, key, o.kind, o.span.start, o.span.end, (text := encodable(o.text)), _searched(o, text), o.score, _detail(o))
            for o in found
        ],
    )
    longest: dict[str, int] = {}
    for o in found:
        longest[o.kind] = max(longest.get(o.kind, 0), o.span.length)
    db.conn.executemany(
        "INSERT INTO note_extents VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET longest_ms = excluded.longest_ms WHERE excluded.longest_ms > longest_ms",
        [(video, key, kind, length) for kind, length in longest.items()],
    )


def _detail(o: Observation) -> str:
    return _json(o.detail) if o.detail else "{}"


def cover(db: Database, video: str, key: str, span: TimeRange, *, step: int = 0, notes: int, wall_ms: int = 0, news: bool) -> None:
    """Record a range as covered; `news`: whether this changes what is stored."""
    db.execute(
        "INSERT OR REPLACE INTO coverage (video, key, start_ms, end_ms, step_ms, state, notes, wall_ms, at) "
        "VALUES (?, ?, ?, ?, ?, 'done', ?, ?, ?)",
        [video, key, span.start, span.end, step, notes, wall_ms, now()],
    )
    update_coverage_stats(db, video, key, span.length, news)


def update_coverage_stats(db: Database, video: str, key: str, length: int, news: bool) -> None:
    """Update the length of the longest grain, and count the change if there is anything new."""
    db.execute(
        "INSERT INTO coverage_stats VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET longest_ms = max(longest_ms, excluded.longest_ms), changes = changes + excluded.changes",
        [video, key, length, news],
    )


def _searched(o: Observation, text: str) -> str | None:
    """Return the words under which a note is found; "" for none, None for those of its text."""
    return "" if o.kind == ABSENCE else indexed_words(text)


def clear_grain(db: Database, video: str, key: str, span: TimeRange, step: int, instants: Sequence[int]) -> None:
    """Delete what an analysis of a grain replaces: its coverage, notes, vectors, and the absences that reach into it."""
    inside = "video = ? AND key = ? AND start_ms >= ? AND start_ms < ?"
    place = [video, key, span.start, span.end]
    if _covered_before(db, video, key, instants[0] if instants else span.start):
        # Analyzed anew, it may find what it did not find then. The longest absence bounds the rows that are read.
        longest = f"(SELECT longest_ms FROM note_extents WHERE video = ? AND key = ? AND kind = '{ABSENCE}')"
        within = f"kind = '{ABSENCE}' AND video = ? AND key = ? AND start_ms > ? - {longest} AND start_ms < ? AND end_ms > ?"
        db.execute(f"DELETE FROM notes WHERE {within}", [video, key, span.start, video, key, span.end, span.start])
    if step:
        for table, start in (("notes", f"kind != '{ABSENCE}' AND start_ms"), ("vectors", "t_ms")):
            sql = f"DELETE FROM {table} WHERE video = ? AND key = ? AND {start} = ?"
            db.conn.executemany(sql, [(video, key, instant) for instant in instants])
    else:
        db.execute(f"DELETE FROM notes WHERE {inside} AND kind != ?", [*place, ABSENCE])
    db.execute(
        f"DELETE FROM coverage WHERE {inside} AND end_ms <= ? AND (state = 'failed' OR step_ms % max(?, 1) = 0)",
        [*place, span.end, step],
    )


def shorten_samples(db: Database, video: str, key: str, span: TimeRange) -> None:
    """Shorten each sample to end at the next sample of the finest step stored for its time."""
    rows = db.execute(
        f"SELECT c.start_ms, c.end_ms, c.step_ms {OVERLAPPING.format('?')} AND c.state = 'done' AND c.step_ms > 0",
        [video, key, span.start, span.end, span.start],
    ).fetchall()
    for start, end, step in rows:
        db.execute(
            "UPDATE notes SET end_ms = (start_ms / ? + 1) * ? WHERE video = ? AND key = ? AND start_ms >= ? AND start_ms < ? "
            "AND end_ms > (start_ms / ? + 1) * ? AND kind != ? AND (kind != 'gap' OR json_extract(detail, '$.reason') NOT IN (?, ?))",
            [step, step, video, key, max(start, span.start), min(end, span.end), step, step, ABSENCE, "undecodable", "encrypted"],
        )


def _covered_before(db: Database, video: str, key: str, instant: int) -> bool:
    """Return whether an instant (ms) is covered, also where it is about to be analyzed anew."""
    at = f"{OVERLAPPING.format('?')} AND c.state = 'done' AND (c.step_ms = 0 OR ? % c.step_ms = 0)"
    return db.execute(f"SELECT 1 {at} LIMIT 1", [video, key, instant, instant + 1, instant, instant]).fetchone() is not None
