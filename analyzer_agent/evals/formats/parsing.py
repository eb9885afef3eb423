"""Parse JSON, JSON lines, CSV and Parquet into records, detected by content and not by name."""

import csv
import importlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from analyzer_agent.errors import AgentError, near
from analyzer_agent.installing import pip_install

_PARQUET = b"PAR1"
_HEAD = 4096
_JSON_HINT = "Give JSON, one JSON object for each line, or CSV."


class Records(NamedTuple):
    """First record's fields, and records with places; iterating may raise `AgentError`."""

    fields: Sequence[str]
    rows: Iterable[tuple[str, dict[str, Any]]]
    table: bool = False
    """Whether the file is CSV."""


def read_records(path: Path) -> Records:
    """Return the records of a file.

    Raises:
        AgentError: the file cannot be read, is not UTF-8 text, or is malformed.
    """
    data = _bytes(path)
    if data.startswith(_PARQUET):
        return _records(_objects(_parquet(path), path.name))
    text = _decoded(data, path)
    start = text.lstrip()[:1]
    if start == "[":
        return _records(_objects(_parsed(text, path.name), path.name))
    return _object_or_lines(text, path.name) if start == "{" else _table(text, path.name)


def read_json(path: Path) -> Any:
    """Return the value in a JSON file.

    Raises:
        AgentError: the file cannot be read, or is not JSON.
    """
    return _parsed(_decoded(_bytes(path), path), path.name)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise AgentError(f"The question file {str(path)!r} cannot be read: {why}.", hint=near(path)) from error


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in data[:_HEAD]:
            raise AgentError(f"{str(path)!r} is not a text file.", hint="Give questions as JSON lines or CSV.") from error
        raise AgentError(f"The question file {str(path)!r} is not UTF-8 text.", hint="Save it as UTF-8 text.") from error


def parse_json(text: str) -> Any:
    """Return the value of JSON text.

    Raises:
        ValueError: the text is not JSON, or contains a lone surrogate.
        RecursionError: the value is nested too deeply.
    """
    found = json.loads(text)
    if "\\ud" in text or "\\uD" in text:
        # JSON can express a lone surrogate, but no prompt or answer file (UTF-8) can.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _parsed(text: str, name: str, line: int = 0) -> Any:
    """Parse a file, or its line of this number."""
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        place, why = f"{name}, line {line or error.lineno}", f"{error.msg} at character {error.colno}"
        raise AgentError(f"{place}: it is not valid JSON ({why}).", hint=_JSON_HINT) from error
    except (ValueError, RecursionError) as error:
        place = f"{name}, line {line}" if line else name
        raise AgentError(f"{place}: it is not valid JSON ({error}).", hint=_JSON_HINT) from error


def _object_or_lines(text: str, name: str) -> Records:
    head, _, rest = text.strip().partition("\n")
    if rest and _is_json(head):
        return _records(_lines(text, name))
    document = _parsed(text, name)
    if document and all(isinstance(value, dict) for value in document.values()):
        # Records keyed by id, as in derived subsets of EgoSchema.
        return _records(_objects([{"q_uid": key} | value for key, value in document.items()], name))
    return _records(iter([(f"{name}, line 1", document)]))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        given = _parsed(line, name, number)
        place = f"{name}, line {number}"
        if not isinstance(given, dict):
            raise AgentError(f"{place}: it is not a JSON object.", hint="Each line is one JSON object.")
        yield place, given


def _objects(given: Sequence[Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, value in enumerate(given, 1):
        if not isinstance(value, dict):
            raise AgentError(f"{name}, record {number}: it is not a JSON object.", hint="The list must hold one object for each question.")
        yield f"{name}, record {number}", value


def _records(rows: Iterator[tuple[str, dict[str, Any]]]) -> Records:
    first = next(rows, None)
    return Records((), ()) if first is None else Records(tuple(first[1]), chain([first], rows))


def _table(text: str, name: str) -> Records:
    head = text.strip().partition("\n")[0]
    if not head:
        return Records((), ())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), skipinitialspace=True)
    rows = _cells(reader, name)
    columns = [column.strip() for column in next(rows)[1]]
    if twice := next((column for at, column in enumerate(columns) if column in columns[:at]), None):
        raise AgentError(f"{name}, line 1: the column {twice!r} is there twice.", hint="Rename one of them.")
    return Records(columns, _named(rows, columns), table=True)


def _named(rows: Iterator[tuple[str, list[str]]], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, cells in rows:
        if len(cells) != len(columns):
            raise AgentError(
                f"{place}: it has {len(cells)} cells, the first line has {len(columns)} columns.",
                hint="Put quotes around a cell that holds a comma.",
            )
        # An empty cell means a missing field.
        yield place, {column: cell.strip() for column, cell in zip(columns, cells, strict=True) if cell.strip()}


def _cells(reader: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    try:
        for cells in reader:
            if cells:
                yield f"{name}, line {reader.line_num}", cells
    except csv.Error as error:
        place = f"{name}, line {reader.line_num}"
        raise AgentError(f"{place}: it is not valid CSV ({error}).", hint="Save it as CSV again, or give JSON.") from error


def _parquet(path: Path) -> list[Any]:
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        why = f"Reading the Parquet file {path.name!r} needs 'pyarrow', which is not installed."
        raise AgentError(why, hint=pip_install("pyarrow")) from error
    try:
        rows: list[Any] = parquet.read_table(str(path)).to_pylist()
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise AgentError(f"{path.name!r} is not a Parquet file that can be read: {error}.", hint="Download it again.") from error
    return rows
