"""The survey: everything that is cheap over all of a video in one call, told as one description.

Knows nothing of how calls come in, nor of what a single analyzer does.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from analyzer_agent.events import Event, ToolFinished, ToolStarted
from analyzer_agent.evidence.digest import Digests
from analyzer_agent.evidence.reading import Reader, Run
from analyzer_agent.evidence.rendering import CHARS_PER_TOKEN, DEFAULT_TOKENS, as_text
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.toolbox import running
from analyzer_agent.toolbox.offers import Offer, Tool, lacking
from analyzer_agent.toolbox.overview import parts_text
from analyzer_agent.toolbox.telling import fenced, looked_at

CHEAP_MS = 10_000
"""What an analyzer may cost over the whole scope, in ms, to be part of a survey; what all may cost where the scope is not short."""

SHORT_MS = 120_000
"""Up to this scope analyzers that are `_KNOWN_CHEAP` are part of it before they were measured here."""

_KNOWN_CHEAP = ("subtitles", "scenes", "voice", "motion")


@dataclass(frozen=True)
class Survey:
    """What a survey of a video runs, and what it costs at most in ms; None where that was not measured of each analyzer."""

    tools: tuple[Tool, ...]
    cost_ms: int | None


def survey_of(store: Store, offer: Offer, tools: Iterable[Tool]) -> Survey | None:
    """Return the survey of a video, or None where it makes no sense: fewer than two analyzers are cheap, or together they are not."""
    length, costs = offer.scope.length, dict[str, int | None]()
    chosen = []
    for tool in tools:
        if tool.unable or lacking(tool.spec, offer):
            continue
        speed = running.speed(store, tool)
        cost = round(length / speed) if speed else None
        if cost <= CHEAP_MS if cost is not None else length <= SHORT_MS and tool.spec.name in _KNOWN_CHEAP:
            chosen.append(tool)
            costs[tool.spec.name] = cost
    known = [cost for cost in costs.values() if cost is not None]
    if len(chosen) < 2 or (length > SHORT_MS and sum(known) > CHEAP_MS):
        return None
    return Survey(tuple(chosen), sum(known) if len(known) == len(chosen) else None)


def carry_out(
    reader: Reader, digests: Digests, offer: Offer, survey: Survey, call: ToolCall, looks: Generator[Event, None, list[ToolResult]]
) -> Generator[Event, None, ToolResult]:
    """Run a survey; yields its progress, returns the joined result. An analyzer that is refused is left out, and that is told.

    Args:
        reader: reads what was found.
        digests: sums up what is too long to tell.
        offer: the video.
        survey: what is run.
        call: the one call that all of it is.
        looks: runs the survey's analyzers over the whole scope; returns their results, in order.
    """
    yield ToolStarted(call.id, call.name, ranges=[offer.scope], estimate_ms=survey.cost_ms)
    results = yield from _as_one(looks)
    heads: list[str] = []
    runs: list[Run] = []
    for tool, result in zip(survey.tools, results, strict=True):
        if result.refused:
            heads.append(f"{tool.spec.tool} was left out: {result.refusal}")
            continue
        found = running.known(reader.store, reader, tool, offer)
        heads.append(looked_at(tool.spec.tool, [offer.scope], result.not_examined, bool(found)))
        runs += found
    lines, shown = _described(reader, digests, offer, runs)
    return ToolResult(
        call.id,
        fenced("\n".join(heads), lines),
        tuple(shown),
        offer.scope,
        sum(result.reused_ms for result in results),
        sum(result.analyzed_ms for result in results),
        not_examined=tuple(left for result in results for left in result.not_examined),
        found=len(runs),
    )


def _as_one(looks: Generator[Event, None, list[ToolResult]]) -> Generator[Event, None, list[ToolResult]]:
    """Pass on what happens, but not that calls begin and end: the survey is one call."""
    while True:
        try:
            event = next(looks)
        except StopIteration as end:
            results: list[ToolResult] = end.value
            return results
        if not isinstance(event, ToolStarted | ToolFinished):
            yield event


def _described(reader: Reader, digests: Digests, offer: Offer, runs: Sequence[Run]) -> tuple[str, list[int]]:
    """Return all that was found in time order, or in parts where that is too much."""
    in_time = sorted(runs, key=lambda run: (run.span.start, run.id))
    lines, shown = as_text(in_time, tokens=len(in_time) * DEFAULT_TOKENS)
    if len(lines) <= DEFAULT_TOKENS * CHARS_PER_TOKEN:
        return lines, shown
    return parts_text(reader, offer, digests.of(offer.video.id, offer.scope))
