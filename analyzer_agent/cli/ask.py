"""`ask`: one question about one or more videos."""

from pathlib import Path
from typing import Any

import click

from analyzer_agent.cli.advice import advise, offer_whisper
from analyzer_agent.cli.common import (
    answer_of,
    chosen,
    explaining,
    open_session,
    running,
    split_question,
    warn_of_reuse,
    warn_of_skipped,
    warn_of_unavailable,
    what_helps,
)
from analyzer_agent.cli.help import command
from analyzer_agent.cli.options import settings_of, shared_options
from analyzer_agent.cli.output import print_answer, safe_json
from analyzer_agent.cli.plan import plan_option, show_question_plan
from analyzer_agent.forms import Form

_USAGE = 'For example: analyzer-agent ask talk.mp4 "What does it cost?"'


@command()
@click.argument("arguments", nargs=-1, required=True, metavar="VIDEO|FOLDER... QUESTION")
@click.option("--full", is_flag=True, help="Print quotations in full.")
@click.option("--schema", metavar="FILE", help="Answer in a form: FILE holds a JSON Schema of an object; each field gets its evidence.")
@plan_option
@shared_options("session", "json", "library", "videos", "scope", "manager", "analyzers", "store")
def ask(
    arguments: tuple[str, ...], as_object: bool, full: bool, schema: str | None, only_plan: bool, session: str | None, **flags: Any
) -> None:
    """Ask one QUESTION about one or more videos, a folder of them, or a library.

    The answer cites notes. Notes are stored, so a later question about the same range analyzes
    nothing.
    """
    videos, question = split_question(arguments, _USAGE, flags["library"])
    settings = settings_of(flags)
    form = Form.read(Path(schema)) if schema else None
    with explaining(arguments, "--tools", flags["tools"]):
        paths = chosen(videos, flags, settings)
        offer_whisper(paths, settings, flags["quiet"] or as_object or only_plan)
        opened = open_session(paths, flags["quiet"], name=session, settings=settings)
    with opened as talk:
        warn_of_skipped(talk)
        if only_plan:
            show_question_plan(talk.plan(question), as_object)
            return
        with running(talk, flags["quiet"]) as drawer:
            if not flags["quiet"]:
                warn_of_unavailable(talk, drawer)
            answer = answer_of(talk.stream(question, returns=form), drawer)
        if as_object:
            click.echo(safe_json(answer.to_dict()))
        else:
            print_answer(
                answer,
                names=talk.toolbox.titles,
                full=full,
                brief=not flags["verbose"],
                helps=what_helps(talk, answer, videos),
            )
        warn_of_reuse(talk, answer)
        if not (as_object and flags["quiet"]):
            advise(talk, answer, err=as_object)
