"""`sessions`: list the sessions in the store."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.help import command
from analyzer_agent.cli.options import settings_of, shared_options, store_to_read
from analyzer_agent.cli.output import echo, safe_json, table
from analyzer_agent.wording import quote

if TYPE_CHECKING:
    from analyzer_agent.storage import Store

_MAX_TEXT_CHARS = 200
_MAX_NAMES = 2


@command()
@shared_options("json", "store")
def sessions(as_object: bool, **flags: Any) -> None:
    """List the sessions in the store, newest first.

    To continue one: analyzer-agent chat --session NAME
    """
    path = store_to_read(settings_of(flags))
    rows: list[dict[str, Any]] = []
    if path.exists():
        from analyzer_agent.storage import Store

        with Store(path) as store:
            rows = sessions_in(store)
    if as_object:
        click.echo(safe_json(rows))
    elif rows:
        echo(as_table(rows))
    else:
        echo("No sessions yet. Start one: analyzer-agent chat VIDEO", err=True)


def sessions_in(store: "Store") -> list[dict[str, Any]]:
    """Return the sessions in the JSON form; times are UTC, ISO 8601."""
    names = {video.id: video.name for video in store.maintenance.videos()}
    return [
        {
            "name": row["name"],
            "videos": [names.get(video, video) for video in json.loads(row["videos"])],
            "first_question": row["first_question"],
            "questions": row["turns"],
            "begun": row["created"],
        }
        for row in store.history.sessions()
    ]


def as_table(rows: list[dict[str, Any]]) -> str:
    """Return sessions as a table; times are local."""
    lines = [
        [
            row["name"],
            str(row["questions"]),
            _local(row["begun"]),
            _folded(row["videos"]),
            quote(row["first_question"] or "", _MAX_TEXT_CHARS),
        ]
        for row in rows
    ]
    return table(["session", "questions", "started", "videos", "first question"], lines, numbers=("questions",))


def _folded(names: list[str]) -> str:
    """Return a list of names, of which only the first is shown where there are many."""
    return ", ".join(names) if len(names) <= _MAX_NAMES else f"{names[0]} and {len(names) - 1} more"


def _local(stamp: str) -> str:
    return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M}"
