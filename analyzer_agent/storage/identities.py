"""Sums of files that were read whole, and the older ids of content that has not changed since."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from analyzer_agent.storage.database import Connections


class Identities:
    """What is known of the content of files. Safe to use from several threads and processes."""

    def __init__(self, connections: Connections) -> None:
        self._at = connections

    def known(self, path: str, state: str) -> str | None:
        """Return the id of the content of the file at `path` if it was in this state when it was read."""
        sql = "SELECT coalesce(a.video, s.sum) FROM sums s LEFT JOIN aliases a USING (sum) WHERE s.path = ? AND s.state = ?"
        with self._at.read() as db:
            row = db.execute(sql, [path, state]).fetchone()
        return row[0] if row else None

    def keep(self, path: str, state: str, sum: str) -> None:
        """Remember the sum of the file at `path` in this state."""
        with self._at.write() as db:
            db.execute("INSERT OR REPLACE INTO sums (path, state, sum) VALUES (?, ?, ?)", [path, state, sum])

    def id_of(self, sum: str, sampled: str, changed: float) -> str:
        """Return the id under which the store knows the content with this sum.

        Notes that were stored under a sampled fingerprint serve the first content that has it, if
        its file was last changed before they were made: that is what they are of. It keeps the old
        id, so that notes, sessions and answers stay as they are.

        Args:
            sum: the sum of the whole file.
            sampled: its sampled fingerprint.
            changed: when the file was changed, in seconds since 1970.
        """
        with self._at.read() as db:
            if row := db.execute("SELECT video FROM aliases WHERE sum = ?", [sum]).fetchone():
                return str(row[0])
            old = "SELECT 1 FROM videos v WHERE v.id = ? AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.video = v.id)"
            if db.execute("SELECT 1 FROM videos WHERE id = ?", [sum]).fetchone() or not db.execute(old, [sampled]).fetchone():
                return sum
            (first,) = db.execute("SELECT min(at) FROM coverage WHERE video = ?", [sampled]).fetchone()
        if first is not None and datetime.fromisoformat(first).timestamp() < changed:
            return sum
        with self._at.write() as db:
            db.execute("INSERT OR IGNORE INTO aliases (sum, video) VALUES (?, ?)", [sum, sampled])
            row = db.execute("SELECT video FROM aliases WHERE sum = ?", [sum]).fetchone()
        return str(row[0]) if row else sum


class StoredSums:
    """The `Identities` of the store at `path`, if there is a store; it is opened when something is asked of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, path: str, state: str) -> str | None:
        """See `Identities`; None without a store."""
        with self._opened() as identities:
            return identities.known(path, state) if identities else None

    def keep(self, path: str, state: str, sum: str) -> None:
        """See `Identities`; without a store nothing is kept."""
        with self._opened() as identities:
            if identities:
                identities.keep(path, state, sum)

    def id_of(self, sum: str, sampled: str, changed: float) -> str:
        """See `Identities`; without a store it is the sum."""
        with self._opened() as identities:
            return identities.id_of(sum, sampled, changed) if identities else sum

    @contextmanager
    def _opened(self) -> Iterator[Identities | None]:
        if not self._path.exists():
            yield None
            return
        connections = Connections(self._path)
        try:
            yield Identities(connections)
        finally:
            connections.close()
