"""LangGraph's checkpointer in the store's file: opening it and pruning old checkpoints."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from langgraph.checkpoint.sqlite import SqliteSaver


@contextmanager
def open_saver(path: str) -> Iterator[SqliteSaver]:
    """Open the checkpointer in the store's file, on a separate connection."""
    connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
    try:
        saver = SqliteSaver(connection)
        saver.setup()
        yield saver
    finally:
        connection.close()


def prune(saver: SqliteSaver, thread: str) -> None:
    """Delete all but the newest checkpoint of a thread.

    Each holds the whole state, so that together they would grow quadratically.
    """
    newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
    with saver.cursor() as cursor:
        for table in ("checkpoints", "writes"):
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ({newest})", (thread, thread))
