"""A reader that stays open between the calls of one thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

from analyzer_agent.media.frames import FrameRequest
from analyzer_agent.media.packet_reader import PacketReader


class KeptReader:
    """Keeps one reader open between calls; `close` may be called by any thread."""

    def __init__(self) -> None:
        self._closed = Event()
        self._kept: list[PacketReader] = []

    def close(self) -> None:
        """Close the reader, also one that is lent, as soon as it comes back."""
        self._closed.set()
        while self._kept:
            self._kept.pop().close()

    @contextmanager
    def lent(self, wish: FrameRequest, opened: Callable[[], PacketReader]) -> Iterator[PacketReader]:
        """Lend the previous call's reader if the request lies ahead of it, else a new one.

        A reader is not reused after an error.
        """
        cursor = self._kept.pop() if self._kept else None
        if cursor and (wish.instants is not None or wish.start <= cursor.read_to):
            cursor.close()
            cursor = None
        cursor = cursor or opened()
        try:
            yield cursor
        except GeneratorExit:
            self._keep(cursor)
            raise
        except BaseException:
            cursor.close()
            raise
        self._keep(cursor)

    def _keep(self, cursor: PacketReader) -> None:
        """Store one reader for the next call; none after `close`."""
        self._kept.append(cursor)
        while self._kept and (self._closed.is_set() or len(self._kept) > 1):
            self._kept.pop().close()
