"""One job: its state, events, result and cost so far, for threads and for asyncio."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Answered, Event, SentBack, TextDelta, Thinking, ToolFinished
from analyzer_agent.records import Answer, ToolResult, Usage


class JobState(Enum):
    """What becomes of a job; the last three are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"
    STOPPED = "stopped"


_ENDS = frozenset({JobState.ANSWERED, JobState.FAILED, JobState.STOPPED})


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event of a job: its number, counted from 0, the event, and one line for people that names videos by their files."""

    number: int
    event: Event
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return the event for JSON: its number, its kind, such as `ToolStarted`, and its text."""
        delta = {"delta": self.event.text} if isinstance(self.event, TextDelta) else {}
        step = {"step": self.event.step, "limit": self.event.limit} if isinstance(self.event, Thinking) else {}
        call = getattr(self.event, "call_id", None) or (self.event.result.call_id if isinstance(self.event, ToolFinished) else None)
        done = {name: getattr(self.event, name) for name in ("done_ms", "total_ms", "new_ms") if hasattr(self.event, name)}
        refused = {"refused": self.event.result.refused} if isinstance(self.event, ToolFinished) else {}
        named = {"number": self.number, "event": type(self.event).__name__, "text": self.text}
        return named | delta | step | ({"call": call} if call else {}) | done | refused


@dataclass(eq=False)
class Job:
    """A question that is being answered, or a tool that runs. Whoever has it may read it from any thread.

    Attributes:
        id: names the job; not to be guessed.
        session: the name of its conversation, for questions after it.
        question: the question; "" if a tool runs.
        paths: its videos.
        videos: their names, as `NamedFolders.shown` returns them.
        options: the options of a multiple-choice question.
        tool: the tool that runs; "" if it is a question.
        arguments: the arguments of the tool.
        state: what has become of it.
        answer: the answer, once it is there.
        result: the result of the tool, once it is there.
        error: why it failed.
    """

    id: str
    session: str
    question: str
    paths: Sequence[Path]
    videos: Sequence[str]
    options: Sequence[str] = ()
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    state: JobState = JobState.WAITING
    answer: Answer | None = None
    result: ToolResult | None = None
    error: AgentError | None = None
    begun: float = field(default_factory=time.time)
    """When it was started, in s since 1970."""

    def __post_init__(self) -> None:
        self._lock = threading.Condition()
        self._stop = threading.Event()
        self._cancel: Callable[[], None] | None = None
        self._titled: Callable[[str], str] = str
        self._events: list[JobEvent] = []
        self._partial: list[str] = []
        self._used = Usage()
        self._listeners: set[Callable[[], None]] = set()

    # --- for readers

    @property
    def ended(self) -> bool:
        """Whether it has been answered, has failed or was stopped."""
        return self.state in _ENDS

    @property
    def partial(self) -> str:
        """The text of the answer so far, as far as the model streams it; "" after a draft was sent back."""
        with self._lock:
            return "".join(self._partial)

    @property
    def usage(self) -> Usage:
        """The cost so far; that of the answer once it is there."""
        return self.answer.usage if self.answer else self._used

    def events(self, start: int = 0) -> list[JobEvent]:
        """Return the events so far, from this number on."""
        with self._lock:
            return self._events[max(0, start) :]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended, for at most `timeout` s; tell whether it has."""
        with self._lock:
            return self._lock.wait_for(lambda: self.ended, timeout)

    async def changed(self, seen: int) -> None:
        """Wait until there are more events than `seen`, or its state changes; at once if it has ended. For asyncio."""
        loop, there = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop was closed, so nobody waits
                loop.call_soon_threadsafe(there.set)

        with self._lock:
            if len(self._events) > seen or self.ended:
                return
            self._listeners.add(tell)
        try:
            await there.wait()
        finally:
            with self._lock:
                self._listeners.discard(tell)

    def cancel(self) -> None:
        """Stop the job; what was analyzed stays stored. Nothing happens to one that has ended."""
        self._stop.set()
        if self._cancel is not None:
            self._cancel()
        with self._lock:
            self._tell()

    def to_dict(self) -> dict[str, Any]:
        """Return the job for JSON, with its answer or error; the events are read apart."""
        with self._lock:
            error = {"error": str(self.error), "hint": self.error.hint} if self.error else {}
            about: dict[str, Any] = {"id": self.id, "state": self.state.value, "session": self.session, "question": self.question}
            about |= {"tool": self.tool, "arguments": dict(self.arguments)} if self.tool else {}
            so_far = {"videos": list(self.videos), "begun": self.begun, "events": len(self._events), "partial": "".join(self._partial)}
            return about | so_far | {"usage": self.usage.to_dict(), "answer": self.answer.to_dict() if self.answer else None} | error

    # --- for `Jobs`, which runs it

    def check_wanted(self) -> None:
        """Raise Cancelled if the job was stopped."""
        if self._stop.is_set():
            raise Cancelled

    def begin(self, cancel: Callable[[], None], titled: Callable[[str], str]) -> None:
        """Tell that it runs, how it is stopped, and how its events name videos."""
        with self._lock:
            self.state, self._cancel, self._titled = JobState.RUNNING, cancel, titled
            self._tell()

    def add(self, event: Event) -> None:
        """Add an event."""
        with self._lock:
            self._events.append(JobEvent(len(self._events), event, self._titled(str(event))))
            match event:
                case Thinking():
                    self._used = _with_media_of(event.used, self._used)
                    self._partial.clear()
                case SentBack():
                    self._partial.clear()
                case TextDelta():
                    self._partial.append(event.text)
                case ToolFinished(result):
                    spent = Usage.of_calls(vision=[result.vision])
                    self._used += replace(spent, media_ms_analyzed=result.analyzed_ms, media_ms_reused=result.reused_ms)
                case Answered(answer):
                    self.answer = answer
            self._tell()

    def end(self, state: JobState, error: AgentError | None = None) -> None:
        """Tell how it has ended; one that got its answer stays answered."""
        with self._lock:
            done = self.answer is not None or self.result is not None
            self.state, self.error, self._cancel = JobState.ANSWERED if done else state, error, None
            self._tell()

    def returned(self, result: ToolResult) -> None:
        """Keep the result of the tool."""
        self.result = result

    def _tell(self) -> None:
        self._lock.notify_all()
        for tell in self._listeners:
            tell()


def _with_media_of(models: Usage, earlier: Usage) -> Usage:
    """Return what the models have used, with the media time so far, which only finished calls tell."""
    return replace(models, media_ms_analyzed=earlier.media_ms_analyzed, media_ms_reused=earlier.media_ms_reused)
