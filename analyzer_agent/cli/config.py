"""`config`: show the settings file, and each setting with its value and origin."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.help import Command
from analyzer_agent.cli.options import given_by, shared_options
from analyzer_agent.cli.output import echo, safe_json, table
from analyzer_agent.sanitize import one_line
from analyzer_agent.timeline import clock

if TYPE_CHECKING:
    from analyzer_agent.config import Setting


@click.group()
def config() -> None:
    """Show where settings come from.

    A setting is a flag, an environment variable (ANALYZER_AGENT_MAX_STEPS=20), or a line of a TOML
    file (max_steps = 20), in this order of precedence.
    """


@config.command()
@shared_options("json", "settings")
def path(as_object: bool, **flags: Any) -> None:
    """Print the path of the settings file, which need not exist."""
    from analyzer_agent.config import chosen_file, default_file

    file = chosen_file(flags["config"], os.environ) or default_file()
    if as_object:
        click.echo(safe_json({"path": str(file), "exists": file.is_file()}))
    else:
        echo(one_line(str(file)))


@config.command("list", cls=Command)
@shared_options("json", "scope", "manager", "analyzers", "store")
def list_(as_object: bool, **flags: Any) -> None:
    """List each setting with its value and origin.

    Names are those of the settings file; the environment variable is ANALYZER_AGENT_NAME. Times are
    seconds or clocks.
    """
    from analyzer_agent.config import SETTINGS, chosen_file, layers, load

    file, given = chosen_file(flags["config"], os.environ), given_by(flags)
    origins = {field: layer.source for layer in layers(given, os.environ, file) for field in layer.values}
    settings = load(given, os.environ, file)
    rows = []
    for setting in SETTINGS.values():
        value = _value_as_written(setting, getattr(settings, setting.field))
        rows.append(_row(setting.name, value, origins.get(setting.field), _help(setting, value)))
    key = "set" if os.environ.get("OPENAI_API_KEY") else None
    rows.append(_row("OPENAI_API_KEY", key, key and "environment", "The key for the language model; never read from a file."))
    if as_object:
        click.echo(safe_json({"file": str(file) if file else None, "settings": rows}))
        return
    echo(table(["setting", "value", "from", "help"], [[row["name"], _value_text(row["value"]), row["from"], row["help"]] for row in rows]))


def _row(name: str, value: Any, source: str | None, help_: str) -> dict[str, Any]:
    return {"name": name, "value": value, "from": source or "default", "help": help_}


def _help(setting: "Setting", value: Any) -> str:
    choices = f"One of {', '.join(setting.choices)}." if setting.choices else ""
    usual = f"Default: {setting.usual}." if setting.usual and value is None else ""
    return " ".join(filter(None, (setting.help, choices, usual)))


def _value_as_written(setting: "Setting", value: Any) -> Any:
    """Return a value as JSON, in the form in which users write it."""
    if value is not None and setting.field.endswith("_ms"):
        return clock(value)
    if setting.field == "options":
        return {f"{name}.{option}": given for name, options in value.items() for option, given in options.items()} or None
    if isinstance(value, Mapping):
        return {name: str(given) for name, given in value.items()} or None
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _value_text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ",".join(f"{name}={given}" for name, given in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
