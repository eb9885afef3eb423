"""Notes in the formats that other programs read: table, JSON, JSON lines, CSV, SRT, WebVTT, Markdown.

Knows nothing of where notes come from.
"""

import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.cli.plain import as_json, one_line, plain
from analyzer_agent.cli.showing import quote
from analyzer_agent.cli.tables import table
from analyzer_agent.timeline import TimeRange, seconds


@dataclass(frozen=True, slots=True)
class Row:
    """A joined note, ready to be written."""

    id: int
    video: str
    analyzer: str
    engine: str
    kind: str
    span: TimeRange
    text: str
    score: float | None
    uncertain: bool
    notes: tuple[int, ...]


def write(rows: Sequence[Row], form: str) -> str:
    """Return the rows in a format of `FORMATS`, without a line break at the end; "" where there is nothing to print."""
    return FORMATS[form](rows).rstrip("\n")


def _object(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "video": row.video,
        "kind": row.kind,
        "analyzer": row.analyzer,
        "engine": row.engine,
        "start": seconds(row.span.start),
        "end": seconds(row.span.end),
        "text": row.text,
        "score": None if row.score is None else round(row.score, 4),
        "uncertain": row.uncertain,
        "notes": list(row.notes),
    }


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = [
        [f"#{row.id}", str(row.span), row.kind, row.engine + (" (uncertain)" if row.uncertain else ""), quote(row.text, 200)]
        for row in rows
    ]
    return table(["note", "time", "kind", "engine", "text"], lines)


def _json(rows: Sequence[Row]) -> str:
    return as_json([_object(row) for row in rows])


def _jsonl(rows: Sequence[Row]) -> str:
    return "\n".join(as_json(_object(row), indent=None) for row in rows)


def _csv(rows: Sequence[Row]) -> str:
    names = ("id", "video", "kind", "analyzer", "engine", "start", "end", "text", "score", "uncertain")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = _object(row)
        writer.writerow([plain(value) if isinstance(value := values[name], str) else value for name in names])
    return out.getvalue()


def _srt(rows: Sequence[Row]) -> str:
    return "\n\n".join(f"{n}\n{_times(row.span, ',')}\n{_cue(row.text)}" for n, row in enumerate(_in_time(rows), 1))


def _vtt(rows: Sequence[Row]) -> str:
    cues = [f"{_times(row.span, '.')}\n{html.escape(_cue(row.text), quote=False)}" for row in _in_time(rows)]
    return "\n\n".join(["WEBVTT", *cues])


def _markdown(rows: Sequence[Row]) -> str:
    head = ["| note | time | kind | engine | text |", "|---|---|---|---|---|"]
    return "\n".join(
        head + [f"| #{row.id} | {row.span} | {row.kind} | {_cell(row.engine, row.uncertain)} | {_escaped(row.text)} |" for row in rows]
    )


def _in_time(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.span.start, row.id))


def _cue(text: str) -> str:
    """Return a cue's lines; an empty line would end the cue."""
    return re.sub(r"\n\s*\n+", "\n", plain(text).strip()).replace("-->", "->") or "-"


def _cell(engine: str, uncertain: bool) -> str:
    return _escaped(engine) + (" (uncertain)" if uncertain else "")


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", one_line(text))


def _times(span: TimeRange, point: str) -> str:
    return f"{_stamp(span.start, point)} --> {_stamp(span.end, point)}"


def _stamp(ms: int, point: str) -> str:
    whole, rest = divmod(ms, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{rest:03}"


FORMATS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "table": _table,
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "srt": _srt,
    "vtt": _vtt,
    "md": _markdown,
}
