"""Style and wrap answers for the terminal; `analyzer_agent.wording` supplies the text."""

from collections.abc import Mapping
from typing import Any

import click

from analyzer_agent.cli.wrapping import wrapped
from analyzer_agent.records import Answer
from analyzer_agent.wording import Role, answer_lines

_STYLES: Mapping[Role, Mapping[str, Any]] = {"answer": {"bold": True}, "doubt": {"fg": "yellow"}, "cost": {"dim": True}}
_HANGING: Mapping[Role, int] = {"doubt": 4, "unexamined": 2, "ending": 2, "cost": 2}
"""Indent of continuation lines, in columns."""


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
        answer: the answer.
        several: name the file of each citation.
        told: the text was streamed to the terminal already; print the rest only.
        names: video id -> name, if there are several videos.
        full: truncate no quotation.
        brief: summarize the ranges that were not examined (`-v` lists them).
        helps: the hint to print if the question ran out of steps.
    """
    for role, line in answer_lines(answer, several=several, names=names, full=full, brief=brief, helps=helps):
        if role == "citation":
            click.echo(cited(line.strip()))
        elif role != "answer" or not told:
            click.echo(click.style(wrapped(line, _HANGING.get(role, 0)), **_STYLES.get(role, {})))


def cited(line: str) -> str:
    """Return a line that starts with a citation mark, indented and wrapped to the right of it."""
    return wrapped(f"  {line}", 3 + len(line.partition(" ")[0]))
