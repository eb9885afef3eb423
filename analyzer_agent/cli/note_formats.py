"""Notes in the formats that other programs read: table, JSON, JSON lines, CSV, SRT, WebVTT, Markdown.

Knows nothing of where notes come from.
"""

import csv
import html
import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analyzer_agent.cli.safe_json import one_line, safe_json, sanitize
from analyzer_agent.cli.tables import table
from analyzer_agent.records import JoinedNote
from analyzer_agent.timeline import TimeRange
from analyzer_agent.wording import quote

if TYPE_CHECKING:
    from analyzer_agent.evidence.cues import WordCue
    from analyzer_agent.evidence.spoken_words import SpokenWord

F = TypeVar("F", bound=Callable[..., Any])

WITH_WORDS = ("json", "jsonl", "csv", "vtt")
"""The formats that can give each word with its time."""

_LONGEST = 200

CUES = ("srt", "vtt")
"""The formats that consist of cues."""


@dataclass(frozen=True, slots=True)
class NoteRow(JoinedNote):
    """A joined note, ready to be written.

    `units` are what cues are made of, estimated times among them. Cues join rows of one `source` only: two audio tracks are not one text.
    `options` are the options of the provenance that are not the defaults, as text.
    """

    units: "Sequence[SpokenWord]" = ()
    source: str = ""
    options: str = ""


@dataclass(frozen=True)
class Style:
    """How rows are written: the longest line of a cue in columns, whether words come with times, and whether a table cuts no text."""

    width: int = 42
    words: bool = False
    full: bool = False


def style_options(formats: Collection[str]) -> Callable[[F], F]:
    """Add the flags that a `Style` is made of, to a command that writes these formats."""
    words = ", ".join(form for form in WITH_WORDS if form in formats)

    def decorate(command: F) -> F:
        command = click.option(
            "--max-line", type=click.IntRange(min=1), metavar="N", help="The longest line of srt and vtt, in columns.  [default: 42]"
        )(command)
        return click.option("--words", is_flag=True, help=f"Give each word with its time ({words}).")(command)

    return decorate


def style_of(words: bool, max_line: int | None, forms: Collection[str], among: Collection[str] = ()) -> Style:
    """Return the style for output in these formats, which are `among` those of the command (by default all).

    Raises:
        click.UsageError: a flag has nothing to do with any of them.
    """
    if words and not {*WITH_WORDS} & {*forms}:
        raise click.UsageError(f"--words goes with the formats {', '.join(form for form in WITH_WORDS if form in (among or FORMATS))}.")
    if max_line is not None and not {*CUES} & {*forms}:
        raise click.UsageError(f"--max-line goes with the formats {' and '.join(CUES)}.")
    return Style(max_line or Style.width, words)


def write(rows: Sequence[NoteRow], form: str, style: Style | None = None) -> str:
    """Return the rows in a format of `FORMATS`, without a line break at the end; "" where there is nothing to print."""
    return FORMATS[form](rows, style or Style()).rstrip("\n")


def _table(rows: Sequence[NoteRow], style: Style) -> str:
    if not rows:
        return ""
    several = len({row.video for row in rows}) > 1
    lines = [
        [
            f"#{row.id}",
            *([row.video] if several else []),
            str(row.span),
            row.kind,
            ", ".join(filter(None, (row.engine, row.options))) + (" (uncertain)" if row.uncertain else ""),
            quote(row.text, None if style.full else _LONGEST),
        ]
        for row in rows
    ]
    return table(["note", *(["video"] if several else []), "time", "kind", "engine", "text"], lines)


def _json(rows: Sequence[NoteRow], style: Style) -> str:
    return safe_json([row.to_dict(style.words) for row in rows])


def _jsonl(rows: Sequence[NoteRow], style: Style) -> str:
    return "\n".join(safe_json(row.to_dict(style.words), indent=None) for row in rows)


def _csv(rows: Sequence[NoteRow], style: Style) -> str:
    names = ("id", "video", "kind", "analyzer", "engine", "start", "end", "text", "score", "uncertain")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for values in (values for row in rows for values in (_word_rows(row) if style.words else [row.to_dict(words=False)])):
        writer.writerow([sanitize(value) if isinstance(value := values[name], str) else value for name in names])
    return out.getvalue()


def _word_rows(row: NoteRow) -> list[dict[str, Any]]:
    """Return the row once for each of its words, with the word's own text, times and probability."""
    whole = row.to_dict(words=False)
    words = [word.to_dict() for word in row.words]
    return [whole | {"text": w["word"], "start": w["start"], "end": w["end"], "score": w["probability"]} for w in words]


def _srt(rows: Sequence[NoteRow], style: Style) -> str:
    shown = [(span, _cue(cue if isinstance(cue, str) else cue.text)) for span, cue in _cues(rows, style)]
    return "\n\n".join(f"{n}\n{_times(span, ',')}\n{text}" for n, (span, text) in enumerate(shown, 1))


def _vtt(rows: Sequence[NoteRow], style: Style) -> str:
    shown = [f"{_times(span, '.')}\n{_payload(cue, style)}" for span, cue in _cues(rows, style)]
    return "\n\n".join(["WEBVTT", *shown])


def _payload(cue: "WordCue | str", style: Style) -> str:
    if isinstance(cue, str) or not style.words:
        return html.escape(_cue(cue if isinstance(cue, str) else cue.text), quote=False)
    at, lines = cue.span.start, []
    for line in cue.lines:
        told = ""
        for n, word in enumerate(line):
            told += "" if word.joint or not n else " "
            if at < word.start < cue.span.end:  # a mark must lie within its cue, after the one before
                at = word.start
                told += f"<{_stamp(at, '.')}>"
            told += html.escape(one_line(word.text), quote=False)
        lines.append(told)
    return "\n".join(lines)


def _cues(rows: Sequence[NoteRow], style: Style) -> "list[tuple[TimeRange, WordCue | str]]":
    """Return the cues in time order: what is spoken as cues of readable length, everything else as it is."""
    from analyzer_agent.evidence.cues import cues

    in_time = sorted(rows, key=lambda row: (row.span.start, row.id))
    shown: list[tuple[TimeRange, WordCue | str]] = [(row.span, row.text) for row in in_time if not row.units]
    for source in dict.fromkeys(row.source for row in in_time):
        words = [word for row in in_time if row.source == source for word in row.units]
        shown += [(cue.span, cue) for cue in cues(words, style.width)]
    return sorted(shown, key=lambda cue: cue[0])


def _markdown(rows: Sequence[NoteRow], _style: Style) -> str:
    head = ["| note | time | kind | engine | text |", "|---|---|---|---|---|"]
    return "\n".join(
        head + [f"| #{row.id} | {row.span} | {row.kind} | {_cell(row.engine, row.uncertain)} | {_escaped(row.text)} |" for row in rows]
    )


def _cue(text: str) -> str:
    """Return a cue's lines; an empty line would end the cue."""
    return re.sub(r"\n\s*\n+", "\n", sanitize(text).strip()).replace("-->", "->") or "-"


def _cell(engine: str, uncertain: bool) -> str:
    return _escaped(engine) + (" (uncertain)" if uncertain else "")


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", one_line(text))


def _times(span: TimeRange, point: str) -> str:
    return f"{_stamp(span.start, point)} --> {_stamp(span.end, point)}"


def _stamp(ms: int, point: str) -> str:
    whole, rest = divmod(ms, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{rest:03}"


FORMATS: Mapping[str, Callable[[Sequence[NoteRow], Style], str]] = {
    "table": _table,
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "srt": _srt,
    "vtt": _vtt,
    "md": _markdown,
}
