"""Sessions: ask questions about videos, get answers with proof. The composition root: the only place that constructs things.

Knows how the parts fit together, and leaves what they do to them.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent import tools as registry
from analyzer_agent.answers import compose, hollow
from analyzer_agent.briefing import brief
from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError, Cancelled, MediaError
from analyzer_agent.events import Answered, Event, ToolFinished, ToolStarted, Warned
from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.prompts import digest
from analyzer_agent.protocols import ChatModel, EngineConfig, EngineSpec, Spec
from analyzer_agent.records import Answer, ToolCall, ToolResult, answer_json
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, clock, seconds
from analyzer_agent.toolbox import Offer, Tool, Toolbox
from analyzer_agent.tools.pool import choose

if TYPE_CHECKING:
    from analyzer_agent.graph import Agent, State


_MOST_OPTIONS = 26


class Session:
    """A conversation about one or more videos.

    Args:
        videos: files; at least one.
        name: resumes or begins the session of that name; by default a new one.
        settings: everything else; by default the user's store, and a language model if `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set
            (the only two variables that are read, and only when `settings` is not given), else the rules manager.
        model: a manager of your own instead.
        approve: asked before a step that is estimated at over a minute.
        overrides: fields of `Settings`.

    Raises:
        AgentError: a file, a setting, the store or an analyzer that was asked for cannot be used; the hint says what to do.
    """

    def __init__(
        self,
        *videos: str | Path,
        name: str | None = None,
        settings: Settings | None = None,
        model: ChatModel | None = None,
        approve: Callable[[ToolStarted], bool] | None = None,
        **overrides: Any,
    ) -> None:
        if not videos:
            raise AgentError("A session needs at least one video.", hint='Session("talk.mp4")')
        base = settings or Settings(api_key=os.environ.get("OPENAI_API_KEY"), base_url=os.environ.get("OPENAI_BASE_URL"))
        self.settings = replace(base, **overrides)
        self.name = name or f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._closing = ExitStack()
        files = [self._closing.enter_context(open_video(path)) for path in videos]
        self.offers = _offers(files, self.settings)
        specs = {name: spec for name, (spec, _) in registry.load_all().items()}
        ready, missing = ready_tools(self.settings)
        self.store = self._closing.enter_context(Store(Path(self.settings.store)))
        for offer in self.offers:
            self.store.notes.add_video(offer.video.id, offer.name, str(Path(offer.video.path).resolve()), offer.video.duration)
        self.toolbox = Toolbox(self.store, self.offers, ready, missing, specs=specs, approve=approve)
        self.toolbox.force = self.settings.refresh
        self.model = model or choose_model(self.settings)
        self._indexing = threading.Event()
        self._asking: Generator[Event, None, None] | None = None
        self._begun = False

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and the videos; a question that still runs is stopped. What was found and answered stays."""
        self._drop()
        self._closing.close()

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
        self._begin()
        turn = self.store.history.begin_turn(self.name, question, self.model.manager, self.model.model, digest())
        self._asking = self._answering(self._agent.ask(self.name, question, options, turn), turn, question)
        yield from self._asking

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
        self._asking = self._answering(self._agent.resume(self.name), state["turn"], state["question"])
        yield from self._asking

    def cancel(self) -> None:
        """Stop the running question; what was found is kept. May be called from another thread."""
        if "_agent" in self.__dict__:
            self._agent.stop()
        self._indexing.set()

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

    def _begin(self) -> None:
        if not self._begun:
            self.store.history.open_session(self.name, [offer.video.id for offer in self.offers])
            self._begun = True

    def _answering(self, running: Generator[Event, None, "State"], turn: int, question: str) -> Generator[Event, None, None]:
        started = time.monotonic()
        try:
            while True:
                event = next(running)
                if isinstance(event, ToolFinished):
                    self.store.history.add_tool_call(self.name, turn, event.result)
                yield event
        except StopIteration as end:
            state: State = end.value
        except (Exception, KeyboardInterrupt, GeneratorExit) as stop:
            running.close()
            stopped = isinstance(stop, KeyboardInterrupt | GeneratorExit | Cancelled)
            self.store.history.end_turn(turn, hollow(question, "interrupted" if stopped else "failed", str(stop)))
            raise
        answer = compose(state, self.toolbox, self.model, self.name, round((time.monotonic() - started) * 1000))
        self.store.history.end_turn(turn, answer_json(answer))
        yield Answered(answer)

    @cached_property
    def _agent(self) -> "Agent":
        from analyzer_agent.graph import Agent, Limits, open_saver  # langgraph takes most of a second to import

        limits = Limits(self.settings.max_steps, self.settings.max_analyzer_ms, self.settings.max_tokens)
        with self.store.connections.explained():
            saver = self._closing.enter_context(open_saver(str(self.settings.store)))
        return Agent(self.toolbox, self.model, lambda state: brief(self.toolbox, limits, state), saver, limits)

    # --- without a question ---------------------------------------------------------------------------------------

    def index(self, analyzers: Sequence[str] | None = None, *, every: float | None = None) -> Generator[Event, None, list[ToolResult]]:
        """Run analyzers over the whole scope of all videos without asking anything; yields events, returns the results.

        Raises:
            AgentError: an analyzer is unknown or cannot run here.
        """
        self._indexing.clear()
        wanted = [self._tool(name) for name in (self.toolbox.tools if analyzers is None else analyzers)]
        results: list[ToolResult] = []
        for tool in wanted:
            for offer in self.offers:
                yield from self._index(tool, offer, every, results)
        return results

    def _index(self, tool: Tool, offer: Offer, every: float | None, results: list[ToolResult]) -> Iterator[Event]:
        call_id = f"index-{tool.spec.name}-{offer.name}"
        if why := self.toolbox.lacking(tool.spec, offer):
            results.append(ToolResult(call_id, why, tool=tool.spec.tool, args={"video": offer.name}, refused=True))
            yield Warned(why)
            return
        arguments: dict[str, Any] = {"ranges": [[clock(offer.scope.start), clock(offer.scope.end)]]}
        if len(self.offers) > 1:
            arguments["video"] = offer.name
        if every is not None and tool.spec.step:
            arguments["every"] = every
        call = ToolCall(call_id, tool.spec.tool, json.dumps(arguments))
        result = yield from self.toolbox.run(call, budget_ms=self.settings.max_analyzer_ms, cancel=self._indexing)
        results.append(result)
        yield ToolFinished(result)
        if result.refused:
            yield Warned(result.text)

    def _tool(self, name: str) -> Tool:
        if name in self.toolbox.tools:
            return self.toolbox.tools[name]
        if name in self.toolbox.missing:
            raise AgentError(f"The analyzer {name!r} cannot run here.", hint=self.toolbox.missing[name])
        raise AgentError(f"Unknown analyzer {name!r}.", hint=f"Choose from: {', '.join(registry.names())}.")


def ready_tools(settings: Settings) -> tuple[dict[str, Tool], dict[str, str]]:
    """Return the analyzers that can run under these settings, and why the others cannot.

    Raises:
        AgentError: an analyzer or engine that was named is unknown, or cannot run here.
    """
    known = registry.load_all(settings.tools)
    for named in (*settings.engine, *settings.weights):
        if named not in registry.names():
            raise AgentError(f"Unknown analyzer {named!r}.", hint=f"Choose from: {', '.join(registry.names())}.")
    ready: dict[str, Tool] = {}
    missing: dict[str, str] = {}
    for name, (spec, engines) in known.items():
        found = _ready(name, spec, engines, settings)
        if isinstance(found, Tool):
            ready[name] = found
        else:
            missing[name] = found
    if settings.tools and missing:
        name, why = next(iter(missing.items()))
        raise AgentError(f"The analyzer {name!r} cannot run here.", hint=why)
    return ready, missing


def _ready(name: str, spec: Spec, engines: Sequence[EngineSpec], settings: Settings) -> Tool | str:
    if not engines:
        return Tool(spec, device=settings.device)
    config = EngineConfig(settings.weights.get(name), settings.weights_dir, settings.device, settings.offline)
    choice = choose(name, engines, config, settings.engine.get(name, ""))
    if choice.engine is None:
        return choice.reason()
    return Tool(spec, choice.engine, choice.engine.tier, choice.pinned, settings.device)


def choose_model(settings: Settings) -> ChatModel:
    """Return the manager: a language model where there is a key or an endpoint, else the rules manager.

    Raises:
        AgentError: a language model was asked for without a key or an endpoint.
    """
    reachable = bool(settings.api_key or settings.base_url)
    if settings.manager == "rules" or (settings.manager == "auto" and not reachable):
        from analyzer_agent.llm.rules import RulesManager

        return RulesManager()
    if not reachable:
        raise AgentError(
            "There is no key for the language model.",
            hint="Set OPENAI_API_KEY, or --base-url for a local server, or use --manager rules, which needs neither.",
        )
    if settings.offline and not _is_local(settings.base_url):
        raise AgentError("--offline forbids asking a language model over the network.", hint="Use --manager rules, or a local --base-url.")
    from analyzer_agent.llm import open_model

    return open_model(settings.model, api=settings.api, base_url=settings.base_url, api_key=settings.api_key)


def _is_local(url: str | None) -> bool:
    from urllib.parse import urlsplit

    return bool(url) and urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _offers(files: Sequence[MediaFile], settings: Settings) -> list[Offer]:
    names: list[str] = []
    for file in files:
        plain = "_".join(file.name.split())
        numbered = (f"{plain}({n})" for n in count(2))
        names.append(plain if plain not in names else next(name for name in numbered if name not in names))
    return [Offer(name, file, scope_of(file, settings)) for name, file in zip(names, files, strict=True)]


def scope_of(file: MediaFile, settings: Settings) -> TimeRange:
    """Return the part of a file that may be looked at.

    Raises:
        AgentError: `--from/--to` is backwards or lies outside of the file.
        MediaError: the file is cut off within that part.
    """
    start = settings.start_ms or 0
    end = settings.end_ms if settings.end_ms is not None else file.duration
    if end <= start:
        raise AgentError(f"The range {clock(start)}-{clock(end)} is empty or backwards.", hint="--to must come after --from.")
    if start >= file.duration or (settings.end_ms is not None and end > file.duration + 1000):
        raise AgentError(
            f"{clock(start)}-{clock(end)} reaches beyond the end of {file.name!r}, which is {clock(file.duration)} long.",
            hint=f"Choose --from and --to within 0:00-{clock(file.duration)}.",
        )
    scope = TimeRange(start, min(end, file.duration))
    if scope.end > file.readable.end:
        raise MediaError(
            f"{file.name!r} is cut off: it should be {clock(file.duration)} long, its data end at {clock(file.readable.end)}.",
            hint=f"Get the whole file, or use the part that is there: --to {seconds(file.readable.end)}",
        )
    return scope
