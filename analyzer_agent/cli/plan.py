"""The flag `--plan`: tell what a command would run and cost, and run nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.output import echo, safe_json, table
from analyzer_agent.wording import amount, counted, dollars

if TYPE_CHECKING:
    from analyzer_agent.batch import Batch
    from analyzer_agent.session import QuestionPlan
    from analyzer_agent.toolbox.planned import PlannedRun

_HELP = "Tell what would run and what it would cost, and run nothing."

plan_option = click.option("--plan", "only_plan", is_flag=True, help=_HELP)
"""The flag `--plan`, received as `only_plan`."""


def show_question_plan(plan: "QuestionPlan", as_object: bool) -> None:
    """Print what a question may run and cost."""
    if as_object:
        click.echo(safe_json(plan.to_dict()))
        return
    echo(_managed(plan))
    if not plan.runs:
        return
    chosen = plan.mode == "manager"
    echo(
        "These analyzers may run, on the parts that the question needs:" if chosen else "These analyzers run first, over all of the video:"
    )
    _show_runs(plan.runs)
    for name in plan.on_request:
        echo(f"On request of the model: {name}")
    echo(_total(plan.runs))


def show_index_plan(runs: "Sequence[PlannedRun]", as_object: bool) -> None:
    """Print what `index` would run."""
    if as_object:
        click.echo(
            safe_json({"runs": [run.to_dict() for run in runs], "estimate_seconds": sum(run.estimate_ms or 0 for run in runs) / 1000})
        )
        return
    _show_runs(runs)
    echo(_total(runs))


def show_batch_plan(run: "Batch") -> None:
    """Print what the open questions of a file may run and cost, over all of their videos."""
    from analyzer_agent.batch import batch_plan

    planned, missing = batch_plan(run), sum(map(len, run.missing.values()))
    already = len(run.questions) - len(run.todo)
    parts = [f"{counted(len(run.todo), 'question')} about {counted(len(planned), 'video')}"]
    parts += [f"{already} answered already"] if already else []
    parts += [f"{missing} without a video"] if missing else []
    echo(", ".join(parts))
    if not planned:
        return
    echo(_managed(planned[0].plan, each=True))
    runs = [one for part in planned for one in part.plan.runs]
    if runs:
        _show_runs(_summed(runs))
        echo(_total(runs))
    known = [part.plan.prompt_usd for part in planned if part.plan.prompt_usd is not None]
    if len(known) == len(planned):
        first = sum((part.plan.prompt_usd or 0) * part.questions for part in planned)
        echo(f"The first requests of all questions together cost about {dollars(first)}.")


def _managed(plan: "QuestionPlan", each: bool = False) -> str:
    """Return who answers, in how many steps, and what the first request costs."""
    question = " for each question" if each else ""
    if plan.model == "rules":
        return f"Manager: keyword rules, no model calls, up to {counted(plan.max_steps, 'step')}{question}"
    if plan.mode != "manager":
        return f"Mode {plan.mode}: one call of {plan.model}{question}"
    price = "price not known" if plan.prompt_usd is None else f"about {dollars(plan.prompt_usd)}"
    first = f"the first has about {round(plan.prompt_tokens or 0, -2):,} tokens ({price}), and each repeats the one before"
    return f"Manager: {plan.model}, up to {counted(plan.max_steps, 'step')} with a call each{question}; {first}"


def _show_runs(runs: "Sequence[PlannedRun]") -> None:
    head = ("video", "analyzer", "new", "covered", "takes at most")
    one = len({run.video for run in runs}) == 1
    lines = [[run.video, _named(run), _length(run.new_ms), _length(run.reused_ms), _takes(run)] for run in runs]
    echo(table(head, lines, numbers=head[2:4], without=["video"] if one else []))


def _named(run: "PlannedRun") -> str:
    return f"{run.analyzer} ({run.engine})" if run.engine else run.analyzer


def _length(ms: int) -> str:
    return amount(ms) if ms else "-"


def _takes(run: "PlannedRun") -> str:
    if run.refusal is not None:
        return f"does not run: {run.refusal}"
    if not run.new_ms:
        return "nothing new"
    return "not measured yet" if run.estimate_ms is None else f"about {amount(run.estimate_ms)}"


def _total(runs: "Sequence[PlannedRun]") -> str:
    new = [run for run in runs if run.new_ms]
    if not new:
        return "Nothing new would be analyzed."
    unmeasured = list(dict.fromkeys(run.analyzer for run in new if run.estimate_ms is None))
    known = sum(run.estimate_ms or 0 for run in new)
    if not known:
        return f"Not measured on this machine yet: {', '.join(unmeasured)}."
    return f"All together about {amount(known)}" + (
        f", and {', '.join(unmeasured)}, not measured on this machine yet." if unmeasured else "."
    )


def _summed(runs: "Sequence[PlannedRun]") -> "list[PlannedRun]":
    """Return one run for each analyzer, over all videos."""
    from dataclasses import replace

    sums: dict[tuple[str, str], Any] = {}
    for run in runs:
        key, before = (run.analyzer, run.engine), sums.get((run.analyzer, run.engine))
        if before is None:
            sums[key] = replace(run, video="")
            continue
        known = [ms for ms, new in ((before.estimate_ms, before.new_ms), (run.estimate_ms, run.new_ms)) if new]
        estimate = None if None in known else sum(ms for ms in known if ms is not None)
        sums[key] = replace(before, new_ms=before.new_ms + run.new_ms, reused_ms=before.reused_ms + run.reused_ms, estimate_ms=estimate)
    return list(sums.values())
