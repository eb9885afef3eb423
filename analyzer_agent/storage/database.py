"""The SQLite file: a connection per thread, one door for writes, errors said in a person's words.

Knows nothing of notes or sessions.
"""

import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from analyzer_agent.errors import StoreError
from analyzer_agent.storage.migrations import migrations
from analyzer_agent.storage.sqlite_import import Database

BUSY_TIMEOUT_S = 30.0

_SETTINGS = ("synchronous=NORMAL", "wal_autocheckpoint=4000", "cache_size=-64000")
"""Of each connection: pages that many small commits change again and again are copied to the file less often, and stay at hand."""


def now() -> str:
    """Return the time as stored: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def placeholders(values: Sized) -> str:
    """Return as many SQL parameter marks as there are values."""
    return ", ".join("?" * len(values))


@contextmanager
def gc_paused() -> Iterator[None]:
    """Keep the collector of cyclic garbage out while very many small objects are made.

    It would go through all objects of the program again and again, a tenth of a second each time, and find that all are in use.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_ERROR_HINTS = {
    "SQLITE_FULL": ("the disk is full", "Free some space and ask again: everything that was finished is kept."),
    "SQLITE_READONLY": ("it cannot be written", "Choose another place with --store FILE, or make the file and its folder writable."),
    "SQLITE_CANTOPEN": ("it cannot be opened", "Choose another place with --store FILE, or make its folder writable."),
    "SQLITE_CORRUPT": ("it is damaged", "Move it away and start anew, or rescue what is there: sqlite3 FILE .recover"),
    "SQLITE_NOTADB": ("it is not an SQLite database", "Choose another file with --store FILE."),
    "SQLITE_BUSY": ("another process has kept it locked", "Try again when that process is done."),
    "SQLITE_IOERR": ("the disk gave an error", "Check the disk, or choose another place with --store FILE."),
}


class Connections:
    """Opens the store and hands each thread its own connection.

    Raises:
        StoreError: the file cannot be opened, read or written; says why and what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._all: weakref.WeakSet[Database] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        with self.explained():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror
                raise StoreError(
                    f"The store's folder {str(path.parent)!r} cannot be made: {reason}.", hint="Choose another place with --store FILE."
                ) from error
            self._prepare()

    def database(self) -> Database:
        """Return this thread's connection."""
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            self._check_open()
            conn = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
            for setting in _SETTINGS:
                conn.execute(f"PRAGMA {setting}")
            db = self._local.db = Database(conn)
            weakref.finalize(db, conn.close)  # when its thread ends: a long session has many short threads
            with self._lock:
                self._all.add(db)
        return db

    @contextmanager
    def write(self) -> Iterator[Database]:
        """Run the block in one transaction that holds the write lock from its start, so that it never fails half-way for another writer."""
        with self.explained():
            db = self.database()
            db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.conn.commit()
            except BaseException:
                db.conn.rollback()
                raise

    @contextmanager
    def read(self) -> Iterator[Database]:
        """Run the block with this thread's connection; each statement sees the last commit."""
        with self.explained():
            yield self.database()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn SQLite's errors into ones a person can act on."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            self._check_open(error)
            name = getattr(error, "sqlite_errorname", None) or ""
            for known, (what, hint) in _ERROR_HINTS.items():
                if name.startswith(known):
                    raise StoreError(f"The store {str(self.path)!r}: {what}.", hint=hint) from error
            raise

    def close(self) -> None:
        """Close the connections of all threads, none of which may be at work: SQLite crashes if it uses one that is closed."""
        self._closed = True
        with self._lock:
            for db in self._all:
                db.conn.close()
            self._all.clear()
        self._local = threading.local()

    def _check_open(self, error: Exception | None = None) -> None:
        if self._closed:
            raise StoreError(f"The store {str(self.path)!r} was closed meanwhile.", hint="Open it, or the session, again.") from error

    def _prepare(self) -> None:
        db = self.database()
        self._switch_to_wal(db.conn)
        with self.write() as db:
            migrations.apply(db)

    def _switch_to_wal(self, conn: sqlite3.Connection) -> None:
        # The switch does not wait for other connections as statements do, so two processes that both make the store would collide.
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                conn.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if not (error.sqlite_errorname or "").startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
