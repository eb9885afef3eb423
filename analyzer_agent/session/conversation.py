"""Questions and answers of a session: ask, stream, resume, cancel and record; and single calls of tools.

`Session` opens the store, the videos and the model.
"""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyzer_agent.answers import build_answer, unanswered_record
from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Answered, Emit, Event, ToolFinished, discard
from analyzer_agent.forms import Form
from analyzer_agent.media import fetched_bytes
from analyzer_agent.prompts import prompts_digest
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import Answer, ToolResult, Usage
from analyzer_agent.sanitize import encodable
from analyzer_agent.session.assembly import choose_mode
from analyzer_agent.session.indexing import run_call
from analyzer_agent.session.turn_queue import Turn, TurnQueue, exiting
from analyzer_agent.storage import Store
from analyzer_agent.toolbox import SessionVideo, Toolbox
from analyzer_agent.toolbox.answer_check import Outcome

if TYPE_CHECKING:
    from analyzer_agent.graph import Agent, State

_EXAMPLE = 'Ask something: "When does she first mention the price?"'
_MAX_OPTIONS = 26


def new_name() -> str:
    """Return a name for a new conversation."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


class Conversation:
    """The question-and-answer half of a session."""

    name: str
    settings: Settings
    model: ChatModel
    store: Store
    toolbox: Toolbox
    session_videos: list[SessionVideo]
    _turns: TurnQueue
    _closing: ExitStack
    spent: Usage
    """What the models had used when the last question failed."""
    _opened: str
    """The name under which this conversation was last recorded."""
    _fetched: int
    """The bytes of videos at addresses that earlier answers have told."""

    def begin(self, name: str | None = None) -> None:
        """Switch to the conversation `name` about the same videos, by default to a new one."""
        with self._turns.hold():
            self.name = name or new_name()

    def forget(self) -> None:
        """Clear the manager's memory of this conversation; questions and answers stay recorded."""
        with self._turns.hold():
            if "_agent" in self.__dict__:
                with self.store.connections.explained():
                    self._agent.forget(self.name)

    def ask(self, question: str, options: Sequence[str] = (), *, returns: Any = None) -> Answer:
        """Answer a question.

        A session answers one question at a time; other threads wait for their turn.

        Args:
            question: the question.
            options: the options of a multiple-choice question, at most 26.
            returns: a form for the answer: a pydantic model, or a JSON Schema of an object. The answer
                then has `fields`, each with its citations, and `value`.

        Raises:
            AgentError: the question, a setting or the model is unusable, or the session is closed.
            Cancelled: `cancel` was called, or the session was closed meanwhile.
        """
        return _answer_in(self.stream(question, options, returns=returns))

    def stream(self, question: str, options: Sequence[str] = (), *, returns: Any = None) -> Iterator[Event]:
        """Answer a question and yield its events; the last one is `Answered`.

        The question starts when the first event is read, and ends if the same thread stops reading
        and asks again. An interrupted earlier question is closed; use `resume` to continue it.

        Args:
            question: the question.
            options: see `ask`.
            returns: see `ask`.

        Raises:
            AgentError, Cancelled: see `ask`.
        """
        return self._stream(question, options, threading.Event(), returns)

    async def aask(self, question: str, options: Sequence[str] = (), *, returns: Any = None) -> Answer:
        """Answer a question like `ask`, for asyncio; cancelling the task stops the question."""
        return _answer_in([event async for event in self.astream(question, options, returns=returns)])

    async def astream(self, question: str, options: Sequence[str] = (), *, returns: Any = None) -> AsyncGenerator[Event, None]:
        """Yield the events of `stream`, for asyncio; closing or cancelling stops the question."""
        stop, loop = threading.Event(), asyncio.get_running_loop()
        events = self._stream(question, options, stop, returns)
        reader = ThreadPoolExecutor(1, "asyncio")  # one thread: the turn queue knows readers by their threads
        try:
            while (event := await loop.run_in_executor(reader, next, events, None)) is not None:
                yield event
        finally:
            stop.set()
            self._turns.wake()
            reader.submit(events.close)
            reader.shutdown(wait=False)

    def _stream(self, question: str, options: Sequence[str], stop: threading.Event, returns: Any = None) -> Generator[Event, None, None]:
        self._turns.check_open()
        if not isinstance(question, str):
            raise AgentError(f"The question is {question!r}, not text.", hint=_EXAMPLE)
        if not question.strip():
            raise AgentError("The question is empty.", hint=_EXAMPLE)
        if not any(map(str.isalnum, question)):
            raise AgentError(f"There is no word in the question {question.strip()!r}.", hint=_EXAMPLE)
        if isinstance(options, str) or len(options) > _MAX_OPTIONS:
            given = "The options are one text." if isinstance(options, str) else f"There are {len(options)} options."
            raise AgentError(given, hint=f"Give a list of at most {_MAX_OPTIONS}: they are lettered from A to Z.")
        asked, choices = encodable(question), [encodable(option) if isinstance(option, str) else option for option in options]
        form = None if returns is None else self._form(returns, options)
        return self._turns.read(lambda turn: self._asked(asked, choices, turn, form), stop)

    def _form(self, returns: Any, options: Sequence[str]) -> Form:
        if options:
            raise AgentError("A question has options or a form, not both.", hint="Make the options an enum of a field.")
        if self.settings.mode != "manager" or self.model.manager == "rules":
            raise AgentError("Only a language model that manages analyzers fills in a form.", hint="Name one: --model, and no --mode.")
        return returns if isinstance(returns, Form) else Form(returns)

    def _asked(self, question: str, options: Sequence[str], turn: Turn, form: Form | None) -> None:
        self._record()
        number = self.store.history.begin_turn(self.name, question, self.model.manager, self.model.model, prompts_digest())

        def run(emit: Emit) -> Outcome:
            mode = choose_mode(self.settings)
            if mode is None:
                return self._outcome(self._agent.ask(self.name, question, options, number, emit, turn.stop, form.schema if form else None))
            from analyzer_agent.evals.modes import QuestionContext

            limits = self.settings.max_analyzer_ms, self.settings.max_tokens, self.settings.max_cost
            return mode.answer(QuestionContext(question, options, self.toolbox, self.model, turn.stop, *limits), emit)

        self._answer(turn, number, question, self.settings.mode, run, form)

    def _outcome(self, state: "State") -> Outcome:
        from analyzer_agent.graph import outcome_of

        return outcome_of(state)

    @property
    def interrupted(self) -> str | None:
        """The last question, if the process was killed while answering it, else None."""
        with self._turns.beside():
            state = self._open_state()
        return state["question"] if state else None

    def resume(self) -> Iterator[Event]:
        """Continue the interrupted question from its last finished step; yield like `stream`.

        Raises:
            AgentError: there is no interrupted question.
        """
        self._turns.check_open()
        return self._turns.read(self._resumed)

    def _resumed(self, turn: Turn) -> None:
        state = self._open_state()
        if state is None:
            raise AgentError(f"The session {self.name!r} has no interrupted question.", hint="Ask a new one.")
        self._answer(
            turn, state["turn"], state["question"], "manager", lambda emit: self._outcome(self._agent.resume(self.name, emit, turn.stop))
        )

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None) -> ToolResult:
        """Run one tool of the model, such as `transcribe_speech` or `search_notes`. A refusal is a result, too.

        Whoever calls sees pictures, so `view` is offered.

        Args:
            tool: the name of the tool.
            arguments: its arguments, as its schema says.

        Raises:
            AgentError: a person has to act, or the session is closed.
            Cancelled: `cancel` was called.
        """
        self._turns.check_open()
        with self._turns.hold() as stop:
            return run_call(self.toolbox, tool, arguments or {}, self.settings, discard, stop)

    def call_stream(self, tool: str, arguments: Mapping[str, Any] | None = None) -> Generator[Event, None, ToolResult]:
        """Run `call`; yield its events and return its result."""
        self._turns.check_open()
        return self._turns.read(lambda turn: run_call(self.toolbox, tool, arguments or {}, self.settings, turn.emit, turn.stop))

    def cancel(self) -> None:
        """Stop the running question; its notes stay stored. Safe in threads and signal handlers."""
        self._turns.stop()

    def _open_state(self) -> "State | None":
        turns = self.store.history.turns(self.name)
        if not turns or turns[-1]["answer"] is not None:
            return None
        with self.store.connections.explained():
            state = self._agent.interrupted(self.name)
        return state if state and state["turn"] == turns[-1]["id"] else None

    def _record(self) -> None:
        if self._opened != self.name:
            self.store.history.open_session(self.name, [session_video.video.id for session_video in self.session_videos])
            for turn in self.store.history.turns(self.name)[-1:]:
                if turn["answer"] is None:
                    self.store.history.end_turn(turn["id"], unanswered_record(turn["question"]))
            self._opened = self.name

    def _answer(self, turn: Turn, number: int, question: str, mode: str, run: Callable[[Emit], Outcome], form: Form | None = None) -> None:
        """Run a question, and record its calls and its end; the answer comes once all else was read."""
        started = time.monotonic()
        self.spent = Usage()

        def emit(event: Event) -> None:
            if isinstance(event, ToolFinished):
                self.store.history.add_tool_call(self.name, number, event.result)
            turn.emit(event)

        try:
            outcome = run(emit)
            took = time.monotonic() - started - self.toolbox.scheduler.seconds_waited(started)
            turn.wait_for_reader()
        except Exception as error:
            self.spent = self._spent_until_now(number)
            if not exiting():
                self.store.history.end_turn(number, unanswered_record(question, None if isinstance(error, Cancelled) else str(error)))
            raise
        told = build_answer(outcome, self.toolbox, self.model, self.name, round(took * 1000), mode)
        told = replace(told, usage=replace(told.usage, fetched_bytes=self._newly_fetched()))
        if form and told.fields:
            told = replace(told, value=form.value(told.value))
        self.store.history.end_turn(number, told.to_dict())
        turn.emit(Answered(told))

    def _newly_fetched(self) -> int:
        """Return the bytes that were read of videos at addresses since this was last called."""
        before, self._fetched = self._fetched, fetched_bytes(one.video.path for one in self.session_videos)
        return self._fetched - before

    def _spent_until_now(self, number: int) -> Usage:
        """Return what the models have used for the question of this number; nothing if that is not known."""
        if "_agent" not in self.__dict__:
            return Usage()
        from analyzer_agent.graph import usage_of

        with suppress(Exception), self.store.connections.explained():  # the question's own error is told
            state = self._agent.interrupted(self.name)
            return usage_of(state) if state and state["turn"] == number else Usage()
        return Usage()

    @cached_property
    def _agent(self) -> "Agent":
        from analyzer_agent.graph import Agent, Limits, open_saver  # langgraph takes most of a second to import

        limits = Limits(self.settings.max_steps, self.settings.max_analyzer_ms, self.settings.max_tokens, self.settings.max_cost)
        with self.store.connections.explained():
            saver = self._closing.enter_context(open_saver(str(self.settings.store)))
        return Agent(self.toolbox, self.model, saver, limits, self.settings.verify)


def _answer_in(events: Iterable[Event]) -> Answer:
    (answered,) = (event for event in events if isinstance(event, Answered))
    return answered.answer
