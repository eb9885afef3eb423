"""Whether the notes that an answer cites suffice for it: what a judge is shown of them, what it said, who else could look.

Knows nothing of who judges, nor of what becomes of an answer that is found wanting.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.rendering import as_text, spans_text
from analyzer_agent.fencing import quoted
from analyzer_agent.records import ToolCall
from analyzer_agent.toolbox import Toolbox
from analyzer_agent.toolbox.arguments import parse_object
from analyzer_agent.toolbox.result_text import fenced_result
from analyzer_agent.toolbox.schemas import JUDGE

_MAX_NOTE_TOKENS = 4_000
_STRUCTURE_KINDS = frozenset({"scene", "voice"})
"""Kinds that say when something is, and never what it is."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said: whether the notes suffice, if not what they do not show, and whether they contradict each other."""

    sufficient: bool
    missing: str = ""
    contradictory: bool = False


def notes_text(toolbox: Toolbox, runs: Iterable[MergedNote]) -> str:
    """Return notes as a judge reads them: times, kinds, which are uncertain, and their texts, fenced as data."""
    names = toolbox.names if len(toolbox.session_videos) > 1 else None
    return fenced_result("Cited notes", as_text(list(runs), names=names, tokens=_MAX_NOTE_TOKENS, fold=False)[0])


def parse_judgement(calls: Sequence[ToolCall]) -> Judgement | None:
    """Return what was judged; None where there is no such call, or it cannot be read."""
    call = next((c for c in calls if c.name == JUDGE), None)
    try:
        given = parse_object(call.arguments) if call else {}
    except ToolRefusal:
        return None
    sufficient, missing = _flag(given.get("sufficient")), given.get("missing")
    if sufficient is None:
        return None
    told = quoted(missing)[1:-1] if isinstance(missing, str) else ""
    return Judgement(sufficient, told or "it was not said what.", bool(_flag(given.get("contradictory"))))


def _flag(given: Any) -> bool | None:
    return {"true": True, "false": False}.get(str(given).strip().lower())


def second_look(toolbox: Toolbox, runs: Sequence[MergedNote], judgement: Judgement) -> tuple[str, str] | None:
    """Return the times and the tools for another look at disputed notes, None where nothing is disputed or nothing else can look.

    Notes are disputed if they contradict each other, or if all of them come from weak engines.
    """
    seen = {run.kind for run in runs}
    tools = [tool.spec.tool for tool in toolbox.offered if not (seen | _STRUCTURE_KINDS).intersection(tool.spec.kinds)]
    disputed = judgement.contradictory or all(run.uncertain for run in runs)
    return (spans_text(run.span for run in runs), " or ".join(tools)) if disputed and tools else None
