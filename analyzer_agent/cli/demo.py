"""`demo`: questions about the sample clip, with what is in the core package alone."""

import tempfile
from pathlib import Path
from typing import Any

import click

from analyzer_agent.cli.asking import answer_of
from analyzer_agent.cli.drawing import drawing
from analyzer_agent.cli.options import common
from analyzer_agent.cli.plain import plain
from analyzer_agent.cli.showing import show_answer
from analyzer_agent.cli.stopping import stoppable

QUESTIONS = (
    "Why does the ferry use another pier today?",
    "How much does one basket of fish cost?",
    "What is the captain's name?",
    "How many shots does the video have?",
    "Which cafe is shown at 0:26?",
    "What is said about an orchestra between 0:24 and 0:30?",
    "How much does one basket of fish cost?",
)
"""The first is answered by the subtitles, the next two by what is said, then cuts and what is on screen; one has no answer in the clip,
and the last was asked before."""

_NEXT = """\
Now with a video of your own:
  analyzer-agent ask VIDEO "When does she first mention the price?"
  analyzer-agent doctor       shows what else this machine can use
The demo used keyword rules instead of a language model. With OPENAI_API_KEY set, or --base-url for a local server,
a language model decides what to look at."""


@click.command()
@common("store")
def demo(**flags: Any) -> None:
    """Try it on a sample clip: no key, no network.

    Asks some questions about half a minute of video that ships with the package, with what the core package can do.
    The notes are kept in a temporary folder, unless --store says otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="analyzer-agent-demo-", ignore_cleanup_errors=True) as folder:
        _run(Path(flags["store"]).expanduser() if flags["store"] else Path(folder) / "store.db", flags["quiet"])
    click.echo(_NEXT)


def _run(store: Path, quiet: bool) -> None:
    from analyzer_agent.config import Settings
    from analyzer_agent.sample import sample_path
    from analyzer_agent.session import Session

    clip = sample_path()
    click.echo(f"The sample clip: {plain(str(clip))}\n")
    tools = ("scenes", "subtitles", "speech", "text", "motion")
    with Session(clip, settings=Settings(store=store, manager="rules", tools=tools, offline=True)) as talk:
        for question in QUESTIONS:
            click.echo(click.style(f"> {question}", fg="cyan", bold=True))
            with drawing(quiet) as drawer, stoppable(talk.cancel, on_stop=drawer.pause):
                answer = answer_of(talk.stream(question), drawer)
            show_answer(answer)
            click.echo()
