"""Sessions: ask questions about videos, get answers with proof. The composition root: the only place that constructs things.

Knows how the parts fit together, and leaves what they do to them.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from analyzer_agent import tools as registry
from analyzer_agent.answers import compose, hollow
from analyzer_agent.briefing import brief
from analyzer_agent.config import PathLike, SessionOverrides, Settings
from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Answered, Event, ToolFinished, ToolStarted, Warned
from analyzer_agent.media import media_in
from analyzer_agent.modes import Asked, Description, answer, describe
from analyzer_agent.prompts import digest
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import Answer, ToolCall, ToolResult, answer_json
from analyzer_agent.session.parts import (
    choose_mode,
    choose_model,
    choose_vision,
    engine_config,
    imported,
    offers_of,
    open_known,
    readable,
    ready_tools,
    scope_of,
    understood,
)
from analyzer_agent.storage import Store
from analyzer_agent.toolbox import Tool, Toolbox
from analyzer_agent.toolbox.finishing import Ended
from analyzer_agent.toolbox.turn import handed_over, run_calls
from analyzer_agent.tools.meaning import meant
from analyzer_agent.tools.pool import Pool

if TYPE_CHECKING:
    from analyzer_agent.graph import Agent, State
    from analyzer_agent.media import AbsentVideo, MediaFile

__all__ = ["Pool", "Session", "choose_model", "choose_vision", "engine_config", "open_known", "ready_tools", "scope_of", "understood"]


_MOST_OPTIONS = 26


def _usual_settings() -> Settings:
    return Settings(api_key=os.environ.get("OPENAI_API_KEY") or None, base_url=os.environ.get("OPENAI_BASE_URL") or None)


def _new_name() -> str:
    return f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


class Session:
    """A conversation about one or more videos.

    Args:
        videos: files, or folders with media files in them; at least one.
        name: resumes or begins the session of that name; by default a new one.
        settings: everything else; by default the user's store, and a language model if `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set
            (the only two variables that are read, and only when `settings` is not given), else the rules manager.
        model: the name of the language model, or a model of your own.
        pool: keeps loaded engines; give several sessions the same one, and weights load once for all of them. Whoever made it closes it.
        approve: asked before a step that is estimated at over a minute.
        overrides: fields of `Settings`.

    Raises:
        AgentError: a file, a setting, the store or an analyzer that was asked for cannot be used; the hint says what to do.
    """

    def __init__(
        self,
        *videos: PathLike,
        name: str | None = None,
        settings: Settings | None = None,
        model: ChatModel | str | None = None,
        pool: Pool | None = None,
        approve: Callable[[ToolStarted], bool] | None = None,
        **overrides: Unpack[SessionOverrides],
    ) -> None:
        if any(not isinstance(video, str | os.PathLike) for video in videos):
            raise AgentError("A video is given as a path.", hint="Several are given one by one: Session(*files)")
        if not videos:
            raise AgentError("A session needs at least one video.", hint='Session("talk.mp4")')
        self.settings = understood((settings or _usual_settings()).changed(**overrides))
        if isinstance(model, str):
            self.settings, model = self.settings.changed(model=model), None
        self.name = name or _new_name()
        with ExitStack() as closing:  # what was opened is closed again where the rest cannot be had
            files: list[MediaFile | AbsentVideo] = []
            for path in media_in([Path(video) for video in videos]).files:
                files.append(open_known(path, self.settings))
                closing.push(files[-1])
            offers = offers_of(files, self.settings)
            specs = {name: spec for name, (spec, _) in registry.load_all().items()}
            if pool is None:
                pool = Pool()
                closing.callback(pool.close)
            ready, missing = ready_tools(self.settings, pool)
            self.model = model or choose_model(self.settings)
            self.store = closing.enter_context(Store(self.settings.store))
            self.offers = [replace(offer, imported=imported(self.store, offer.video.id)) for offer in offers]
            for offer in self.offers:
                self.store.notes.add_video(
                    offer.video.id, getattr(offer.video, "name", offer.name), str(Path(offer.video.path).resolve()), offer.video.duration
                )
            ready, missing = readable(specs, ready, missing, self.offers)
            self.toolbox = Toolbox(self.store, self.offers, ready, missing, specs=specs, only=self.settings.tools, approve=approve)
            self.toolbox.force = self.settings.refresh
            self._closing = closing.pop_all()
        self._stop = threading.Event()
        self._asking: Generator[Event, None, None] | None = None
        self._opened = ""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and the videos; a question that still runs is stopped. What was found and answered stays."""
        self._drop()
        self._closing.close()

    def begin(self, name: str | None = None) -> None:
        """Turn to another conversation about the same videos: the one of that name, by default a new one."""
        self._drop()
        self.name = name or _new_name()

    def forget(self) -> None:
        """Throw away what the manager remembers of this conversation; questions and answers stay recorded."""
        if "_agent" in self.__dict__:
            with self.store.connections.explained():
                self._agent.forget(self.name)

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, question: str, options: Sequence[str] = ()) -> Answer:
        """Return the answer to a question; with `options`, the choice among them as well."""
        return next(event.answer for event in self.stream(question, options) if isinstance(event, Answered))

    def stream(self, question: str, options: Sequence[str] = ()) -> Iterator[Event]:
        """Yield what happens while a question is answered; the last event is `Answered`.

        A question of this session that was killed in the middle is closed; to go on with it call `resume`.
        """
        if not question.strip():
            raise AgentError("The question is empty.", hint='Ask something: "When does she first mention the price?"')
        if len(options) > _MOST_OPTIONS:
            raise AgentError(f"There are {len(options)} options.", hint=f"Give at most {_MOST_OPTIONS}: they are lettered from A to Z.")
        self._drop()
        self._record()
        turn = self.store.history.begin_turn(self.name, question, self.model.manager, self.model.model, digest())
        mode = choose_mode(self.settings)
        if mode is None:
            running = self._managed(self._agent.ask(self.name, question, options, turn))
        else:
            self._stop = threading.Event()
            limits = self.settings.max_analyzer_ms, self.settings.max_tokens
            running = answer(mode, Asked(question, options, self.toolbox, self.model, self._stop, *limits))
        self._asking = self._answering(running, turn, question, self.settings.mode)
        yield from self._asking

    def _managed(self, running: Generator[Event, None, "State"]) -> Generator[Event, None, Ended]:
        from analyzer_agent.graph import ended_of

        return ended_of((yield from running))

    @property
    def interrupted(self) -> str | None:
        """The question that was killed in the middle, if the last one was."""
        state = self._open_state()
        return state["question"] if state else None

    def resume(self) -> Iterator[Event]:
        """Go on with the interrupted question from its last finished step; yields like `stream`."""
        self._drop()
        state = self._open_state()
        if state is None:
            raise AgentError(f"The session {self.name!r} has no interrupted question.", hint="Ask a new one.")
        self._asking = self._answering(self._managed(self._agent.resume(self.name)), state["turn"], state["question"], "manager")
        yield from self._asking

    def cancel(self) -> None:
        """Stop the running question; what was found is kept. May be called from another thread."""
        if "_agent" in self.__dict__:
            self._agent.stop()
        self._stop.set()

    def _drop(self) -> None:
        """End a question whose events are not read any more, such as after Ctrl-C between two of them."""
        left, self._asking = self._asking, None
        if left is not None:
            left.close()

    def _open_state(self) -> "State | None":
        turns = self.store.history.turns(self.name)
        if not turns or turns[-1]["answer"] is not None:
            return None
        with self.store.connections.explained():
            state = self._agent.interrupted(self.name)
        return state if state and state["turn"] == turns[-1]["id"] else None

    def _record(self) -> None:
        if self._opened != self.name:
            self.store.history.open_session(self.name, [offer.video.id for offer in self.offers])
            for turn in self.store.history.turns(self.name)[-1:]:
                if turn["answer"] is None:
                    self.store.history.end_turn(turn["id"], hollow(turn["question"], "interrupted"))
            self._opened = self.name

    def _answering(self, running: Generator[Event, None, Ended], turn: int, question: str, mode: str) -> Generator[Event, None, None]:
        started = time.monotonic()
        try:
            while True:
                event = next(running)
                if isinstance(event, ToolFinished):
                    self.store.history.add_tool_call(self.name, turn, event.result)
                yield event
        except StopIteration as end:
            ended: Ended = end.value
        except (Exception, KeyboardInterrupt, GeneratorExit) as stop:
            running.close()
            stopped = isinstance(stop, KeyboardInterrupt | GeneratorExit | Cancelled)
            self.store.history.end_turn(turn, hollow(question, "interrupted" if stopped else "failed", str(stop)))
            raise
        took = time.monotonic() - started - self.toolbox.consent.waited(started)
        told = compose(ended, self.toolbox, self.model, self.name, round(took * 1000), mode)
        self.store.history.end_turn(turn, answer_json(told))
        yield Answered(told)

    @cached_property
    def _agent(self) -> "Agent":
        from analyzer_agent.graph import Agent, Limits, open_saver  # langgraph takes most of a second to import

        limits = Limits(self.settings.max_steps, self.settings.max_analyzer_ms, self.settings.max_tokens)
        with self.store.connections.explained():
            saver = self._closing.enter_context(open_saver(str(self.settings.store)))
        return Agent(self.toolbox, self.model, lambda state: brief(self.toolbox, limits, state), saver, limits, self.settings.verify)

    # --- without a question ---------------------------------------------------------------------------------------

    def index(self, analyzers: Sequence[str] | None = None, *, every: float | None = None) -> Generator[Event, None, list[ToolResult]]:
        """Run analyzers over the whole scope of all videos without asking anything; yields events, returns the results.

        By default those that can run here, but for those that must be told what to look for.

        Raises:
            AgentError: an analyzer is unknown or cannot run here.
        """
        self._stop.clear()
        unasked = [name for name, tool in self.toolbox.tools.items() if not tool.spec.required]
        wanted = [self._tool(name) for name in (unasked if analyzers is None else analyzers)]
        for spec in (tool.spec for tool in wanted):
            if needed := [name for name in spec.required if name in spec.options_schema]:
                raise AgentError(
                    f"The analyzer {spec.name!r} finds nothing without a {needed[0]} of its own.",
                    hint="Leave it out: a language model runs it while it answers a question.",
                )
        results, calls = list[ToolResult](), list[ToolCall]()
        for tool in wanted:
            for offer in self.offers:
                call_id = f"index-{tool.spec.name}-{offer.name}"
                if lacking := self.toolbox.lacking(tool.spec, offer):
                    why = f"{lacking}, so {tool.spec.name} has nothing to look at."
                    results.append(ToolResult(call_id, why, tool=tool.spec.tool, args={"video": offer.name}, refused=True))
                    yield Warned(why)
                else:
                    calls.append(self.toolbox.over_all(tool, offer, call_id, every))
        found = yield from handed_over(
            lambda write: run_calls(self.toolbox, calls, write, self.settings.max_analyzer_ms, self._stop), self._stop
        )
        yield from (Warned(result.text) for result in found if result.refused)
        return [*results, *found]

    def describe(self, analyzers: Sequence[str] | None = None, *, covered: bool = False) -> Description:
        """Describe all videos in time order, in `max_tokens` if that is set, from what `index` or questions have left; runs nothing.

        Args:
            analyzers: whose notes to tell; None means those of all that can run here.
            covered: tell all that is known, from whatever engine and with whatever options; else what `index` would leave.

        Raises:
            AgentError: an analyzer is unknown.
        """
        named = None if analyzers is None else [meant(name).analyzer for name in analyzers]
        return describe(self.toolbox, named, self.settings.max_tokens, covered=covered)

    def _tool(self, name: str) -> Tool:
        analyzer, engine = meant(name)
        tool = self.toolbox.tools.get(analyzer)
        if tool is None:
            why = self.toolbox.missing.get(analyzer) or f"This session is limited to {', '.join(self.toolbox.tools)}."
            raise AgentError(f"The analyzer {analyzer!r} cannot run here.", hint=why)
        if engine and tool.engine and tool.engine.name != engine:
            raise AgentError(f"{analyzer} runs with {tool.engine.name} in this session, not with {engine}.", hint="Set `engine` for it.")
        return tool
