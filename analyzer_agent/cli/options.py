"""The flags shared by commands, and the settings made from them, the environment and a file.

`analyzer_agent.config` defines the settings and validates them.
"""

import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from analyzer_agent.cli.unused_flags import warn_of_unused_flags
from analyzer_agent.timeline import parse

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer_agent.config import Settings

    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # generic for type checkers only, in the older versions that are allowed

F = TypeVar("F", bound=Callable[..., Any])


class Time(_Text):
    """Seconds (`64.2`) or a clock (`1:04.2`)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time as written, after validation."""
        try:
            parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Pair(_Text):
    """`NAME=VALUE`; with `alone` also a value without a name."""

    name = "name=value"

    def __init__(self, example: str, alone: bool = False) -> None:
        self.example, self.alone = example, alone

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the pair as written, after validation."""
        name, mark, rest = str(value).partition("=")
        if not name.strip() or (mark and not rest.strip()) or (not mark and not self.alone):
            self.fail(f"{value!r} is not NAME=VALUE; for example {self.example}", param, ctx)
        return str(value)


class EnginePair(Pair):
    """`NAME=ENGINE`, or the name of an engine that belongs to one analyzer only."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the pair; for an engine alone, add its analyzer."""
        if "=" not in value:
            from analyzer_agent.tools.aliases import is_alias_of, resolve_name

            if is_alias_of(value) and resolve_name(value).engine:
                return "=".join(resolve_name(value))
        return super().convert(value, param, ctx)


TIME = Time()

_CONFIG = (
    click.option(
        "--config", metavar="FILE", envvar="ANALYZER_AGENT_CONFIG", help="Read settings from this TOML file.  [default: see `config path`]"
    ),
    click.option("--quiet", "-q", is_flag=True, help="Hide progress."),
)
_STORE = (click.option("--store", metavar="FILE", help="Store notes in this file.  [default: in your data folder]"), *_CONFIG)
_SCOPE = (
    click.option("--from", "from_", type=TIME, metavar="TIME", help="Start at this time (64.2 or 1:04.2).  [default: start of the video]"),
    click.option("--to", type=TIME, metavar="TIME", help="End at this time.  [default: end of the video]"),
)
_OPTIONS = (
    click.option("--language", metavar="CODE", help="Transcribe in this language, such as en.  [default: detected]"),
    click.option("--hotwords", metavar="WORDS", help="Expect these names and unusual words in speech."),
    click.option("--track", type=click.IntRange(min=1), metavar="N", help="Use this audio track for speech and voice.  [default: 1]"),
    click.option(
        "--option",
        "-O",
        type=Pair("speech.language=en"),
        multiple=True,
        metavar="NAME.OPTION=VALUE",
        help="Set an option of an analyzer, such as text.languages=de,en; may be repeated.",
    ),
)
_ENGINES = (
    *_OPTIONS,
    click.option(
        "--weights",
        type=Pair("objects=yolo11n.pt", alone=True),
        multiple=True,
        metavar="NAME=PATH",
        help="Use these weights for an analyzer; may be repeated. PATH alone is the weights folder.",
    ),
    click.option(
        "--engine",
        type=EnginePair("speech=whisper"),
        multiple=True,
        metavar="NAME=ENGINE",
        help="Use this engine for an analyzer; may be repeated.",
    ),
    click.option("--device", metavar="auto|cpu|cuda:N", help="Run engines on this device.  [default: auto]"),
    click.option("--offline", is_flag=True, default=None, help="Never use the network."),
    click.option("--refresh", is_flag=True, default=None, help="Analyze again, even where notes are stored."),
    click.option(
        "--max-analyzer-seconds",
        type=click.FloatRange(min=0),
        metavar="S",
        help="Limit the time that analyzers run for one question, in seconds.",
    ),
)
_ANALYZERS = (
    click.option("--tools", metavar="A,B", help="Use only these analyzers."),
    *_ENGINES,
    click.option(
        "--vision-model", metavar="NAME", help="Use this model at the same endpoint for images: captions, look and --mode frames."
    ),
    click.option("--vocabulary", metavar="FILE", help="Read labels for tags from this file instead of the built-in ones."),
    click.option(
        "--decoder",
        metavar="cpu|auto|cuda|...",
        help="Decode on the CPU or a device (cuda, ...); frames are bit-identical.  [default: cpu]",
    ),
)
_MANAGER = (
    click.option(
        "--mode",
        type=click.Choice(["manager", "summarizer", "frames", "blind"]),
        help="How to answer questions. manager: a model runs analyzers as needed; summarizer: one call with a description by all "
        "analyzers; frames: one call with frames; blind: one call with the question alone.  [default: manager]",
    ),
    click.option(
        "--frames", type=click.IntRange(min=1), metavar="N", help="Show N frames of each video with --mode frames.  [default: 16]"
    ),
    click.option(
        "--manager",
        type=click.Choice(["auto", "openai", "rules"]),
        help="Use a language model or keyword rules. auto: a model if there is a key or a server.  [default: auto]",
    ),
    click.option("--model", metavar="NAME", help="Use this language model.  [default: gpt-5.4]"),
    click.option("--base-url", metavar="URL", help="Use this OpenAI-compatible server (Ollama, vLLM, llama.cpp, LM Studio)."),
    click.option("--api", type=click.Choice(["auto", "responses", "chat"]), help="Use this API of the server.  [default: auto]"),
    click.option(
        "--verify",
        type=click.Choice(["auto", "always", "never"]),
        help="Check in a second model call that the cited notes support the answer. auto: unless confidence is high.  [default: auto]",
    ),
    click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="Limit the steps of one question.  [default: 12]"),
    click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Limit the tokens of one question."),
)
_VIDEOS = (
    click.option("--recursive", "-r", is_flag=True, help="Include the videos in subfolders."),
    click.option("--verbose", "-v", is_flag=True, help="List every range that was not examined and every file that was skipped."),
)
_GROUPS = {
    "videos": _VIDEOS,
    "config": _CONFIG,
    "store": _STORE,
    "scope": _SCOPE,
    "options": _OPTIONS,
    "engines": _ENGINES,
    "analyzers": _ANALYZERS,
    "manager": _MANAGER,
}


def shared_options(*groups: str, without: Collection[str] = ()) -> Callable[[F], F]:
    """Add the flags of these groups to a command, which receives them as `**flags`.

    Args:
        groups: names in `_GROUPS`; `store` includes `config`.
        without: parameter names of flags to leave out.
    """
    options = [option for group in groups for option in _GROUPS[group]]

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
            kept: list[click.Parameter] = vars(command)["__click_params__"]
            if kept[-1].name in without:
                kept.pop()
        return command

    return decorate


_SHORT = {"option": (), "language": ("speech.language",), "hotwords": ("speech.hotwords",), "track": ("speech.track", "voice.track")}
"""Flags that set options of analyzers."""

_NO_SETTINGS = ("config", "quiet", "recursive", "verbose")


def settings_of(flags: Mapping[str, Any]) -> "Settings":
    """Return the settings: flags, then environment, then file, then defaults.

    Warns of flags without effect.

    Raises:
        AgentError: the file or a value is invalid.
    """
    from analyzer_agent.config import chosen_file, load

    settings = load(given_by(flags), os.environ, chosen_file(flags.get("config"), os.environ))
    if settings.tools or settings.engine or settings.weights:
        from analyzer_agent.session import understood

        settings = understood(settings)
    warn_of_unused_flags(settings)
    return settings


def store_to_read(settings: "Settings") -> "Path":
    """Return the store for a command that only reads it.

    Raises:
        AgentError: `--store` names a file that does not exist.
    """
    from analyzer_agent.errors import AgentError, near

    source = click.get_current_context().get_parameter_source("store")
    if source is ParameterSource.COMMANDLINE and not settings.store.exists():
        raise AgentError(f"There is no store at {str(settings.store)!r}.", hint=near(settings.store))
    return settings.store


def given_by(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings given by flags, by their names in `analyzer_agent.config`, else None."""
    given = {name: value for name, value in flags.items() if name not in (*_NO_SETTINGS, *_SHORT, "from_")}
    said = [f"{option}={flags[name]}" for name, options in _SHORT.items() if flags.get(name) is not None for option in options]
    given["options"] = [*flags.get("option", ()), *said] or None
    return given | {"from": flags.get("from_"), "weights": given.get("weights") or None, "engine": given.get("engine") or None}
