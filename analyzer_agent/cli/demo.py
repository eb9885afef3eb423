"""`demo`: answer questions about the sample clip with the core package alone."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.advice import lacks_whisper, whisper_size
from analyzer_agent.cli.common import answer_of, running
from analyzer_agent.cli.options import settings_of, shared_options
from analyzer_agent.cli.output import echo, print_answer
from analyzer_agent.installing import program
from analyzer_agent.sanitize import sanitize

if TYPE_CHECKING:
    from analyzer_agent.config import Settings

_TOOLS = ("scenes", "subtitles", "speech", "text", "motion")
QUESTIONS = (
    "Why does the ferry use another pier today?",
    "How much does one basket of fish cost?",
    "What is the captain's name?",
    "How many shots does the video have?",
    "Which cafe is shown at 0:26?",
    "What is said about an orchestra between 0:24 and 0:30?",
    "How much does one basket of fish cost?",
)
"""Answered by the subtitles, speech (two), cuts, and screen text; the next has no answer in the clip,
and the last repeats a question, which analyzes nothing."""

_NEXT_STEPS = """\
Now with a video of your own:{pull}
  {program} ask VIDEO "When does she first mention the price?"
  {program} doctor   # what works here, and how to get the rest
The demo used keyword rules instead of a language model. With OPENAI_API_KEY
set, or --base-url for a local server, a model decides what to analyze."""
_PULL = """
  {program} weights pull speech   # {size}, once: to hear what is said, in the sample clip too"""


@click.command()
@shared_options("store")
def demo(**flags: Any) -> None:
    """Try it on a sample clip: no key, no network.

    Answers questions about half a minute of video that ships with the package, using the core
    package alone, and Whisper if its weights are there. Notes are stored in a temporary folder,
    unless --store is given.
    """
    own = settings_of(flags)
    deaf = lacks_whisper(own)
    with tempfile.TemporaryDirectory(prefix="analyzer-agent-demo-", ignore_cleanup_errors=True) as folder:
        store = Path(flags["store"]).expanduser() if flags["store"] else Path(folder) / "store.db"
        _run(_settings(own, store, deaf), flags["quiet"])
    pull = _PULL.format(program=program(), size=whisper_size()) if deaf else ""
    echo(_NEXT_STEPS.format(program=program(), pull=pull))


def _settings(own: "Settings", store: Path, deaf: bool) -> "Settings":
    """Return the demo's settings: from the user's own only the places of weights and the device."""
    from analyzer_agent.config import Settings

    weights = {name: path for name, path in own.weights.items() if name in _TOOLS}
    return Settings(
        store=store,
        manager="rules",
        tools=tuple(name for name in _TOOLS if name != "speech" or not deaf),
        offline=True,
        weights_dir=own.weights_dir,
        weights=weights,
        caches=own.caches,
        device=own.device,
    )


def _run(settings: "Settings", quiet: bool) -> None:
    from analyzer_agent.sample import sample_path
    from analyzer_agent.session import Session

    clip = sample_path()
    echo(f"The sample clip: {sanitize(str(clip))}\n")
    with Session(clip, settings=settings) as talk:
        for question in QUESTIONS:
            echo(click.style(f"> {question}", fg="cyan", bold=True))
            with running(talk, quiet) as drawer:
                answer = answer_of(talk.stream(question), drawer)
            print_answer(answer)
            click.echo()
