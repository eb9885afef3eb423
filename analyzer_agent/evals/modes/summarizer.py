"""The summarizer baseline (VideoChat-Text): run all analyzers, then call a model once.

Covered ranges are not analyzed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analyzer_agent.evals.modes.description import Description, describe
from analyzer_agent.evals.modes.single_call import QuestionContext, ask_and_check
from analyzer_agent.events import Emit
from analyzer_agent.evidence.rendering import shown_notes, spans_text
from analyzer_agent.messages import question_message
from analyzer_agent.prompts import render
from analyzer_agent.protocols.metering import metering
from analyzer_agent.records import ToolCall, ToolResult, Unexamined, Usage
from analyzer_agent.timeline import instants
from analyzer_agent.toolbox import Toolbox, fenced_result
from analyzer_agent.toolbox.answer_check import Outcome, StopReason
from analyzer_agent.toolbox.scheduler import spent_ms

DESCRIPTION_TOKENS = 16_000
"""The token budget of a description; also limited to half of the question's budget."""


@dataclass(frozen=True)
class Summarizer:
    """Answers from a description by all analyzers; works with the rules manager, too."""

    def answer(self, context: QuestionContext, emit: Emit) -> Outcome:
        """Run the analyzers over the gaps, within the budget, and call the model once."""
        toolbox = context.toolbox
        with metering(context.tokens, context.usd):
            results = toolbox.scheduler.run(_calls(toolbox), emit, context.analyzer_ms, context.cancel)
        room = DESCRIPTION_TOKENS if context.tokens is None else min(DESCRIPTION_TOKENS, context.tokens // 2)
        told = describe(toolbox, tokens=room, brief=True)
        content = f"{_as_evidence(told, results, toolbox)}\n\n{question_message(context.question, context.options)}"
        videos = "\n".join(f'- "{session_video.name}": {session_video.scope}' for session_video in toolbox.session_videos.values())
        evidence = {run.id: run for line in told.lines for run in line.runs}
        shown = [note for line in told.lines for note in shown_notes(line.runs)]
        outcome = ask_and_check(context, render("summarizer", videos=videos), content, emit, evidence, shown)
        answer = replace(outcome.answer, stopped=_stop_reason(results))
        seen = replace(Usage.of_calls(vision=[result.vision for result in results]), analyzer_ms=spent_ms(results))
        return replace(outcome, answer=answer, steps=results, usage=outcome.usage + seen)


def _calls(toolbox: Toolbox) -> list[ToolCall]:
    pairs = [
        (tool, session_video)
        for tool in toolbox.usable_without_query
        for session_video in toolbox.session_videos.values()
        if not session_video.missing_input(tool.spec)
    ]
    return [toolbox.whole_scope_call(tool, session_video, f"describe-{n}") for n, (tool, session_video) in enumerate(pairs, 1)]


def _as_evidence(told: Description, results: Sequence[ToolResult], toolbox: Toolbox) -> str:
    """Return the description for the model: first the omissions, then the fenced lines."""
    head = [told.thinned] if told.thinned else []
    if left := [u for result in results for u in result.not_examined]:
        head.append(f"Not examined: {_gaps(left, toolbox)}")
    if toolbox.unavailable:
        head.append(f"Cannot run here: {', '.join(toolbox.unavailable)}")
    if sampled := [f"{tool.spec.name} every {tool.spec.step / 1000:g} s" for tool in toolbox.usable_without_query if tool.spec.step]:
        head.append(f"Sampled: {', '.join(sampled)}; what changes may have changed up to one step before")
    if unseen := shots_between_samples(toolbox):
        head.append(f"Shots without a sample: {unseen}")
    head.append("What the analyzers found, in time order" if told.lines else "The analyzers found nothing")
    return fenced_result(".\n".join(head), told.text)


def shots_between_samples(toolbox: Toolbox) -> str:
    """Return the shots in which nothing was sampled, by analyzer: `captions 0:05.08-0:08`; "" if there are none."""
    several = len(toolbox.session_videos) > 1
    told = []
    for one in toolbox.session_videos.values():
        shots = toolbox.reader.merged_notes(one.video.id, one.scope, kinds=["scene"])
        for tool in toolbox.usable_without_query:
            if not tool.spec.step or not one.video.picture or one.missing_input(tool.spec):
                continue
            if spans := [shot.span for shot in shots if not instants(shot.span, tool.spec.step, one.video.picture)]:
                told.append(f"{f'{one.name}: ' if several else ''}{tool.spec.name} {spans_text(spans)}")
    return "; ".join(told)


def _gaps(left: Sequence[Unexamined], toolbox: Toolbox) -> str:
    """Return what was not examined: what is on another track once, the rest by analyzer."""
    groups: dict[tuple[str, str, str], list[Unexamined]] = {}
    for u in left:
        video = f" of {toolbox.names[u.video]}" if len(toolbox.session_videos) > 1 else ""
        elsewhere = u.reason == "other_track"
        groups.setdefault((u.detail if elsewhere else u.analyzer, video, "" if elsewhere else u.reason), []).append(u)
    parts = []
    for (name, video, reason), ones in groups.items():
        where = f" {spans_text([u.span for u in ones])}{video} ({reason.replace('_', ' ')})" if reason else video
        parts.append(f"{name}{where}")
    return "; ".join(parts)


def _stop_reason(results: Sequence[ToolResult]) -> StopReason | None:
    return "analyzer_budget" if any(u.reason == "budget" for result in results for u in result.not_examined) else None
