"""Analyzers and note look-ups as the tools of a language model; runs one call at a time.

Knows nothing of models or graphs: a call comes in, events and a result come out.
"""

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.events import Event, ToolStarted
from analyzer_agent.evidence.gather import Gatherer, Outcome, Plan
from analyzer_agent.evidence.reading import Grid, Reader, Run
from analyzer_agent.evidence.recipe import Job, make_recipe
from analyzer_agent.evidence.rendering import as_text, spans_text
from analyzer_agent.protocols import Engine, Spec, Video
from analyzer_agent.records import JSON, ToolCall, ToolResult, Unexamined
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, clock, first_instant, grid_step, merge
from analyzer_agent.toolbox import schemas
from analyzer_agent.toolbox.arguments import closest, decode, time_range, time_ranges

ASK_ABOVE_MS = 60_000
"""A step estimated to take longer than this is put to the user first, where somebody can be asked."""

_UNMEASURED_SPEED = 1.0
"""Media-seconds per second assumed of an analyzer that never ran here: careful, so that the user is rather asked."""

_SEARCH_LIMIT = 20


@dataclass(frozen=True)
class Tool:
    """An analyzer that is ready to be bound: its spec and the engine chosen for it."""

    spec: Spec
    engine: Engine | None = None
    tier: int = 0
    pinned: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Offer:
    """A video as the tools see it: its name in this session and the part that may be looked at."""

    name: str
    video: Video
    scope: TimeRange


class Toolbox:
    """The tools of one session.

    Args:
        store: where notes are kept.
        offers: the videos, at least one.
        tools: analyzers that can run here, by name.
        missing: analyzers that cannot, by name, with the reason.
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
        approve: Callable[[ToolStarted], bool] | None = None,
    ) -> None:
        self.store, self.tools, self.missing, self.approve = store, dict(tools), dict(missing or {}), approve
        self.offers = {offer.name: offer for offer in offers}
        self.names = {offer.video.id: offer.name for offer in offers}
        self.reader = Reader(store, specs or {name: tool.spec for name, tool in self.tools.items()})
        self.force = False
        self._by_tool = {tool.spec.tool: tool for tool in self.tools.values() if self._useful(tool)}
        self._locks = {resource: threading.Lock() for resource in ("cpu", "gpu", "network")}

    def _useful(self, tool: Tool) -> bool:
        return any(not self.lacking(tool.spec, offer) for offer in self.offers.values())

    # --- what is offered ------------------------------------------------------------------------------------------

    def schemas(self, options: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return all tools for the model; `options` are those of a multiple-choice question."""
        videos = list(self.offers)
        kinds = {kind for spec in self.reader.specs.values() for kind in spec.kinds}
        analyzers = [schemas.analyzer_tool(tool.spec, videos) for tool in self._by_tool.values()]
        return [*analyzers, *schemas.reading_tools(videos, kinds), schemas.finish_tool(options)]

    def resource(self, call: ToolCall) -> str:
        """Return what a call uses, so that calls using different things may run side by side."""
        tool = self._by_tool.get(call.name)
        return tool.spec.resource if tool else "none"

    # --- running a call -------------------------------------------------------------------------------------------

    def run(
        self, call: ToolCall, *, budget_ms: int | None = None, cancel: threading.Event | None = None
    ) -> Generator[Event, None, ToolResult]:
        """Carry out one call; yields events, returns the result. What cannot be done is a result too: it tells the model why.

        Raises:
            AgentError: a person has to act; the question ends.
            Cancelled: `cancel` was set.
        """
        started = time.monotonic()
        try:
            result = yield from self._dispatch(call, budget_ms, cancel)
        except ToolRefusal as refusal:
            result = ToolResult(call.id, f"Refused: {refusal}", refused=True)
        return replace(result, tool=call.name, wall_ms=round((time.monotonic() - started) * 1000))

    def _dispatch(self, call: ToolCall, budget_ms: int | None, cancel: threading.Event | None) -> Generator[Event, None, ToolResult]:
        if tool := self._by_tool.get(call.name):
            schema = schemas.analyzer_tool(tool.spec, list(self.offers))["function"]["parameters"]
            args = decode(call.arguments, schema["properties"], schema["required"])
            with self._locks[tool.spec.resource]:
                return (yield from self._analyze(call, tool, args, budget_ms, cancel))
        readers = {schemas.READ: self._read, schemas.SEARCH: self._search}
        if call.name in readers:
            kinds = {kind for spec in self.reader.specs.values() for kind in spec.kinds}
            tools = {t["function"]["name"]: t["function"]["parameters"] for t in schemas.reading_tools(list(self.offers), kinds)}
            args = decode(call.arguments, tools[call.name]["properties"], tools[call.name]["required"])
            yield ToolStarted(call.id, call.name, args)
            return readers[call.name](call, args)
        valid = [*self._by_tool, schemas.READ, schemas.SEARCH, schemas.FINISH]
        why = "".join(f" {name} cannot run here: {reason}" for name, reason in self.missing.items())
        raise ToolRefusal(f"{call.name!r} is not a tool{closest(call.name, valid)}. Valid ones: {', '.join(valid)}.{why}")

    def _offer(self, args: Mapping[str, Any]) -> Offer:
        if len(self.offers) == 1:
            return next(iter(self.offers.values()))
        return self.offers[args["video"]]

    def _analyze(
        self, call: ToolCall, tool: Tool, args: dict[str, Any], budget_ms: int | None, cancel: threading.Event | None
    ) -> Generator[Event, None, ToolResult]:
        offer, spec = self._offer(args), tool.spec
        ranges = merge(time_ranges(args["ranges"], offer.scope))
        self._require(spec, offer)
        job = self.job(tool, offer.video, {n: v for n, v in args.items() if n in spec.options_schema})
        step = _step(spec, args)
        gatherer = Gatherer(self.store, offer.video, job)
        plan = gatherer.plan(ranges, step, force=self.force)
        start = self._start(call, tool, args, ranges, plan)
        yield start
        self._ask(start)
        if plan.todo and tool.engine is not None:
            tool.engine.get()
        filters = {n: v for n, v in args.items() if n in spec.filters_schema}
        self._check_classes(filters, job)
        outcome = yield from gatherer.run(plan, call.id, budget_ms=budget_ms, cancel=cancel)
        grid = Grid(step, first_instant(offer.video.picture), offer.video.picture.end) if step and offer.video.picture else None
        runs = [
            run
            for span in ranges
            for run in self.reader.runs(offer.video.id, span, keys=outcome.keys, kinds=spec.kinds, filters=filters, grid=grid)
        ]
        unique = list({run.id: run for run in runs}.values())
        return self._result(call, args, offer, ranges, unique, outcome, start)

    def job(self, tool: Tool, video: Video, options: Mapping[str, Any]) -> Job:
        """Bind an analyzer for a video."""
        analyzer = tool.spec.bind(options, tool.engine)
        weights = tool.engine.weights if tool.engine else ""
        uncertain = tool.engine.uncertain if tool.engine else False
        recipe = make_recipe(tool.spec, analyzer, video, tier=tool.tier, weights=weights, uncertain=uncertain)
        return Job(tool.spec, analyzer, recipe, tool.pinned, tool.device)

    def lacking(self, spec: Spec, offer: Offer) -> str:
        """Return why an analyzer has nothing to look at in a video, or nothing."""
        have = {"picture": offer.video.picture, "audio": offer.video.audio_tracks, "subtitles": offer.video.subtitle_tracks, "": True}
        noun = {"picture": "picture", "audio": "audio track", "subtitles": "subtitle track"}.get(spec.needs, "")
        return "" if have[spec.needs] else f"{offer.name} has no {noun}, so {spec.tool} has nothing to look at."

    def _require(self, spec: Spec, offer: Offer) -> None:
        if why := self.lacking(spec, offer):
            raise ToolRefusal(why)

    def _check_classes(self, filters: Mapping[str, Any], job: Job) -> None:
        if not filters.get("classes"):
            return
        facts = self.store.notes.facts(job.recipe.key)
        if not facts:
            facts = job.analyzer.facts()
            self.store.notes.add_key(job.recipe)
            self.store.notes.set_facts(job.recipe.key, facts)
        known = facts.get("classes")
        if isinstance(known, list):
            for name in filters["classes"]:
                if name not in known:
                    names = ", ".join(map(str, known))
                    raise ToolRefusal(f"{name!r} is not a class that these weights know{closest(name, known)}. Valid ones: {names}.")

    def _start(self, call: ToolCall, tool: Tool, args: Mapping[str, JSON], ranges: list[TimeRange], plan: Plan) -> ToolStarted:
        engine = tool.engine.name if tool.engine else ""
        speed = self.speed(tool)
        estimate = round(plan.new_ms / speed) if speed else None
        return ToolStarted(call.id, call.name, args, ranges, engine, plan.reused_ms, plan.new_ms, estimate)

    def speed(self, tool: Tool) -> float | None:
        """Return the measured media-seconds per second of a tool's engine here, or None."""
        engine = tool.engine.name if tool.engine else tool.spec.bind({}).engine
        return self.store.history.speed(tool.spec.name, engine, tool.device)

    def _ask(self, start: ToolStarted) -> None:
        takes = start.estimate_ms if start.estimate_ms is not None else start.new_ms / _UNMEASURED_SPEED
        if self.approve is not None and takes > ASK_ABOVE_MS and not self.approve(start):
            raise ToolRefusal(f"the user declined this step, which would take about {clock(round(takes))}. Narrow the range.")

    # --- results --------------------------------------------------------------------------------------------------

    def _result(
        self,
        call: ToolCall,
        args: Mapping[str, JSON],
        offer: Offer,
        ranges: list[TimeRange],
        runs: list[Run],
        outcome: Outcome,
        start: ToolStarted,
    ) -> ToolResult:
        lines, shown = as_text(runs)
        failed = [u for u in outcome.unexamined if u.reason == "failed"]
        left = [u for u in outcome.unexamined if u.reason != "failed"]
        told = [f"{call.name} looked at {spans_text(ranges)}" + (f" of {offer.name}" if len(self.offers) > 1 else "")]
        if start.engine:
            told[0] += f" with {start.engine}"
        if failed:
            told.append(f"It failed on {spans_text([u.span for u in failed])}: {failed[-1].detail}")
        if left:
            why = "the budget is spent" if left[0].reason == "budget" else "it failed too often"
            told.append(f"Not examined, because {why}: {spans_text([u.span for u in left])}.")
        if not shown:
            told.append("Nothing was found there." if not outcome.unexamined else "Nothing was found in the rest.")
        span = TimeRange(ranges[0].start, ranges[-1].end)
        return ToolResult(
            call.id,
            fenced(". ".join(told[:1]) + ("\n" + "\n".join(told[1:]) if told[1:] else ""), lines),
            tuple(shown),
            span,
            outcome.reused_ms,
            outcome.analyzed_ms,
            args=args,
            not_examined=tuple(outcome.unexamined),
        )

    def _read(self, call: ToolCall, args: dict[str, Any]) -> ToolResult:
        offer = self._offer(args)
        span = time_range(args["range"], offer.scope)
        runs = self.reader.runs(offer.video.id, span, kinds=args.get("kinds"))
        lines, shown = as_text(runs)
        head = f"Notes on {span}" + ("" if shown else ": none. That says nothing about what has not been looked at.")
        return ToolResult(call.id, fenced(head, lines), tuple(shown), span, args=args)

    def _search(self, call: ToolCall, args: dict[str, Any]) -> ToolResult:
        offers = [self.offers[args["video"]]] if "video" in args else list(self.offers.values())
        span = time_range(args["range"], offers[0].scope) if "range" in args else None
        if span is None and len(offers) == 1:
            span = offers[0].scope
        runs = self.reader.search(args["query"], [o.video.id for o in offers], span=span, kinds=args.get("kinds"), limit=_SEARCH_LIMIT)
        inside = [run for run in runs if run.span.overlaps(self.offers[self.names[run.video]].scope)]
        lines, shown = as_text(inside, names=self.names if len(self.offers) > 1 else None, fold=False)
        head = f"Notes that match {args['query']!r}, best first" if shown else f"No note matches {args['query']!r}."
        return ToolResult(call.id, fenced(head, lines), tuple(shown), span, args=args)

    # --- what is covered ------------------------------------------------------------------------------------------

    def covered(self, offer: Offer) -> dict[str, list[TimeRange]]:
        """Return which parts of a video each analyzer has looked at, within its scope."""
        done: dict[str, list[TimeRange]] = {}
        for recipe in self.store.notes.recipes(video=offer.video.id):
            spans = [c.span.within(offer.scope) for c in self.store.ledger.covered(offer.video.id, [recipe.key], offer.scope)]
            done.setdefault(recipe.analyzer, []).extend(span for span in spans if span)
        return {analyzer: merge(spans) for analyzer, spans in done.items() if spans}

    def unexamined(self) -> list[Unexamined]:
        """Return what nobody has looked at: each analyzer's gaps, and the analyzers that cannot run here."""
        found: list[Unexamined] = []
        for offer in self.offers.values():
            done = self.covered(offer)
            for name, tool in self.tools.items():
                if not self.lacking(tool.spec, offer):
                    found += [Unexamined(name, gap, "unseen", "", offer.video.id) for gap in offer.scope.minus(done.get(name, []))]
            for name, why in self.missing.items():
                found += [Unexamined(name, gap, "unavailable", why, offer.video.id) for gap in offer.scope.minus(done.get(name, []))]
        return found


def fenced(head: str, lines: str) -> str:
    """Return a result with what comes from the video fenced, so that it reads as data."""
    if not lines:
        return head if head.endswith(".") else f"{head}."
    return f"{head}:\n<notes>\n{lines.replace('</notes', '< /notes')}\n</notes>"


def _step(spec: Spec, args: Mapping[str, Any]) -> int:
    if not spec.step:
        return 0
    try:
        return grid_step(args["every"]) if "every" in args else spec.step
    except ValueError as error:
        raise ToolRefusal(f"'every': {error}.") from error


__all__ = ["ASK_ABOVE_MS", "Offer", "Tool", "Toolbox", "fenced"]
