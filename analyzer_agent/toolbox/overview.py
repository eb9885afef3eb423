"""The overview: a range in a few parts, each with its distinctive words, notes and coverage.

Nothing is analyzed. The text has the same length for any range, so that a model can go through
hours from coarse to fine. `evidence.summary` finds the parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.rendering import CHARS_PER_TOKEN, DEFAULT_TOKENS, as_line, shown_note
from analyzer_agent.evidence.summary import Part, SummaryCache, store_chapters
from analyzer_agent.records import ShownNote, ToolCall, ToolResult
from analyzer_agent.sanitize import truncated
from analyzer_agent.timeline import TimeRange, total
from analyzer_agent.toolbox.arguments import time_range
from analyzer_agent.toolbox.coverage import coverage_sentence, covered
from analyzer_agent.toolbox.result_text import fenced_result
from analyzer_agent.toolbox.session_video import SessionVideo

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
    done = covered(reader.store, session_video, span, reader.only)
    shares = {analyzer: 100 * total(spans) // span.length for analyzer, spans in sorted(done.items())}
    whole = [analyzer for analyzer, share in shares.items() if share == 100]
    partly = [f"{analyzer} {max(1, share)}%" for analyzer, share in shares.items() if share < 100]
    return f"looked at by {', '.join([*whole, *partly])}" if shares else "not looked at"
