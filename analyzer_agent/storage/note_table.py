"""A table of notes in memory that a language model may query with SQL of its own.

The store itself is out of reach: the connection holds nothing but these rows, may only read, and is
bounded in rows, time and the length of values.
"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.errors import ToolRefusal

COLUMNS = ("id", "video", "kind", "analyzer", "start_s", "end_s", "text", "score")
"""The columns of the view `notes`: times in seconds, `id` is what an answer cites."""

MAX_ROWS = 100
"""The most rows of a result."""

_TIME_LIMIT_S = 2.0
_MAX_VALUE_BYTES = 1_000_000
_STEPS_BETWEEN_CHECKS = 10_000
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows of a query; `cut` tells that there are more than `MAX_ROWS`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    cut: bool


class NoteTable:
    """Notes as a view `notes` with the columns `COLUMNS`. Safe to use from several threads.

    Args:
        rows: the notes, in the order of `COLUMNS`.
    """

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute(f"CREATE TABLE stored ({', '.join(COLUMNS)})")
        self._db.executemany(f"INSERT INTO stored VALUES ({', '.join('?' * len(COLUMNS))})", rows)
        self._db.execute("CREATE VIEW notes AS SELECT * FROM stored ORDER BY start_s, id")
        self._db.commit()
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        self._db.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)

    def query(self, sql: str) -> QueryResult:
        """Return the rows of a SELECT statement.

        Raises:
            ToolRefusal: the statement is none, is not allowed, or takes too long.
        """
        with self._lock:
            began = time.monotonic()
            self._db.set_progress_handler(lambda: time.monotonic() - began > _TIME_LIMIT_S, _STEPS_BETWEEN_CHECKS)
            try:
                cursor = self._db.execute(sql)
                columns = [column[0] for column in cursor.description or ()]
                rows = cursor.fetchmany(MAX_ROWS + 1)
                cursor.close()
            except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
                raise ToolRefusal(_refusal(error)) from error
            finally:
                self._db.set_progress_handler(None, 0)
        if not columns:
            raise ToolRefusal("The query has no result: give one SELECT statement.")
        return QueryResult(columns, rows[:MAX_ROWS], len(rows) > MAX_ROWS)


def _refusal(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_INTERRUPT":
        return f"The query took more than {_TIME_LIMIT_S:g} s: narrow it."
    if name == "SQLITE_AUTH":
        return f"Only SELECT is allowed, on the view notes({', '.join(COLUMNS)})."
    return f"The query failed: {error}. The view is notes({', '.join(COLUMNS)})."
