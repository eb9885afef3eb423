"""What a question opens with where little is to be said: the notes themselves, or the survey of a short clip.

Either saves the model a call that it would make in any case.
"""

import json
from collections.abc import Sequence
from typing import Any

from analyzer_agent.evidence.places import is_doubtful
from analyzer_agent.evidence.rendering import CHARS_PER_TOKEN, as_text
from analyzer_agent.fencing import fenced
from analyzer_agent.records import ToolCall
from analyzer_agent.timeline import total
from analyzer_agent.toolbox import Toolbox
from analyzer_agent.toolbox.note_tools import ALWAYS_CHEAP, MAX_ANALYZER_COST_MS, SHORT_SCOPE_MS, Survey
from analyzer_agent.toolbox.schemas import SURVEY

_LONGEST_MS = 600_000
"""Notes on longer scopes are not even read: they would not fit."""

_MAX_TOKENS = 1_500
"""Notes open a question if all of them fit into this length."""


def survey_calls(toolbox: Toolbox, turn: int) -> list[ToolCall]:
    """Return the calls that survey the session's videos, none unless they are short, cheap to survey and not yet surveyed.

    Args:
        toolbox: the tools.
        turn: the number of the question, which makes the calls' ids unique in a session.
    """
    videos = toolbox.session_videos
    if sum(one.scope.length for one in videos.values()) > SHORT_SCOPE_MS:
        return []
    wanted = [name for name, survey in toolbox.surveys.items() if _cheap(survey) and not _begun(toolbox, name, survey)]
    arguments = [{"video": name} if len(videos) > 1 else {} for name in wanted]
    return [ToolCall(f"survey_{turn}_{number}", SURVEY, json.dumps(given)) for number, given in enumerate(arguments)]


def _cheap(survey: Survey) -> bool:
    return survey.cost_ms is None or survey.cost_ms <= MAX_ANALYZER_COST_MS


def _begun(toolbox: Toolbox, name: str, survey: Survey) -> bool:
    """Return whether a clip was surveyed before, if perhaps with fewer analyzers: then its notes come along instead."""
    one = toolbox.session_videos[name]
    done = toolbox.covered(one)
    known = [tool for tool in survey.tools if tool.spec.name in ALWAYS_CHEAP] or survey.tools
    return all(total(done.get(tool.spec.name, [])) == one.scope.length for tool in known)


def known_notes(toolbox: Toolbox, told: Sequence[dict[str, Any]]) -> tuple[str, list[int]]:
    """Return all notes on the session's videos, fenced, and their ids; nothing if they do not fit.

    Args:
        toolbox: the tools.
        told: the messages of earlier questions; notes that stand there are left out.
    """
    videos = list(toolbox.session_videos.values())
    if sum(one.scope.length for one in videos) > _LONGEST_MS:
        return "", []
    runs = [run for one in videos for run in toolbox.reader.merged_notes(one.video.id, one.scope)]
    said = [run for run in runs if run.kind in ("speech", "subtitle")]
    # Where the words stand, it says nothing new that there is a voice.
    runs = [run for run in runs if run.kind != "voice" or not any(one.video == run.video and one.span.overlaps(run.span) for one in said)]
    sure = {run.kind for run in runs if not is_doubtful(run)}
    kept = [run for run in runs if not is_doubtful(run) or run.kind not in sure]
    left_out, runs = len(runs) - len(kept), kept
    text, shown = as_text(runs, names=toolbox.names if len(videos) > 1 else None, tokens=max(1, len(runs)) * _MAX_TOKENS)
    if not shown or len(text) > _MAX_TOKENS * CHARS_PER_TOKEN:
        return "", []
    before = "\n".join(str(message.get("content")) for message in told)
    new = [line for line in text.split("\n") if line not in before]
    if not new:
        return "", []
    opened = fenced("\n".join(new)) + (f"\nDoubtful ones left out: {left_out}; read_notes tells them." if left_out else "")
    return opened, [number for note in shown for number in note.ids]
