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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent import tools as registry
from analyzer_agent.answers import compose, hollow
from analyzer_agent.briefing import brief
from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError, MediaError
from analyzer_agent.events import Answered, Event, ToolFinished, ToolStarted, Warned
from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.prompts import digest
from analyzer_agent.protocols import ChatModel, EngineConfig, EngineSpec, Spec, Vision
from analyzer_agent.records import Answer, ToolCall, ToolResult, answer_json
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, clock, seconds
from analyzer_agent.toolbox import Offer, Tool, Toolbox
from analyzer_agent.tools.pool import choose

if TYPE_CHECKING:
    from analyzer_agent.graph import Agent, State


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
        self._cancel = threading.Event()
        self._begun = False

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and the videos. What was found and answered stays."""
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
        self._begin()
        turn = self.store.history.begin_turn(self.name, question, self.model.manager, self.model.model, digest())
        yield from self._answering(self._agent.ask(self.name, question, options, turn), turn)

    @property
    def interrupted(self) -> str | None:
        """The question that was killed in the middle, if the last one was."""
        state = self._open_state()
        return state["question"] if state else None

    def resume(self) -> Iterator[Event]:
        """Go on with the interrupted question from its last finished step; yields like `stream`."""
        state = self._open_state()
        if state is None:
            raise AgentError(f"The session {self.name!r} has no interrupted question.", hint="Ask a new one.")
        yield from self._answering(self._agent.resume(self.name), state["turn"])

    def cancel(self) -> None:
        """Stop the running question; what was found is kept. May be called from another thread."""
        self._cancel.set()

    def _open_state(self) -> "State | None":
        turns = self.store.history.turns(self.name)
        if not turns or turns[-1]["answer"] is not None:
            return None
        state = self._agent.interrupted(self.name)
        return state if state and state["turn"] == turns[-1]["id"] else None

    def _begin(self) -> None:
        if not self._begun:
            self.store.history.open_session(self.name, [offer.video.id for offer in self.offers])
            self._begun = True

    def _answering(self, running: Generator[Event, None, "State"], turn: int) -> Iterator[Event]:
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
            self._cancel.set()
            if isinstance(stop, KeyboardInterrupt | GeneratorExit):
                self.store.history.end_turn(turn, hollow(state_question(self.store, self.name), "interrupted"))
            raise
        answer = compose(state, self.toolbox, self.model, self.name, round((time.monotonic() - started) * 1000))
        self.store.history.end_turn(turn, answer_json(answer))
        yield Answered(answer)

    @cached_property
    def _agent(self) -> "Agent":
        from analyzer_agent.graph import Agent, Limits, open_saver  # langgraph takes most of a second to import

        limits = Limits(self.settings.max_steps, self.settings.max_analyzer_ms, self.settings.max_tokens)
        saver = self._closing.enter_context(open_saver(str(self.settings.store)))
        return Agent(self.toolbox, self.model, lambda state: brief(self.toolbox, limits, state), saver, limits, cancel=self._cancel)

    # --- without a question ---------------------------------------------------------------------------------------

    def index(self, analyzers: Sequence[str] | None = None, *, every: float | None = None) -> Generator[Event, None, list[ToolResult]]:
        """Run analyzers over the whole scope of all videos without asking anything; yields events, returns the results.

        Raises:
            AgentError: an analyzer is unknown or cannot run here.
        """
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
        result = yield from self.toolbox.run(call, budget_ms=self.settings.max_analyzer_ms, cancel=self._cancel)
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


def state_question(store: Store, session: str) -> str:
    """Return the question of the session's last turn."""
    return str(store.history.turns(session)[-1]["question"])


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
    choice = choose(name, engines, engine_config(name, settings), settings.engine.get(name, ""))
    if choice.engine is None:
        return choice.reason()
    if choice.engine.resource:
        spec = replace(spec, resource=choice.engine.resource)
    return Tool(spec, choice.engine, choice.engine.tier, choice.pinned, settings.device)


def engine_config(name: str, settings: Settings) -> EngineConfig:
    """Return what these settings say about the engines of an analyzer.

    Raises:
        AgentError: the vision model's name or URL cannot be right.
    """
    weights, vocabulary = settings.weights.get(name), settings.vocabulary
    return EngineConfig(weights, settings.weights_dir, settings.device, settings.offline, choose_vision(settings), vocabulary)


def choose_vision(settings: Settings) -> Vision | None:
    """Return the vision model that was named, unless there is no way to it: no key and no endpoint, or `offline` forbids it."""
    if not settings.vision_model or (settings.offline and not _is_local(settings.base_url)):
        return None
    from analyzer_agent.llm import OPENAI_URL, is_openai
    from analyzer_agent.llm.vision import open_vision

    if not settings.api_key and is_openai(settings.base_url or OPENAI_URL):
        return None

    return open_vision(settings.vision_model, api=settings.api, base_url=settings.base_url, api_key=settings.api_key)


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
        names.append(plain if plain not in names else f"{plain}({names.count(plain) + 1})")
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
