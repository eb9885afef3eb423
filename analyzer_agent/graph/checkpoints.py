"""Where LangGraph keeps the state of a conversation: in the store's file, on a connection of its own, no more than is needed.

Knows nothing of what the state means.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from langgraph.checkpoint.sqlite import SqliteSaver


@contextmanager
def open_saver(path: str) -> Iterator[SqliteSaver]:
    """Open the checkpointer in the store's file, on a connection of its own."""
    connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
    try:
        saver = SqliteSaver(connection)
        saver.setup()
        yield saver
    finally:
        connection.close()


def prune(saver: SqliteSaver, thread: str) -> None:
    """Keep only the newest checkpoint of a thread: they hold the whole state each, so together they grow quadratically."""
    newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
    with saver.cursor() as cursor:
        for table in ("checkpoints", "writes"):
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ({newest})", (thread, thread))
