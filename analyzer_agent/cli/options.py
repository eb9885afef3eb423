"""The flags that commands share, and the settings they make together with the environment and a file.

Names and meanings are those of `analyzer_agent.config`, which also decides what is valid. Knows nothing of the commands.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analyzer_agent.timeline import parse

if TYPE_CHECKING:
    from analyzer_agent.config import Settings

    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # generic for type checkers only, in the older versions that are allowed

F = TypeVar("F", bound=Callable[..., Any])


class Time(_Text):
    """Seconds or a clock, as everywhere."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time as it was written, once it is known to be one."""
        try:
            parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Pair(_Text):
    """`NAME=VALUE`."""

    name = "name=value"

    def __init__(self, example: str, alone: bool = False) -> None:
        self.example, self.alone = example, alone

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the pair as it was written; with `alone`, a value without a name is taken too."""
        name, mark, rest = str(value).partition("=")
        if not name.strip() or (mark and not rest.strip()) or (not mark and not self.alone):
            self.fail(f"{value!r} is not NAME=VALUE; for example {self.example}", param, ctx)
        return str(value)


TIME = Time()

_CONFIG = (
    click.option(
        "--config", metavar="FILE", envvar="ANALYZER_AGENT_CONFIG", help="A TOML file with settings; by default the user's own, if there."
    ),
    click.option("--quiet", "-q", is_flag=True, help="Show no progress."),
)
_STORE = (click.option("--store", metavar="FILE", help="Where notes are kept."), *_CONFIG)
_SCOPE = (
    click.option("--from", "from_", type=TIME, metavar="TIME", help="Look at nothing before this time (64.2 or 1:04.2)."),
    click.option("--to", type=TIME, metavar="TIME", help="Look at nothing from this time on."),
)
_ANALYZERS = (
    click.option("--tools", metavar="A,B", help="Use only these analyzers."),
    click.option(
        "--engine", type=Pair("speech=whisper"), multiple=True, metavar="NAME=ENGINE", help="The engine of an analyzer; may be repeated."
    ),
    click.option(
        "--weights",
        type=Pair("objects=yolo11n.pt", alone=True),
        multiple=True,
        metavar="NAME=PATH",
        help="An analyzer's weights; may be repeated. A PATH alone is a folder with weights.",
    ),
    click.option(
        "--vision-model", metavar="NAME", help="A model at the same endpoint that sees pictures, for captions, look and --mode frames."
    ),
    click.option("--vocabulary", metavar="FILE", help="Your own labels for tags, instead of those that come with the program."),
    click.option("--device", metavar="auto|cpu|cuda:N", help="Where engines run."),
    click.option("--decoder", metavar="cpu|auto|cuda|...", help="Where pictures are decoded; on a GPU they are the same, only sooner."),
    click.option("--offline", is_flag=True, default=None, help="Never touch the network."),
    click.option("--refresh", is_flag=True, default=None, help="Analyze anew what was analyzed already."),
    click.option("--max-analyzer-seconds", type=click.FloatRange(min=0), metavar="S", help="How long analyzers may work on one question."),
)
_MANAGER = (
    click.option(
        "--mode",
        type=click.Choice(["manager", "summarizer", "frames", "blind"]),
        help="How questions are answered: a manager runs analyzers as needed; one call over a description by all analyzers; one call "
        "over frames; one call over the question alone.  [default: manager]",
    ),
    click.option("--frames", type=click.IntRange(min=1), metavar="N", help="How many of each video --mode frames shows.  [default: 16]"),
    click.option("--manager", type=click.Choice(["auto", "openai", "rules"]), help="A language model, or keyword rules without one."),
    click.option("--model", metavar="NAME", help="The language model."),
    click.option("--base-url", metavar="URL", help="An OpenAI-compatible server (Ollama, vLLM, llama.cpp, LM Studio)."),
    click.option("--api", type=click.Choice(["auto", "responses", "chat"]), help="Which API to speak to the server."),
    click.option(
        "--verify",
        type=click.Choice(["auto", "always", "never"]),
        help="Whether a language model that manages is asked, in a call apart, if the cited notes suffice; auto: where it is not "
        "sure of its answer.  [default: auto]",
    ),
    click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="Steps that one question may take."),
    click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens that one question may take."),
)
_GROUPS = {"config": _CONFIG, "store": _STORE, "scope": _SCOPE, "analyzers": _ANALYZERS, "manager": _MANAGER}


def common(*groups: str) -> Callable[[F], F]:
    """Add the shared flags of these groups: `config`, `store` (has `config`), `scope`, `analyzers`, `manager`. They come as `**flags`."""
    options = [option for group in groups for option in _GROUPS[group]]

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def settings_of(flags: Mapping[str, Any]) -> "Settings":
    """Return the settings: flags over the environment over the file over defaults.

    Raises:
        AgentError: the file or a value is not valid.
    """
    from analyzer_agent.config import default_file, load

    given = {name: value for name, value in flags.items() if name not in ("config", "quiet", "weights", "from_")}
    given["from"] = flags.get("from_")
    weights = flags.get("weights") or ()
    given["weights_for"] = [item for item in weights if "=" in item] or None
    given["weights"] = next((item for item in weights if "=" not in item), None)
    given["engine"] = given.get("engine") or None
    file = Path(flags["config"]).expanduser() if flags.get("config") else default_file()
    return load(given, os.environ, file if flags.get("config") or file.is_file() else None)
