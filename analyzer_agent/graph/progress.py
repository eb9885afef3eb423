"""What the model is told of a round of calls: the results, and what is newly covered."""

from collections.abc import Mapping, Sequence

from analyzer_agent.evidence.rendering import spans_text
from analyzer_agent.prompts import render
from analyzer_agent.records import ToolResult
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Toolbox

_REPEATED_CALL_LIMIT = 3
"""From this repetition on, a call with an unchanged result is answered with a note on that."""

Coverage = Mapping[tuple[str, str], list[TimeRange]]
"""The covered ranges by names of video and analyzer."""


def coverage(toolbox: Toolbox) -> Coverage:
    """Return what is covered now."""
    return {(name, analyzer): spans for name, done in toolbox.covered_by_name().items() for analyzer, spans in done.items()}


def newly_covered(toolbox: Toolbox, before: Coverage) -> str:
    """Return a sentence on what has been covered since `before`; "" if nothing has."""
    several = len(toolbox.session_videos) > 1
    told = []
    for (name, analyzer), spans in sorted(coverage(toolbox).items()):
        new = [part for span in spans for part in span.minus(before.get((name, analyzer), []))]
        if new:
            told.append(f"{f'{name}: ' if several else ''}{analyzer} {spans_text(new)}")
    return f" Newly covered: {'; '.join(told)}." if told else ""


def result_message(result: ToolResult, earlier: Sequence[ToolResult]) -> str:
    """Return a result as the model reads it; a repeated one is replaced by a note on the repetition."""
    same = 1 + sum((one.tool, one.args, one.text) == (result.tool, result.args, result.text) for one in earlier)
    return render("again", count=str(same)) if same >= _REPEATED_CALL_LIMIT else result.text
