"""CSV: one entry per row, with the columns start, end, text; optionally kind, score, speaker, uncertain.

Other columns are ignored.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from analyzer_agent.importing.model import Document, Entry, Flaws, Place, readable

_REQUIRED_COLUMNS = ("start", "end", "text")
_MAX_FIELD_CHARS = 1 << 24
"""The most characters of a field."""


def separator(text: str) -> str:
    """Return the column separator if the first line with text is a valid header, else ""."""
    head = text.lstrip().split("\n", 1)[0]
    return next((mark for mark in ",;\t" if set(_REQUIRED_COLUMNS) <= set(_names(head.split(mark)))), "")


def table(text: str, name: str) -> Document:
    """Parse a CSV file with a header; `name` is the file's name, for messages.

    Raises:
        AgentError: no row is valid; the message names line and field.
    """
    before = csv.field_size_limit(_MAX_FIELD_CHARS)
    flaws = Flaws()
    try:
        rows = csv.reader(io.StringIO(text), delimiter=separator(text), quoting=_quoting(text))
        names = _names(next(row for row in rows if row))
        numbered = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Place(name, f"line {rows.line_num}", flaws).invalid(str(error)) from error
    finally:
        csv.field_size_limit(before)
    entries = readable(flaws, (partial(_entry, names, row, Place(name, f"line {number}", flaws)) for number, row in numbered))
    return Document("csv", entries, flaws=flaws.told())


def _quoting(text: str) -> Literal[0, 3]:
    """Return whether quotation marks are part of the texts, as in Whisper's TSV: there are single ones."""
    single = separator(text) == "\t" and any(line.count('"') % 2 for line in text.split("\n"))
    return csv.QUOTE_NONE if single else csv.QUOTE_MINIMAL


def _names(cells: list[str]) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in cells]


def _entry(names: Sequence[str], cells: Sequence[str], at: Place) -> Entry:
    if len(cells) < len(names):
        raise at.invalid(f"it has {len(cells)} columns, the header has {len(names)}")
    row = dict(zip(names, cells, strict=False))
    start, end = (at.time(row[field], field) for field in ("start", "end"))
    return replace(
        at.entry(start, end, at.text(row["text"])).said_by(at.text(row.get("speaker", ""), "speaker")),
        kind=row.get("kind", "").strip(),
        score=at.score(row.get("score", "").strip()),
        uncertain=row.get("uncertain", "").strip().lower() == "true",
    )
