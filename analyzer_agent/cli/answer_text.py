"""Answers on the terminal: styled and wrapped. The words are those of `analyzer_agent.wording`."""

from collections.abc import Mapping
from typing import Any

import click

from analyzer_agent.cli.wrapping import wrapped
from analyzer_agent.records import Answer
from analyzer_agent.wording import Role, answer_lines

_STYLES: Mapping[Role, Mapping[str, Any]] = {"answer": {"bold": True}, "doubt": {"fg": "yellow"}, "cost": {"dim": True}}
_HANGING: Mapping[Role, int] = {"doubt": 4, "unexamined": 2, "ending": 2, "cost": 2}
"""By how many columns the second line of a long one is indented."""


def print_answer(
    answer: Answer,
    *,
    several: bool = False,
    told: bool = False,
    names: Mapping[str, str] | None = None,
    full: bool = False,
    brief: bool = False,
    helps: str = "",
) -> None:
    """Print an answer on stdout.

    Args:
        answer: what was answered.
        several: name the file of each citation.
        told: the text stands on the terminal already.
        names: video id -> name, where there are several videos.
        full: cut no quotation.
        brief: sum up what was not examined, for a command whose `-v` lists it.
        helps: what helps where the steps were used up.
    """
    for role, line in answer_lines(answer, several=several, names=names, full=full, brief=brief, helps=helps):
        if role == "citation":
            click.echo(cited(line.strip()))
        elif role != "answer" or not told:
            click.echo(click.style(wrapped(line, _HANGING.get(role, 0)), **_STYLES.get(role, {})))


def cited(line: str) -> str:
    """Return a line that begins with the mark of a note, indented, and continued beside the mark."""
    return wrapped(f"  {line}", 3 + len(line.partition(" ")[0]))
