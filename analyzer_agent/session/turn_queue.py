"""Turns: a session answers one question at a time, in the order in which they were asked; threads wait for theirs.

Knows nothing of what a question is: what runs is handed in, and its events are handed out.
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
    """A place in the line. `stop` is set to end what runs; `reader` is the thread that read the last event, 0 while one is awaited."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()
        self.running: Generator[Event, None, Any] | None = None
        self.reader = 0
        self.dropped = False
        self.busy = threading.RLock()


class TurnQueue:
    """The line of those who want to use a session.

    A thread that has left off reading its events, such as after Ctrl-C between two of them, and asks again, ends the earlier question.
    """

    def __init__(self) -> None:
        self._line: deque[Turn] = deque()
        self._moved = threading.Condition()
        self._closed = False
        self._readers = 0

    def check_open(self) -> None:
        """Raise AgentError if the session is closed."""
        if self._closed:
            raise AgentError("This session is closed.", hint="Open another: Session(...)")

    def read(
        self, begin: Callable[[threading.Event], Generator[Event, None, T]], stop: threading.Event | None = None
    ) -> Generator[Event, None, T]:
        """Wait for the turn, then yield the events of what `begin` makes; returns what that returns.

        Args:
            begin: is handed the event that is set to stop it.
            stop: that event, if it is to be set from elsewhere; `wake` makes one that waits notice.

        Raises:
            AgentError: the session was closed before the turn came.
            Cancelled: it was stopped, closed, or ended by another question of the same thread.
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
                if isinstance(event, Answered):  # the last one: whoever reads no further holds nobody up
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
        """Let nothing else run in the session while the block does."""
        turn = Turn()
        self._wait(turn)
        try:
            yield
        finally:
            self._leave(turn)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Let the block run whatever else does, but not after the session was closed: closing waits for it."""
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
        """Stop what runs, if anything does. Takes no lock: signal handlers may call it."""
        for turn in tuple(self._line)[:1]:
            turn.stop.set()

    def wake(self) -> None:
        """Make those that wait see that they were stopped."""
        with self._moved:
            self._moved.notify_all()

    def close(self) -> None:
        """Stop what runs and turn away those that wait; returns when nothing uses the session any more."""
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
        """End what runs between two of its events, if it was this thread (None: any thread) that read the last one."""
        with turn.busy:
            if by is not None and turn.reader != by:
                return
            if (
                turn.running is not None and getgeneratorstate(turn.running) == GEN_RUNNING
            ):  # a signal handler closes what its own thread is at
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
