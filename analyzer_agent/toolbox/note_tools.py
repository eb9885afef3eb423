"""The tools that any video has: reading and searching notes, the overview, and the survey.

Only the survey runs analyzers: all cheap ones over a whole video in one call. The others are free:
unanalyzed ranges yield nothing, and every empty result reports the coverage. The overview has the
same length for any range, so that a model can go through hours from coarse to fine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from analyzer_agent.events import Emit, Event, ToolFinished, ToolStarted
from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.evidence.rendering import (
    CHARS_PER_TOKEN,
    DEFAULT_TOKENS,
    as_line,
    as_text,
    examined_text,
    fenced_result,
    left_texts,
    shown_note,
    with_words,
)
from analyzer_agent.evidence.search import misread_words, search_ranked
from analyzer_agent.evidence.summary import Part, SummaryCache, store_chapters
from analyzer_agent.fencing import echoes_fenced
from analyzer_agent.records import ABSENCE, FEW_VIDEOS, ShownNote, ToolCall, ToolResult, Unexamined
from analyzer_agent.sanitize import truncated
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, total
from analyzer_agent.toolbox import analyzer_call
from analyzer_agent.toolbox.coverage import coverage_sentence, examined
from analyzer_agent.toolbox.library_tools import chosen_videos, searched_range
from analyzer_agent.toolbox.schemas import time_range
from analyzer_agent.toolbox.session_video import SessionVideo, Tool

SEARCH_LIMIT = 20


def read_notes(reader: NoteReader, session_video: SessionVideo, call: ToolCall, args: Mapping[str, Any]) -> ToolResult:
    """Return the notes on a range of one video.

    The detail "words" tells the times of the words in the range, too; "repeats" each of the notes with one text.

    Raises:
        ToolRefusal: the range is invalid or outside the scope.
    """
    span = time_range(args["range"], session_video.scope)
    runs = reader.merged_notes(session_video.video.id, span, kinds=args.get("kinds"))
    detail = args.get("detail")
    lines, shown = with_words(runs, span) if detail == "words" else as_text(runs, fold=detail != "repeats")
    head = f"Notes on {span}" if shown else f"There are no notes on {span}. {coverage_sentence(reader, [session_video], span)}"
    return ToolResult(
        call.id,
        fenced_result(head, lines),
        tuple(n for note in shown for n in note.ids),
        span,
        args=args,
        found=len(runs),
        shown=tuple(shown),
    )


def search_notes(reader: NoteReader, session_videos: Mapping[str, SessionVideo], call: ToolCall, args: Mapping[str, Any]) -> ToolResult:
    """Return the notes that match all words of a query, then most of them, in one video or in all.

    Raises:
        ToolRefusal: the range is invalid or outside the scopes.
    """
    chosen = chosen_videos(session_videos, args)
    span = searched_range(session_videos, args)
    videos = [o.video.id for o in chosen]
    matches = search_ranked(reader, args["query"], videos, span=span, kinds=args.get("kinds"), limit=SEARCH_LIMIT)
    scopes = {session_video.video.id: session_video.scope for session_video in chosen}
    whole = sum(run.span.overlaps(scopes[run.video]) for run in matches.whole)
    inside = [run for run in (*matches.whole, *matches.partial) if run.span.overlaps(scopes[run.video])]
    names = {session_video.video.id: session_video.name for session_video in chosen} if len(session_videos) > 1 else None
    lines, shown = as_text(inside, names=names, fold=False)
    query = echoes_fenced(repr(args["query"]), args["query"])
    head = f"Notes that match {query}, best first"
    if len(inside) > whole:
        head = f"{f'Of the notes on {query} the first {whole} have' if whole else f'No note on {query} has'} all words; others have some"
    if len(inside) >= SEARCH_LIMIT:
        head += f"; only {SEARCH_LIMIT} are shown: narrow the range, or add words"
    if not shown:
        head = f"No note matches {query}. {coverage_sentence(reader, chosen, span)}"
    scopes = {one: part for one, scope in scopes.items() if (part := span.within(scope))}
    alike = misread_words(reader, args["query"], scopes, args.get("kinds"), found=whole > 0) if len(scopes) <= FEW_VIDEOS else []
    lines = with_misread(lines, alike)
    return ToolResult(
        call.id,
        fenced_result(head, lines),
        tuple(n for note in shown for n in note.ids),
        span,
        args=args,
        found=len(inside),
        shown=tuple(shown),
    )


def with_misread(lines: str, words: Sequence[str]) -> str:
    """Return the lines of a search and one on words that were read in pictures and may be the ones searched for."""
    return "\n".join(filter(None, [lines, f"... read alike in pictures, search these too: {', '.join(words)}" if words else ""]))


_MIN_TEXT_CHARS = 40
_LINE_OVERHEAD_CHARS = 70
"""The most characters of a note's line that are not its text."""


def overview(
    reader: NoteReader, summaries: SummaryCache, session_video: SessionVideo, call: ToolCall, args: Mapping[str, Any]
) -> ToolResult:
    """Return the overview of a range of one video, by default of its whole scope.

    Raises:
        ToolRefusal: the range is invalid or outside the scope.
    """
    span = time_range(args["range"], session_video.scope) if "range" in args else session_video.scope
    parts = summaries.of(session_video.video.id, span)
    kept = store_chapters(reader.store, session_video.video.id, parts)
    lines, shown = parts_text(reader, session_video, parts, kept)
    if not shown:
        return ToolResult(
            call.id, f"There are no notes to tell of {span}. {coverage_sentence(reader, [session_video], span)}", (), span, args=args
        )
    head = f"{span} in parts. Call it with the range of a part to see that one in parts, or read its notes with read_notes"
    ids = [n for at, own in enumerate(kept, 1) for n in (own, *(note.id for note in shown if note.part == at)) if n is not None]
    return ToolResult(call.id, fenced_result(head, lines), tuple(dict.fromkeys(ids)), span, args=args, shown=tuple(shown))


def parts_text(
    reader: NoteReader, session_video: SessionVideo, parts: Sequence[Part], kept: Sequence[int | None] = (), tokens: int = DEFAULT_TOKENS
) -> tuple[str, list[ShownNote]]:
    """Render parts as text.

    Args:
        reader: reads coverage.
        session_video: the video.
        parts: the parts, in time order.
        kept: the ids of the notes that stand for the parts, where there are some.
        tokens: the approximate length limit.

    Returns:
        The text, and the notes that it shows, without those that stand for the parts.
    """
    room = tokens * CHARS_PER_TOKEN // max(1, len(parts))
    lines: list[str] = []
    shown: list[ShownNote] = []
    for number, (part, own) in enumerate(zip_longest(parts, kept), 1):
        runs = [part.shot, *part.runs] if part.shot else part.runs
        about = f", words: {', '.join(word[:_MIN_TEXT_CHARS] for word in part.words)}" if part.words else ""
        heading = f"part {number}, {part.span}{f' (#{own})' if own else ''}{about}; {_coverage_of_part(reader, session_video, part.span)}"[
            : room // 2
        ]
        text = max(_MIN_TEXT_CHARS, (room - len(heading)) // max(1, len(runs)) - _LINE_OVERHEAD_CHARS)
        told = [replace(run, text=truncated(run.text, text)) for run in runs]
        lines += [heading, *(as_line(run) for run in told)]
        shown += [replace(shown_note([run]), part=number, words=part.words) for run in told]
    return "\n".join(lines), shown


def _coverage_of_part(reader: NoteReader, session_video: SessionVideo, span: TimeRange) -> str:
    """Return a clause with the share of a part that each analyzer has covered, omitting zeros."""
    done = examined(reader.store, session_video, span, reader.only)
    shares = {analyzer: 100 * total(spans) // span.length for analyzer, spans in sorted(done.items())}
    whole = [analyzer for analyzer, share in shares.items() if share == 100]
    partly = [f"{analyzer} {max(1, share)}%" for analyzer, share in shares.items() if share < 100]
    return f"analyzed by {', '.join([*whole, *partly])}" if shares else "not analyzed"


MAX_ANALYZER_COST_MS = 10_000
"""Cost limit of one analyzer over the whole scope, in ms; for longer scopes also of their sum."""

SHORT_SCOPE_MS = 120_000
"""Up to this scope length, in ms, `ALWAYS_CHEAP` analyzers need no measurement."""

ALWAYS_CHEAP = ("subtitles", "scenes", "voice", "motion")


@dataclass(frozen=True)
class Survey:
    """The analyzers of a survey, and their total cost in ms; None if one is not measured yet."""

    tools: tuple[Tool, ...]
    cost_ms: int | None


def survey_of(store: Store, session_video: SessionVideo, tools: Iterable[Tool]) -> Survey | None:
    """Return the survey of a video, None unless at least two analyzers are cheap, also in sum.

    Of a short video it is those of them that are cheap together, the cheapest first.

    Args:
        store: the store with measured speeds.
        session_video: the video.
        tools: the analyzers to choose from.
    """
    length, costs = session_video.scope.length, dict[str, int | None]()
    chosen = []
    for tool in tools:
        if tool.unavailable_reason or tool.spec.required or session_video.missing_input(tool.spec):
            continue
        speed = analyzer_call.measured_speed(store, tool)
        cost = round(length * tool.spec.bind({}, tool.engine).effort(session_video.video) / speed) if speed else None
        if cost <= MAX_ANALYZER_COST_MS if cost is not None else length <= SHORT_SCOPE_MS and tool.spec.name in ALWAYS_CHEAP:
            chosen.append(tool)
            costs[tool.spec.name] = cost
    if length <= SHORT_SCOPE_MS:
        chosen = _affordable(chosen, costs)
        costs = {tool.spec.name: costs[tool.spec.name] for tool in chosen}
    known = [cost for cost in costs.values() if cost is not None]
    if len(chosen) < 2 or (length > SHORT_SCOPE_MS and sum(known) > MAX_ANALYZER_COST_MS):
        return None
    return Survey(tuple(chosen), sum(known) if len(known) == len(chosen) else None)


def _affordable(tools: Sequence[Tool], costs: Mapping[str, int | None]) -> list[Tool]:
    """Return the cheapest tools that together take at most `MAX_ANALYZER_COST_MS`, in the given order."""
    room, kept = MAX_ANALYZER_COST_MS, set()
    for name, cost in sorted(costs.items(), key=lambda item: item[1] or 0):
        if (cost or 0) <= room:
            room -= cost or 0
            kept.add(name)
    return [tool for tool in tools if tool.spec.name in kept]


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
    heads: dict[str, list[str]] = {}
    runs: list[MergedNote] = []
    absent: list[MergedNote] = []
    elsewhere: dict[tuple[str, TimeRange], Unexamined] = {}
    for tool, result in zip(survey.tools, results, strict=True):
        elsewhere |= {(left.detail, left.span): left for left in result.not_examined if left.reason == "other_track"}
        own = [left for left in result.not_examined if left.reason != "other_track"]
        if result.refused:
            heads.setdefault(f"was left out: {result.text.removeprefix('Refused: ')}", []).append(tool.spec.tool)
            continue
        found = analyzer_call.known_notes(reader.store, reader, tool, session_video)
        heads.setdefault(examined_text("", [session_video.scope], own, bool(found)).lstrip(), []).append(tool.spec.tool)
        runs += found
        absences = [note.id for note in result.shown if note.kind == ABSENCE]
        absent += [reader.merged_note_of(note) for note in reader.store.notes.get(absences).values()]
    lines, shown = _description(reader, summaries, session_video, runs)
    without, shown_absent = as_text(absent)
    lines, shown = "\n".join(filter(None, (lines, without))), [*shown, *shown_absent]
    others = left_texts([*elsewhere.values()])
    said = [
        *(f"{', '.join(names)} {told}" for told, names in heads.items()),
        *others,
        *(["Found"] if (others or len(heads) > 1) and lines else []),
    ]
    head = ".\n".join(line.rstrip(".") for line in said)
    return ToolResult(
        call.id,
        fenced_result(head, lines),
        tuple(n for note in shown for n in note.ids),
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
