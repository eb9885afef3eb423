"""Analyzers and note look-ups as the tools of a language model; runs one call at a time.

Knows nothing of models or graphs: a call comes in, events and a result come out.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from analyzer_agent.ahead import waited
from analyzer_agent.errors import ToolRefusal
from analyzer_agent.events import Event, ToolStarted
from analyzer_agent.evidence.digest import Digests
from analyzer_agent.evidence.reading import Reader, Run
from analyzer_agent.fencing import echoes_fenced
from analyzer_agent.protocols import Spec, Video
from analyzer_agent.records import REFUSED, ToolCall, ToolResult, Unexamined
from analyzer_agent.sharing import Shareable
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, clock
from analyzer_agent.toolbox import coverage, lookups, running, schemas
from analyzer_agent.toolbox.arguments import as_written, closest, decode
from analyzer_agent.toolbox.consent import Consent
from analyzer_agent.toolbox.offers import Offer, Tool, lacking
from analyzer_agent.toolbox.overview import overview
from analyzer_agent.toolbox.running import ASK_ABOVE_MS
from analyzer_agent.toolbox.survey import Survey, carry_out, survey_of
from analyzer_agent.toolbox.telling import fenced
from analyzer_agent.toolbox.together import Watch
from analyzer_agent.toolbox.turn import handed_over, run_calls

__all__ = ["ASK_ABOVE_MS", "Offer", "Run", "Tool", "Toolbox", "fenced"]


class Toolbox:
    """The tools of one session.

    Args:
        store: where notes are kept.
        offers: the videos, at least one.
        tools: analyzers that can run here, by name.
        missing: analyzers that cannot, by name, with the reason.
        specs: all analyzers by name, those that cannot run among them: for reading what earlier sessions found.
        only: the analyzers that the user limits the session to, notes of earlier sessions included; None means all.
        approve: asked before a step that is estimated at over a minute; False declines it.
    """

    def __init__(
        self,
        store: Store,
        offers: Sequence[Offer],
        tools: Mapping[str, Tool],
        missing: Mapping[str, str] | None = None,
        *,
        specs: Mapping[str, Spec] | None = None,
        only: Collection[str] | None = None,
        approve: Callable[[ToolStarted], bool] | None = None,
    ) -> None:
        self.store, self.tools, self.missing, self.consent = store, dict(tools), dict(missing or {}), Consent(approve)
        self.offers = {offer.name: offer for offer in offers}
        self.names = {offer.video.id: offer.name for offer in offers}
        self.titles = {offer.video.id: offer.title or offer.name for offer in offers}
        self.reader = Reader(store, specs or {name: tool.spec for name, tool in self.tools.items()}, only)
        self.digests = Digests(self.reader)
        self.force = False
        self._by_tool = {tool.spec.tool: tool for tool in self.tools.values() if self._useful(tool.spec)}
        self._locks = {tool.spec.resource: threading.Lock() for tool in self.tools.values()}

    def _useful(self, spec: Spec) -> bool:
        return any(not lacking(spec, offer) for offer in self.offers.values())

    # --- what is offered ------------------------------------------------------------------------------------------

    @property
    def offered(self) -> list[Tool]:
        """The analyzers that can run here and have something to look at in at least one of the videos."""
        return list(self._by_tool.values())

    @property
    def unasked(self) -> list[Tool]:
        """Those of them that find something without being told what to look for: what descriptions are made of."""
        return [tool for tool in self.offered if not tool.spec.required]

    @property
    def unavailable(self) -> dict[str, str]:
        """The tools that cannot run here, by the name that a model calls them, with the reason."""
        return {self.reader.specs[name].tool if name in self.reader.specs else name: why for name, why in self.missing.items()}

    def schemas(self, options: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return all tools for the model; `options` are those of a multiple-choice question."""
        videos = list(self.offers)
        analyzers = [schemas.analyzer_tool(tool.spec, videos) for tool in self.offered]
        return [*analyzers, *self._surveying(), *schemas.reading_tools(videos, self._kinds()), schemas.finish_tool(options)]

    def survey(self, offer: Offer) -> Survey | None:
        """Return what a survey of a video runs, or None where it makes no sense."""
        return survey_of(self.store, offer, self.offered)

    def _surveying(self) -> list[dict[str, Any]]:
        names = [name for name, offer in self.offers.items() if self.survey(offer)]
        return [schemas.survey_tool(names, len(self.offers))] if names else []

    def _kinds(self) -> set[str]:
        only = self.reader.only
        return {kind for name, spec in self.reader.specs.items() if only is None or name in only for kind in spec.kinds}

    def resource(self, call: ToolCall) -> str:
        """Return what a call uses, so that calls using different things may run side by side."""
        tool = self._by_tool.get(call.name)
        return tool.spec.resource if tool else "all" if call.name == schemas.SURVEY else "none"

    def watch(self, call: ToolCall) -> Watch | None:
        """Return what a call looks at if that is the picture of one video: such calls can be fed by one decoding pass."""
        tool = self._by_tool.get(call.name)
        if tool is None or tool.spec.needs != "picture" or tool.spec.resource == "network" or tool.unable:
            return None
        try:
            args = self._arguments(call, schemas.analyzer_tool(tool.spec, list(self.offers)), tool.spec.filters_schema)
            offer = self._offer(args)
            ranges = running.ranges_of(args, offer)
        except (ToolRefusal, KeyError):  # refused when it runs, or about all videos
            return None
        return Watch(tool.spec.name, offer.video, ranges, tool.engine) if isinstance(offer.video, Shareable) else None

    @contextmanager
    def using(self, resources: Collection[str]) -> Iterator[None]:
        """Keep these resources from all others while the block runs."""
        with ExitStack() as held:
            for resource in sorted(resources):
                if resource in self._locks:
                    held.enter_context(self._locks[resource])
            yield

    def titled(self, text: str) -> str:
        """Return text, for people: with the files' own names in place of those that a model knows them by."""
        others = {offer.name: offer.title for offer in self.offers.values() if offer.title not in ("", offer.name)}
        if not others:
            return text
        names = "|".join(re.escape(name) for name in sorted(others, key=len, reverse=True))
        return re.sub(rf"(?<!\w)(?:{names})(?!\w)", lambda found: others[found[0]], text)

    def lacking(self, spec: Spec, offer: Offer) -> str:
        """Return why an analyzer has nothing to look at in a video, as a clause, or nothing."""
        return lacking(spec, offer)

    def speed(self, tool: Tool) -> float | None:
        """Return the measured media-seconds per second of a tool's engine here, or None."""
        return running.speed(self.store, tool)

    def over_all(self, tool: Tool, offer: Offer, call_id: str, every: float | None = None) -> ToolCall:
        """Return the call that runs an analyzer over the whole scope of a video."""
        arguments: dict[str, Any] = {"ranges": [[clock(offer.scope.start), clock(offer.scope.end)]]}
        if len(self.offers) > 1:
            arguments["video"] = offer.name
        if every is not None and tool.spec.step:
            arguments["every"] = every
        return ToolCall(call_id, tool.spec.tool, json.dumps(arguments))

    def known(self, tool: Tool, offer: Offer) -> list[Run]:
        """Return what an analyzer, as it would run now with its default options, has found in the whole scope; runs nothing."""
        try:
            return running.known(self.store, self.reader, tool, offer)
        except ToolRefusal:  # no engine serves the default options
            return []

    def evidence(self, ids: Iterable[int]) -> dict[int, Run]:
        """Return what notes say, as they are shown and cited; left out are those outside of the scope of this session's videos."""
        scopes = {offer.video.id: offer.scope for offer in self.offers.values()}
        notes = self.store.notes.get(ids).values()
        runs = {note.id: self.reader.run_of(note) for note in notes if note.video in scopes}
        return {number: run for number, run in runs.items() if run.span.overlaps(scopes[run.video])}

    # --- running a call -------------------------------------------------------------------------------------------

    def run(
        self, call: ToolCall, *, budget_ms: int | None = None, cancel: threading.Event | None = None, seat: Video | None = None
    ) -> Generator[Event, None, ToolResult]:
        """Carry out one call; yields events, returns the result. What cannot be done is a result too: it tells the model why.

        With `seat`, a view of the call's video that is fed together with others, the time spent on waiting for frames is not counted;
        the time that the user took to consent never is.

        Raises:
            AgentError: a person has to act; the question ends.
            Cancelled: `cancel` was set.
        """
        started, idle = time.monotonic(), waited()
        try:
            result = yield from self._dispatch(call, budget_ms, cancel, seat)
        except ToolRefusal as refusal:
            args = as_written(call.arguments)
            why = echoes_fenced(str(refusal), (call.name, args))
            result = ToolResult(call.id, REFUSED + why, args=args, refused=True)
        busy = time.monotonic() - started - (waited() - idle if seat else 0) - self.consent.waited(started, call.id)
        return replace(result, tool=call.name, wall_ms=round(busy * 1000))

    def _dispatch(
        self, call: ToolCall, budget_ms: int | None, cancel: threading.Event | None, seat: Video | None
    ) -> Generator[Event, None, ToolResult]:
        if tool := self._by_tool.get(call.name):
            # A call that lacks a filter still looks, so that later ones need not: what `index` runs has none.
            args = self._arguments(call, schemas.analyzer_tool(tool.spec, list(self.offers)), tool.spec.filters_schema)
            able = [offer for offer in self.offers.values() if not lacking(tool.spec, offer)]
            offers = able if len(self.offers) > 1 and "video" not in args else [self._offer(args)]
            offers = [replace(offer, video=seat) for offer in offers] if seat else offers
            return (yield from self._look(call, tool, offers, args, budget_ms, cancel, shared=seat is not None))
        free = [*self._surveying(), *schemas.reading_tools(list(self.offers), self._kinds())]
        readers = {tool["function"]["name"]: tool for tool in free}
        if call.name not in readers:
            raise ToolRefusal(self._no_such(call.name))
        args = self._arguments(call, readers[call.name])
        if call.name == schemas.SURVEY and (survey := self.survey(offer := self._offer(args))):
            return (yield from self._carry_out(survey, offer, call, budget_ms, cancel))
        yield ToolStarted(call.id, call.name, args)
        if call.name == schemas.SEARCH:
            return lookups.search(self.reader, self.offers, call, args)
        if call.name == schemas.OVERVIEW:
            return overview(self.reader, self.digests, self._offer(args), call, args)
        return lookups.read(self.reader, self._offer(args), call, args)

    def _look(
        self,
        call: ToolCall,
        tool: Tool,
        offers: Sequence[Offer],
        args: Mapping[str, Any],
        budget_ms: int | None,
        cancel: threading.Event | None,
        shared: bool = False,
    ) -> Generator[Event, None, ToolResult]:
        several = len(self.offers) > 1
        requests = [running.Request(call, tool, one, args, several, self.force, self.consent, budget_ms, cancel, shared) for one in offers]
        return (yield from running.run_all(self.store, self.reader, requests))

    def _carry_out(
        self, survey: Survey, offer: Offer, call: ToolCall, budget_ms: int | None, cancel: threading.Event | None
    ) -> Generator[Event, None, ToolResult]:
        calls = [self.over_all(tool, offer, call.id) for tool in survey.tools]
        stop = cancel or threading.Event()
        looks = handed_over(lambda write: run_calls(self, calls, write, budget_ms, stop), stop)
        result = yield from carry_out(self.reader, self.digests, offer, survey, call, looks)
        return replace(result, args=as_written(call.arguments))

    def _arguments(self, call: ToolCall, tool: Mapping[str, Any], optional: Collection[str] = ()) -> dict[str, Any]:
        schema = tool["function"]["parameters"]
        return decode(call.arguments, schema["properties"], [name for name in schema["required"] if name not in optional])

    def _offer(self, args: Mapping[str, Any]) -> Offer:
        if len(self.offers) == 1:
            return next(iter(self.offers.values()))
        return self.offers[args["video"]]

    def _no_such(self, name: str) -> str:
        """Return why there is no such tool to call."""
        if name in self.unavailable:
            return f"{name} cannot run here: {self.unavailable[name]}"
        for tool in self.tools.values():
            if tool.spec.tool == name:
                whys = "; ".join(lacking(tool.spec, offer) for offer in self.offers.values())
                return f"{whys}, so {name} has nothing to look at."
        valid = [tool["function"]["name"] for tool in self.schemas()]
        why = "".join(f" {tool} cannot run here: {reason}" for tool, reason in self.unavailable.items())
        return f"{name!r} is not a tool{closest(name, valid)} Valid ones: {', '.join(valid)}.{why}"

    # --- what is covered ------------------------------------------------------------------------------------------

    def covered(self, offer: Offer) -> dict[str, list[TimeRange]]:
        """Return which parts of a video each analyzer has looked at, within its scope."""
        return coverage.covered(self.store, offer, only=self.reader.only)

    def unexamined(self) -> list[Unexamined]:
        """Return what nobody has looked at: each analyzer's gaps, the analyzers that cannot run here, and voice without words.

        Those that answer to what they are asked alone are left out: they have never looked at everything.
        """
        asked = {name for name, spec in self.reader.specs.items() if spec.required}
        tools = {name: tool for name, tool in self.tools.items() if name not in asked}
        missing = {name: why for name, why in self.missing.items() if name not in asked}
        return coverage.unexamined(self.store, self.offers.values(), tools, missing) + self.unheard()

    def unheard(self) -> list[Unexamined]:
        """Return where there is voice whose words were not understood."""
        return [u for offer in self.offers.values() for u in self.reader.unheard(offer.video.id, offer.scope)]
