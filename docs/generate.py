"""Write docs/cli.md and docs/settings.md from the code: `python docs/generate.py`. A test compares them with the code."""

import contextlib
import os
import sys
from pathlib import Path

import click

from analyzer_agent.cli import main
from analyzer_agent.config import SETTINGS, Settings

DOCS = Path(__file__).resolve().parent


def cli() -> str:
    """Return the reference of the command line: the help of every command, with all options."""
    parts = ["# Command line\n", "Made from the code by `python docs/generate.py`.\n"]
    for names in _commands(main, ()):
        parts += [f"## {' '.join(['analyzer-agent', *names])}\n", f"```\n{_help(names)}\n```\n"]
    return "\n".join(parts)


def _commands(group: click.Group, before: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = [before]
    for name, command in group.commands.items():
        found += _commands(command, (*before, name)) if isinstance(command, click.Group) else [(*before, name)]
    return found


def _help(names: tuple[str, ...]) -> str:
    from click.testing import CliRunner

    command: click.Command = main
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    flag = "--help-all" if any("--help-all" in option.opts for option in command.params) else "--help"
    ran = CliRunner(env={"COLUMNS": "100"}).invoke(main, [*names, flag], prog_name="analyzer-agent", terminal_width=100)
    return "\n".join(line.rstrip() for line in ran.output.strip().splitlines())


def settings() -> str:
    """Return the reference of the settings, as a table."""
    lines = [
        "# Settings\n",
        "Made from the code by `python docs/generate.py`.\n",
        "A setting is a flag (`--max-steps 20`), an environment variable (`ANALYZER_AGENT_MAX_STEPS=20`) or a line of a TOML file",
        "(`max_steps = 20`); the first that says it wins. `analyzer-agent config path` prints the file's place,",
        "`analyzer-agent config list` each value and its origin. In Python they are fields of `Settings`, and read from the",
        "environment and the file only by `Settings.load()`.\n",
        "| setting | field in Python | default | meaning |",
        "|---|---|---|---|",
    ]
    defaults = Settings()
    for setting in SETTINGS.values():
        value = getattr(defaults, setting.field)
        shown = "" if value in (None, {}, ()) or isinstance(value, Path) else f"`{value}`"
        choices = f" One of {', '.join(f'`{one}`' for one in setting.choices)}." if setting.choices else ""
        lines.append(f"| `{setting.name}` | `{setting.field}` | {shown} | {setting.help}{choices} |")
    lines += [
        "",
        "`store` and `weights` lie in the user's data folder by default. `OPENAI_API_KEY` and `OPENAI_BASE_URL` are read as OpenAI's",
        "own library reads them; a key is never stored.",
        "",
    ]
    return "\n".join(lines)


PAGES = {"cli.md": cli, "settings.md": settings}

if __name__ == "__main__":
    with contextlib.suppress(KeyError):
        del os.environ["ANALYZER_AGENT_CONFIG"]
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"{DOCS / name}\n")
