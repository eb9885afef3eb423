"""Write the rows of notes and of coverage, with the lengths that bound later reads."""

import json
from collections.abc import Sequence

from sqlite_utils import Database

from analyzer_agent.records import ABSENCE, Observation
from analyzer_agent.sanitize import encodable
from analyzer_agent.storage.database import now
from analyzer_agent.storage.search_words import indexed_words
from analyzer_agent.timeline import TimeRange

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
