"""`batch`: a file of questions in, a file of answers out."""

import time
from pathlib import Path
from typing import Any

import click

from analyzer_agent.cli.drawing import drawing
from analyzer_agent.cli.options import common, settings_of
from analyzer_agent.cli.plain import one_line
from analyzer_agent.cli.stopping import stoppable


@click.command()
@click.argument("questions", metavar="QUESTIONS")
@click.option("--out", required=True, metavar="FILE", help="Where answers go, one JSON line each; what it answers already is skipped.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="How many videos at a time.")
@common("scope", "manager", "analyzers", "store")
def batch(questions: str, out: str, workers: int, **flags: Any) -> None:
    """Answer all questions of a JSONL file.

    A line of QUESTIONS is {"id", "video", "question"} and, if wanted, "options", "from", "to"; videos are looked for beside the file.
    A rerun asks what is not answered yet. A question that fails does not stop the run, the exit code is 1 then.
    """
    settings = settings_of(flags)
    from analyzer_agent.batch import prepare

    run = prepare(Path(questions), Path(out), settings)
    before = len(run.questions) - len(run.todo)
    done = failed = 0
    started = time.monotonic()
    with drawing(flags["quiet"]) as drawer, stoppable(run.stop, on_stop=drawer.pause):
        if before:
            drawer.note(f"{before} of {len(run.questions)} answered before")
        for one in run.run(workers):
            done, failed = done + 1, failed + one.failed
            drawer.count(done, len(run.todo), failed)
            result = one.record["error"]["message"] if one.failed else one.record["answer"]
            drawer.note(f"{done}/{len(run.todo)} {one_line(one.id)}: {'failed: ' if one.failed else ''}{_short(result)}")
    took = time.monotonic() - started
    click.echo(f"{before + done - failed} of {len(run.questions)} answered, {failed} failed, {took:.1f} s: {one_line(out)}")
    if failed:
        click.echo("Hint: run the same command again to retry the failed ones.", err=True)
        click.get_current_context().exit(1)


def _short(text: str) -> str:
    flat = one_line(text)
    return flat if len(flat) <= 100 else f"{flat[:99]}…"
