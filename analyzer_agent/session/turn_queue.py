"""The turn queue: a session runs one question at a time, first in, first out.

Each question runs in a separate thread, which puts its events into a queue; whoever asked reads
them. So an interruption of the reader reaches the tools at once, and neither thread sees the
other's context variables.
"""

import atexit
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Answered, Event

T = TypeVar("T")

_EXIT_WAIT_S = 10.0
"""How long the end of the process waits for a turn whose stream was left open."""

_SIGNAL_S = 0.5
"""How often a waiting reader lets Python handle signals: one that comes just before the wait does not end it."""

_running: "weakref.WeakSet[Turn]" = weakref.WeakSet()
_exiting = threading.Event()


def exiting() -> bool:
    """Return whether the process is ending: as after a kill, an open question can be resumed."""
    return _exiting.is_set()


@atexit.register
def _end_turns() -> None:
    """Stop the turns whose streams were left open, while their threads still run.

    Later, Python tears down what they use, such as the database, under their hands.
    """
    _exiting.set()
    turns = [turn for turn in tuple(_running) if turn.worker is not None]
    for turn in turns:
        turn.stop.set()
        turn.release()
    for turn in turns:
        if turn.worker is not None:
            turn.worker.join(_EXIT_WAIT_S)


class _Mark(Enum):
    """What stands between events: the worker waits to be read up to here, or it has ended."""

    READ_UP = 1
    END = 2


class Turn:
    """A place in the queue, and the thread that works in it.

    Attributes:
        stop: ends the turn when set.
        reader: the thread that read the last event; 0 while the next one is awaited.
        dropped: whether another thread, or another question of the reader, ended the turn.
        worker: the thread that works, once started.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()
        self.reader = 0
        self.dropped = False
        self.worker: threading.Thread | None = None
        self._lines: SimpleQueue[Event | _Mark] = SimpleQueue()
        self._read_up = threading.Event()
        self._result: Any = None
        self._failure: BaseException | None = None

    def emit(self, event: Event) -> None:
        """Give an event to the reader. Thread-safe."""
        self._lines.put(event)

    def wait_for_reader(self) -> None:
        """Wait until the reader has taken all events.

        Raises:
            Cancelled: the turn was stopped.
        """
        self._lines.put(_Mark.READ_UP)
        self._read_up.wait()
        if self.stop.is_set():
            raise Cancelled

    def start(self, work: "Callable[[Turn], object]") -> None:
        """Run `work` in a separate thread."""

        def run() -> None:
            try:
                self._result = work(self)
            except BaseException as error:
                self._failure = error
            finally:
                self._lines.put(_Mark.END)

        self.worker = threading.Thread(target=run, name="agent", daemon=True)
        _running.add(self)
        self.worker.start()

    def next_event(self) -> Event | None:
        """Return the next event, None after the last one."""
        while True:
            try:
                line = self._lines.get(timeout=_SIGNAL_S)
            except Empty:
                continue
            if line is not _Mark.READ_UP:
                return None if isinstance(line, _Mark) else line
            self._read_up.set()

    def result(self) -> Any:
        """Return or raise the outcome of the work, which has ended."""
        if self._failure is not None:
            raise self._failure
        return self._result

    def release(self) -> None:
        """Let the work go on although nobody reads its events."""
        self._read_up.set()

    def end(self) -> None:
        """Stop the work, and wait for its thread."""
        self.stop.set()
        self.release()
        # While Python exits, the threads have ended; garbage collection may run in the worker.
        if self.worker is not None and self.worker is not threading.current_thread() and not exiting():
            self.worker.join()


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

    def read(self, work: Callable[[Turn], T], stop: threading.Event | None = None) -> Generator[Event, None, T]:
        """Wait for the turn, run `work` in a thread, yield the events that it emits, return its result.

        Args:
            work: gets the turn: it emits events there, and ends soon once `Turn.stop` is set.
            stop: ends the turn when set, for callers that set it themselves; then call `wake`, too.

        Raises:
            AgentError: the session was closed before the turn came.
            Cancelled: stopped, closed, or ended by another question of the same thread.
        """
        turn = Turn(stop)
        self._wait(turn)
        try:
            turn.start(work)
            self.wake()
            while (event := self._next(turn)) is not None:
                if isinstance(event, Answered):  # the last event: free the queue even if unread
                    self._leave(turn)
                yield event
            result: T = turn.result()
            return result
        finally:
            turn.end()
            self._leave(turn)

    @contextmanager
    def hold(self) -> Iterator[threading.Event]:
        """Wait for the turn and hold it while the block runs; yield the event that stops it."""
        turn = Turn()
        self._wait(turn)
        try:
            yield turn.stop
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
                if first is None or first.worker is None:
                    self._moved.wait()
                    continue
            self._drop(first)

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
                self._drop(first)
        except BaseException:
            self._leave(turn)
            raise

    def _next(self, turn: Turn) -> Event | None:
        if turn.dropped:
            raise Cancelled("The session was closed." if self._closed else "Another question was asked in the same thread.")
        turn.reader = 0
        event = turn.next_event()
        turn.reader = threading.get_ident()
        return event

    def _drop(self, turn: Turn) -> None:
        """End a turn whose events nobody reads on."""
        turn.dropped = True
        turn.end()
        self._leave(turn)

    def _leave(self, turn: Turn) -> None:
        with self._moved:
            if turn in self._line:
                self._line.remove(turn)
                self._moved.notify_all()
