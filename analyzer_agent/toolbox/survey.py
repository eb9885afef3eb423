"""The survey: all cheap analyzers over a whole video in one call, rendered as one description."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from analyzer_agent.events import Emit, Event, ToolFinished, ToolStarted
from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.evidence.rendering import CHARS_PER_TOKEN, DEFAULT_TOKENS, as_text
from analyzer_agent.evidence.summary import SummaryCache
from analyzer_agent.records import ShownNote, ToolCall, ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.toolbox import analyzer_call
from analyzer_agent.toolbox.overview import parts_text
from analyzer_agent.toolbox.result_text import examined_text, fenced_result
from analyzer_agent.toolbox.session_video import SessionVideo, Tool, missing_input

MAX_ANALYZER_COST_MS = 10_000
"""Cost limit of one analyzer over the whole scope, in ms; for longer scopes also of their sum."""

SHORT_SCOPE_MS = 120_000
"""Up to this scope length, in ms, `_ALWAYS_CHEAP` analyzers need no measurement."""

_ALWAYS_CHEAP = ("subtitles", "scenes", "voice", "motion")


@dataclass(frozen=True)
class Survey:
    """The analyzers of a survey, and their total cost in ms; None if one is not measured yet."""

    tools: tuple[Tool, ...]
    cost_ms: int | None


def survey_of(store: Store, session_video: SessionVideo, tools: Iterable[Tool]) -> Survey | None:
    """Return the survey of a video, None unless at least two analyzers are cheap, also in sum.

    Args:
        store: the store with measured speeds.
        session_video: the video.
        tools: the analyzers to choose from.
    """
    length, costs = session_video.scope.length, dict[str, int | None]()
    chosen = []
    for tool in tools:
        if tool.unavailable_reason or missing_input(tool.spec, session_video):
            continue
        speed = analyzer_call.measured_speed(store, tool)
        cost = round(length / speed) if speed else None
        if cost <= MAX_ANALYZER_COST_MS if cost is not None else length <= SHORT_SCOPE_MS and tool.spec.name in _ALWAYS_CHEAP:
            chosen.append(tool)
            costs[tool.spec.name] = cost
    known = [cost for cost in costs.values() if cost is not None]
    if len(chosen) < 2 or (length > SHORT_SCOPE_MS and sum(known) > MAX_ANALYZER_COST_MS):
        return None
    return Survey(tuple(chosen), sum(known) if len(known) == len(chosen) else None)


def run_survey(
    reader: NoteReader,
    summaries: SummaryCache,
    session_video: SessionVideo,
    survey: Survey,
    call: ToolCall,
    run: Callable[[Emit], Sequence[ToolResult]],
    emit: Emit,
) -> ToolResult:
    """Run a survey; return one joined result, which names the refused analyzers.

    Args:
        reader: reads the notes.
        summaries: summarizes notes that are too long to show in full.
        session_video: the video.
        survey: the analyzers.
        call: the call of the model.
        run: runs the analyzers over the whole scope; returns their results in order.
        emit: receives the start of the survey and the progress of its analyzers.
    """

    def emit_progress(event: Event) -> None:
        """Pass on events, except the start and end of calls: to the outside, a survey is one call."""
        if not isinstance(event, ToolStarted | ToolFinished):
            emit(event)

    emit(ToolStarted(call.id, call.name, ranges=[session_video.scope], estimate_ms=survey.cost_ms))
    results = run(emit_progress)
    heads: list[str] = []
    runs: list[MergedNote] = []
    for tool, result in zip(survey.tools, results, strict=True):
        if result.refused:
            heads.append(f"{tool.spec.tool} was left out: {result.text.removeprefix('Refused: ')}")
            continue
        found = analyzer_call.known_notes(reader.store, reader, tool, session_video)
        heads.append(examined_text(tool.spec.tool, [session_video.scope], result.not_examined, bool(found)))
        runs += found
    lines, shown = _description(reader, summaries, session_video, runs)
    return ToolResult(
        call.id,
        fenced_result("\n".join(heads), lines),
        tuple(note.id for note in shown),
        session_video.scope,
        sum(result.reused_ms for result in results),
        sum(result.analyzed_ms for result in results),
        not_examined=tuple(left for result in results for left in result.not_examined),
        found=len(runs),
        shown=tuple(shown),
    )


def _description(
    reader: NoteReader, summaries: SummaryCache, session_video: SessionVideo, runs: Sequence[MergedNote]
) -> tuple[str, list[ShownNote]]:
    """Return the notes in time order, or as an overview in parts if they are too long."""
    in_time = sorted(runs, key=lambda run: (run.span.start, run.id))
    lines, shown = as_text(in_time, tokens=len(in_time) * DEFAULT_TOKENS)
    if len(lines) <= DEFAULT_TOKENS * CHARS_PER_TOKEN:
        return lines, shown
    return parts_text(reader, session_video, summaries.of(session_video.video.id, session_video.scope))
