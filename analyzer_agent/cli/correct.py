"""`correct` and `forget`: a person's word on notes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.help import command
from analyzer_agent.cli.options import settings_of, shared_options, store_to_read
from analyzer_agent.cli.output import echo
from analyzer_agent.errors import AgentError
from analyzer_agent.wording import quote

if TYPE_CHECKING:
    from analyzer_agent.evidence.merging import NoteReader

_HINT = "Analyze a video first: analyzer-agent index VIDEO"


@command()
@click.argument("note", type=int)
@click.argument("text")
@shared_options("store")
def correct(note: int, text: str, **flags: Any) -> None:
    """Let TEXT stand in the place of a note.

    It is searched and cited as yours, and stays when the range is analyzed again. NOTE is the number
    that answers and `notes` show. `forget` with the number of the correction takes it back.
    """
    from analyzer_agent.evidence import corrections

    echo(corrected(note, _changed(flags, lambda reader: corrections.correct(reader, note, text))))


@command()
@click.argument("note", type=int)
@shared_options("store")
def forget(note: int, **flags: Any) -> None:
    """Hide a note that is wrong, or take a correction back.

    A hidden note is no longer shown, searched or cited, nor is the same note of another engine.
    """
    from analyzer_agent.evidence import corrections

    echo(forgotten(note, _changed(flags, lambda reader: corrections.forget(reader, note))))


def corrected(note: int, by: int) -> str:
    """Return what is told of a correction."""
    return f"Note {by} stands in the place of note {note}. To take it back: analyzer-agent forget {by}"


def forgotten(note: int, before: str | None) -> str:
    """Return what is told of a note that was forgotten."""
    return f"Note {note} is hidden." if before is None else f"The correction is taken back: {quote(before)} is shown again."


def _changed(flags: dict[str, Any], change: "Callable[[NoteReader], Any]") -> Any:
    from analyzer_agent import tools
    from analyzer_agent.evidence.merging import NoteReader
    from analyzer_agent.storage import Store

    path = store_to_read(settings_of(flags))
    if not path.exists():
        raise AgentError("There are no notes yet.", hint=_HINT)
    with Store(path) as store:
        return change(NoteReader(store, {name: spec for name, (spec, _) in tools.load_all().items()}))
