"""CSV: one entry per row, with the columns start, end, text; optionally kind, score, uncertain.

Other columns are ignored.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace

from analyzer_agent.importing.model import Document, Entry, Place

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
        AgentError: a row is invalid; the message names line and field.
    """
    before = csv.field_size_limit(_MAX_FIELD_CHARS)
    try:
        rows = csv.reader(io.StringIO(text), delimiter=separator(text))
        names = _names(next(row for row in rows if row))
        entries = []
        for row in rows:
            at = Place(name, f"line {rows.line_num}")
            if not any(cell.strip() for cell in row):
                continue
            if len(row) < len(names):
                raise at.invalid(f"it has {len(row)} columns, the header has {len(names)}")
            entries.append(_entry(dict(zip(names, row, strict=False)), at))
    except csv.Error as error:
        raise Place(name, f"line {rows.line_num}").invalid(str(error)) from error
    finally:
        csv.field_size_limit(before)
    return Document("csv", entries)


def _names(cells: list[str]) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in cells]


def _entry(row: Mapping[str, str], at: Place) -> Entry:
    start, end = (at.time(row[field], field) for field in ("start", "end"))
    return replace(
        at.entry(start, end, at.text(row["text"])),
        kind=row.get("kind", "").strip(),
        score=at.score(row.get("score", "").strip()),
        uncertain=row.get("uncertain", "").strip().lower() == "true",
    )
