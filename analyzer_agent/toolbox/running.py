"""One call of an analyzer: bind it, plan what is new, ask the user if it is long, run it, read back what was asked for.

Knows nothing of how calls come in, nor of look-ups.
"""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.events import Event, ToolStarted
from analyzer_agent.evidence.gather import Gatherer
from analyzer_agent.evidence.planning import Plan, work
from analyzer_agent.evidence.reading import Grid, Reader, Run
from analyzer_agent.evidence.recipe import Job, make_recipe
from analyzer_agent.evidence.rendering import as_text
from analyzer_agent.protocols import Spec, Video
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, clock, first_instant, grid_step, merge
from analyzer_agent.toolbox import searching
from analyzer_agent.toolbox.arguments import closest, time_ranges
from analyzer_agent.toolbox.consent import Consent
from analyzer_agent.toolbox.offers import Offer, Tool, lacking
from analyzer_agent.toolbox.telling import counted, fenced, looked_at

ASK_ABOVE_MS = 60_000
"""A step estimated to take longer than this is put to the user first, where somebody can be asked."""

_UNMEASURED_SPEED = 1.0
"""Media-seconds per second assumed of an analyzer that never ran here: careful, so that the user is rather asked."""

_NAMES_LISTED = 100


@dataclass(frozen=True)
class Request:
    """A checked call of an analyzer on one video.

    `several` tells whether the session has other videos, `shared` whether the frames come from a pass that feeds others too.
    """

    call: ToolCall
    tool: Tool
    offer: Offer
    args: Mapping[str, Any]
    several: bool = False
    force: bool = False
    consent: Consent | None = None
    budget_ms: int | None = None
    cancel: threading.Event | None = None
    shared: bool = False


def run(store: Store, reader: Reader, this: Request) -> Generator[Event, None, ToolResult]:
    """Carry out a request; yields events, returns the result.

    Raises:
        ToolRefusal: the arguments do not fit, the video has nothing for this analyzer, or the user declines.
        AgentError: the analyzer cannot run at all.
        Cancelled: `cancel` was set.
    """
    offer, spec = this.offer, this.tool.spec
    only_known = offer.absent or this.tool.unable
    ranges = ranges_of(this.args, offer)
    if why := lacking(spec, offer):
        raise ToolRefusal(f"{why}, so {spec.tool} has nothing to look at.")
    step = _step(spec, this.args)
    options = {n: v for n, v in this.args.items() if n in spec.options_schema}
    tool = this.tool.serving(options)
    job = bind(tool, offer.video, options)
    gatherer = Gatherer(store, offer.video, job)
    plan = gatherer.plan(ranges, step, force=this.force and not only_known)
    if only_known:
        plan.withhold(spec.name, offer.video.id, only_known)
    start = _start(store, this, tool, ranges, plan)
    yield start
    _ask(this, start)
    filters = {n: v for n, v in this.args.items() if n in spec.filters_schema}
    with tool.engine.held() if tool.engine else nullcontext():
        if plan.todo and tool.engine is not None and this.budget_ms != 0:
            tool.engine.get()
        if not only_known:
            _check_classes(store, filters, job)
        outcome = yield from gatherer.run(plan, this.call.id, budget_ms=this.budget_ms, cancel=this.cancel, shared=this.shared)
        grid = _grid(offer, step)
        if spec.searched and grid:
            runs = searching.found(store, reader, offer, ranges, job, filters, grid)
        else:
            runs = _read(reader, offer, ranges, outcome.keys, spec, filters, grid)
    left = [*outcome.unexamined, *(u for span in ranges for u in reader.unheard(offer.video.id, span, outcome.keys))]
    lines, shown = as_text(runs, fold=not spec.searched)
    more = searching.told(runs, filters, spec) if spec.searched else counted(runs, ranges)
    who = f"{this.call.name}{f' ({start.engine})' if start.engine else ''}{f' on {offer.name}' if this.several else ''}"
    return ToolResult(
        this.call.id,
        fenced(looked_at(who, ranges, left, bool(shown), more), lines),
        tuple(shown),
        TimeRange(ranges[0].start, ranges[-1].end),
        outcome.reused_ms,
        outcome.analyzed_ms,
        args=this.args,
        not_examined=tuple(left),
        found=len(runs),
    )


def ranges_of(args: Mapping[str, Any], offer: Offer) -> list[TimeRange]:
    """Return what a call asks for of a video; without ranges all of it.

    Raises:
        ToolRefusal: they are none.
    """
    return merge(time_ranges(args["ranges"], offer.scope)) if "ranges" in args else [offer.scope]


def run_all(store: Store, reader: Reader, requests: Sequence[Request]) -> Generator[Event, None, ToolResult]:
    """Carry out one call on several videos, one after the other; yields and raises like `run`, returns one result."""
    began, results = time.monotonic(), list[ToolResult]()
    for this in requests:
        spent = time.monotonic() - began - (this.consent.waited(began, this.call.id) if this.consent else 0)
        left = None if this.budget_ms is None else max(0, this.budget_ms - round(spent * 1000))
        results.append((yield from run(store, reader, replace(this, budget_ms=left))))
    if len(results) == 1:
        return results[0]
    return replace(
        results[0],
        text="\n".join(result.text for result in results),
        note_ids=tuple(n for result in results for n in result.note_ids),
        span=None,
        reused_ms=sum(result.reused_ms for result in results),
        analyzed_ms=sum(result.analyzed_ms for result in results),
        not_examined=tuple(u for result in results for u in result.not_examined),
        found=sum(result.found for result in results),
    )


def known(store: Store, reader: Reader, tool: Tool, offer: Offer) -> list[Run]:
    """Return what a call with default options over the whole scope of a video shows of what is stored; nothing is analyzed.

    Raises:
        ToolRefusal: no engine serves the default options.
    """
    serving = tool.serving({})
    keys = Gatherer(store, offer.video, bind(serving, offer.video, {})).keys
    return _read(reader, offer, [offer.scope], keys, tool.spec, {}, _grid(offer, tool.spec.step))


def bind(tool: Tool, video: Video, options: Mapping[str, Any]) -> Job:
    """Bind an analyzer for a video."""
    analyzer = tool.spec.bind(options, tool.engine)
    made = (tool.engine.tier, tool.engine.weights, tool.engine.uncertain) if tool.engine else (0, "", False)
    recipe = make_recipe(tool.spec, analyzer, video, tier=made[0], weights=made[1], uncertain=made[2])
    # Vectors of other weights cannot be compared, so they never serve in place of one's own.
    return Job(tool.spec, analyzer, recipe, tool.pinned or tool.spec.searched, tool.engine)


def speed(store: Store, tool: Tool) -> float | None:
    """Return the media-seconds per second of a tool's engine here, measured or told by an analyzer that is like it, or None."""
    engine, device = (tool.engine.name, tool.engine.device) if tool.engine else (tool.spec.bind({}).engine, "cpu")
    measured = store.history.speed(tool.spec.name, engine, device)
    if measured is not None or tool.spec.like is None:
        return measured
    other, share = tool.spec.like
    known = store.history.speed(other, engine, device)
    return known * share if known is not None else None


def _step(spec: Spec, args: Mapping[str, Any]) -> int:
    if not spec.step:
        return 0
    try:
        return grid_step(args["every"]) if "every" in args else spec.step
    except ValueError as error:
        raise ToolRefusal(f"'every': {error}.") from error


def _start(store: Store, this: Request, tool: Tool, ranges: Sequence[TimeRange], plan: Plan) -> ToolStarted:
    engine = tool.engine.name if tool.engine else ""
    measured = speed(store, tool)
    estimate = round(sum(work(tool.spec, grain) for grain in plan.todo) / measured) if measured else None
    return ToolStarted(this.call.id, this.call.name, this.args, ranges, engine, plan.reused_ms, plan.new_ms, estimate)


def _ask(this: Request, start: ToolStarted) -> None:
    if this.tool.spec.needs == "subtitles":  # reading text never takes long
        return
    takes = start.estimate_ms if start.estimate_ms is not None else start.new_ms / _UNMEASURED_SPEED
    if this.consent is not None and takes > ASK_ABOVE_MS and not this.consent(start):
        raise ToolRefusal(f"the user declined this step, which would take about {clock(round(takes))}. Narrow the range.")


def _check_classes(store: Store, filters: Mapping[str, Any], job: Job) -> None:
    if not filters.get("classes"):
        return
    facts = store.notes.facts(job.recipe.key)
    if not facts:
        facts = job.analyzer.facts()
        store.notes.add_key(job.recipe)
        store.notes.set_facts(job.recipe.key, facts)
    known = facts.get("classes")
    if not isinstance(known, list):
        return
    for name in filters["classes"]:
        if name not in known:
            more = f" and {len(known) - _NAMES_LISTED} more" if len(known) > _NAMES_LISTED else ""
            names = ", ".join(map(str, known[:_NAMES_LISTED])) + more
            raise ToolRefusal(f"{name!r} is not a class that these weights know{closest(name, known)} Valid ones: {names}.")


def _read(
    reader: Reader,
    offer: Offer,
    ranges: Sequence[TimeRange],
    keys: Sequence[str],
    spec: Spec,
    filters: Mapping[str, Any],
    grid: Grid | None,
) -> list[Run]:
    runs = [run for span in ranges for run in reader.runs(offer.video.id, span, keys=keys, kinds=spec.kinds, filters=filters, grid=grid)]
    return list({run.id: run for run in runs}.values())


def _grid(offer: Offer, step: int) -> Grid | None:
    picture = offer.video.picture
    return Grid(step, first_instant(picture), picture.end) if step and picture else None
