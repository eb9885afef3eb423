"""The turn queue: a session runs one question at a time, first in, first out.

The question itself is a generator of events given by the caller.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from inspect import GEN_RUNNING, getgeneratorstate
from typing import Any, TypeVar

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Answered, Event

T = TypeVar("T")


class Turn:
    """A place in the queue.

    Attributes:
        stop: ends the turn when set.
        running: the generator, once started.
        reader: the thread that read the last event; 0 while the next one is awaited.
        dropped: whether another thread ended the turn.
        busy: held while the generator runs or is closed.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()
        self.running: Generator[Event, None, Any] | None = None
        self.reader = 0
        self.dropped = False
        self.busy = threading.RLock()


class TurnQueue:
    """The queue of turns of a session.

    If a thread stops reading events, such as after Ctrl-C between two of them, and then asks again,
    its earlier question ends.
    """

    def __init__(self) -> None:
        self._line: deque[Turn] = deque()
        self._moved = threading.Condition()
        self._closed = False
        self._readers = 0

    @property
    def closed(self) -> bool:
        """Whether the session is closed."""
        return self._closed

    def check_open(self) -> None:
        """Raise AgentError if the session is closed."""
        if self._closed:
            raise AgentError("This session is closed.", hint="Open another: Session(...)")

    def read(
        self, begin: Callable[[threading.Event], Generator[Event, None, T]], stop: threading.Event | None = None
    ) -> Generator[Event, None, T]:
        """Wait for the turn, then yield the events of `begin(stop)` and return its result.

        Args:
            begin: makes the generator; its argument is the event that stops it.
            stop: that event, for callers that set it themselves; then call `wake`, too.

        Raises:
            AgentError: the session was closed before the turn came.
            Cancelled: stopped, closed, or ended by another question of the same thread.
        """
        turn = Turn(stop)
        self._wait(turn)
        try:
            turn.running = begin(turn.stop)
            self.wake()
            while True:
                try:
                    event = self._next(turn, turn.running)
                except StopIteration as end:
                    result: T = end.value
                    return result
                if isinstance(event, Answered):  # the last event: free the queue even if unread
                    self._leave(turn)
                yield event
        finally:
            try:
                with turn.busy:
                    if turn.running:
                        turn.running.close()
            finally:
                self._leave(turn)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the turn and hold it while the block runs."""
        turn = Turn()
        self._wait(turn)
        try:
            yield
        finally:
            self._leave(turn)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Run the block in parallel with a turn; `close` waits for it.

        Raises:
            AgentError: the session is closed.
        """
        with self._moved:
            self.check_open()
            self._readers += 1
        try:
            yield
        finally:
            with self._moved:
                self._readers -= 1
                self._moved.notify_all()

    def stop(self) -> None:
        """Stop the running turn, if any. Takes no lock, so that signal handlers may call it."""
        for turn in tuple(self._line)[:1]:
            turn.stop.set()

    def wake(self) -> None:
        """Make waiting turns check whether they were stopped."""
        with self._moved:
            self._moved.notify_all()

    def close(self) -> None:
        """Stop the running turn, reject the waiting ones, and return when the session is unused."""
        while True:
            with self._moved:
                self._closed = True
                self._moved.notify_all()
                if not self._line and not self._readers:
                    return
                first = self._line[0] if self._line else None
                if first is not None:
                    first.stop.set()
                if first is None or first.running is None:
                    self._moved.wait()
                    continue
            self._drop(first, by=None)

    def _wait(self, turn: Turn) -> None:
        me = threading.get_ident()
        try:
            with self._moved:
                self.check_open()
                self._line.append(turn)
            while True:
                with self._moved:
                    self.check_open()
                    if turn.stop.is_set():
                        raise Cancelled
                    first = self._line[0]
                    if first is turn:
                        return
                    if first.reader != me:
                        self._moved.wait()
                        continue
                self._drop(first, by=me)
        except BaseException:
            self._leave(turn)
            raise

    def _next(self, turn: Turn, running: Generator[Event, None, Any]) -> Event:
        with turn.busy:
            if turn.dropped:
                raise Cancelled("The session was closed." if self._closed else "Another question was asked in the same thread.")
            turn.reader = 0
            event = next(running)
            turn.reader = threading.get_ident()
            return event

    def _drop(self, turn: Turn, by: int | None) -> None:
        """End a turn between two of its events, if thread `by` (None: any) read the last one."""
        with turn.busy:
            if by is not None and turn.reader != by:
                return
            if (
                turn.running is not None and getgeneratorstate(turn.running) == GEN_RUNNING
            ):  # `close` was called by a signal handler, inside the generator's own thread
                raise Cancelled("The session was closed.")
            turn.dropped = True
            turn.stop.set()
            try:
                if turn.running is not None:
                    turn.running.close()
            finally:
                self._leave(turn)

    def _leave(self, turn: Turn) -> None:
        with self._moved:
            if turn in self._line:
                self._line.remove(turn)
                self._moved.notify_all()
