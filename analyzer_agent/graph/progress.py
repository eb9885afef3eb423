"""What a round of calls has newly covered, as the model is told it with the results."""

from collections.abc import Mapping

from analyzer_agent.evidence.rendering import spans_text
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Toolbox

Coverage = Mapping[tuple[str, str], list[TimeRange]]
"""The covered ranges by names of video and analyzer."""


def coverage(toolbox: Toolbox) -> Coverage:
    """Return what is covered now."""
    return {(name, analyzer): spans for name, one in toolbox.session_videos.items() for analyzer, spans in toolbox.covered(one).items()}


def newly_covered(toolbox: Toolbox, before: Coverage) -> str:
    """Return a sentence on what has been covered since `before`; "" if nothing has."""
    several = len(toolbox.session_videos) > 1
    told = []
    for (name, analyzer), spans in sorted(coverage(toolbox).items()):
        new = [part for span in spans for part in span.minus(before.get((name, analyzer), []))]
        if new:
            told.append(f"{f'{name}: ' if several else ''}{analyzer} {spans_text(new)}")
    return f" Newly covered: {'; '.join(told)}." if told else ""
