"""The free look-ups: reading and searching stored notes.

No analyzer runs: unanalyzed ranges yield nothing, and every empty result reports the coverage.
"""

from collections.abc import Mapping
from typing import Any

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.rendering import as_text
from analyzer_agent.fencing import echoes_fenced
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox.arguments import time_range
from analyzer_agent.toolbox.coverage import coverage_sentence
from analyzer_agent.toolbox.result_text import fenced_result
from analyzer_agent.toolbox.session_video import SessionVideo

SEARCH_LIMIT = 20


def read_notes(reader: NoteReader, session_video: SessionVideo, call: ToolCall, args: Mapping[str, Any]) -> ToolResult:
    """Return the notes on a range of one video.

    Raises:
        ToolRefusal: the range is invalid or outside the scope.
    """
    span = time_range(args["range"], session_video.scope)
    runs = reader.merged_notes(session_video.video.id, span, kinds=args.get("kinds"))
    lines, shown = as_text(runs)
    head = f"Notes on {span}" if shown else f"There are no notes on {span}. {coverage_sentence(reader, [session_video], span)}"
    return ToolResult(
        call.id, fenced_result(head, lines), tuple(note.id for note in shown), span, args=args, found=len(runs), shown=tuple(shown)
    )


def search_notes(reader: NoteReader, session_videos: Mapping[str, SessionVideo], call: ToolCall, args: Mapping[str, Any]) -> ToolResult:
    """Return the notes that match any word of a query, in one video or in all.

    Raises:
        ToolRefusal: the range is invalid or outside the scopes.
    """
    chosen = _chosen(session_videos, args)
    span = searched_range(session_videos, args)
    runs = reader.search(args["query"], [o.video.id for o in chosen], span=span, kinds=args.get("kinds"), limit=SEARCH_LIMIT)
    scopes = {session_video.video.id: session_video.scope for session_video in chosen}
    inside = [run for run in runs if run.span.overlaps(scopes[run.video])]
    names = {session_video.video.id: session_video.name for session_video in chosen} if len(session_videos) > 1 else None
    lines, shown = as_text(inside, names=names, fold=False)
    query = echoes_fenced(repr(args["query"]), args["query"])
    head = f"Notes that match {query}, best first"
    if not shown:
        head = f"No note matches {query}. {coverage_sentence(reader, chosen, span)}"
    return ToolResult(
        call.id, fenced_result(head, lines), tuple(note.id for note in shown), span, args=args, found=len(inside), shown=tuple(shown)
    )


def searched_range(session_videos: Mapping[str, SessionVideo], args: Mapping[str, Any]) -> TimeRange:
    """Return the range of a look-up within the scopes of its videos, by default all of it.

    Raises:
        ToolRefusal: the range is invalid or outside the scopes.
    """
    chosen = _chosen(session_videos, args)
    whole = TimeRange(min(o.scope.start for o in chosen), max(o.scope.end for o in chosen))
    return time_range(args["range"], whole) if "range" in args else whole


def _chosen(session_videos: Mapping[str, SessionVideo], args: Mapping[str, Any]) -> list[SessionVideo]:
    return [session_videos[args["video"]]] if "video" in args else list(session_videos.values())
