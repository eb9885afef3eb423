"""Sessions, answers, citations and notes as HTML for notebooks, and the progress of a question there."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent_encoded

from analyzer_agent.errors import AgentError
from analyzer_agent.events import Answered, Event, TextDelta
from analyzer_agent.records import Answer, Citation, JoinedNote, Note
from analyzer_agent.timeline import TimeRange, clock, seconds
from analyzer_agent.wording import answer_lines, event_line, note_line, quote, source_of

_STILL_SIDE = 240
"""The longest side of a still, in pixels: about 10 kB each."""
_STILLS = 6
"""The most stills in one answer or list."""
_ROWS = 200
"""The most notes in one list: all are in the object, and a page of thousands of rows is slow."""
_LINES = 6
"""The most lines of progress."""


def answer_html(answer: Answer) -> str:
    """Return an answer with its citations and stills; a time is a link into the file, if the file exists."""
    several = len({citation.video for citation in answer.citations}) > 1
    lines = [(role, line) for role, line in answer_lines(answer) if role != "citation"]
    told = "".join(f"<p>{escape(line)}</p>" for role, line in lines if role in ("answer", "choice"))
    cited = "".join(f"<li>{citation_html(one, several, still=n < _STILLS)}</li>" for n, one in enumerate(answer.citations))
    rest = "<br>".join(escape(line.strip()) for role, line in lines if role not in ("answer", "choice"))
    return f"<div>{told}{f'<ul>{cited}</ul>' if cited else ''}<p><small>{rest}</small></p></div>"


def citation_html(citation: Citation, several: bool = True, still: bool = True) -> str:
    """Return a citation with a still of its first moment; `several`: name its video."""
    span = citation.words[0] if citation.words else citation.span
    name = f"{escape(citation.video)} " if several and citation.video else ""
    told = f"{escape(source_of(citation))}: {escape(quote(citation.text))}"
    line = f"[#{citation.note}] {name}{_linked(citation.times, citation.path, span)} {told}"
    return f"{line}{_still(citation.path, span.start) if still else ''}"


def note_html(note: JoinedNote) -> str:
    """Return a note with a still of its first moment."""
    return f"<div>{escape(note_line(note))} {_linked('play', note.path, note.span)}{_still(note.path, note.span.start)}</div>"


def stored_note_html(note: Note) -> str:
    """Return a note as the store has it; a note has the id of its video only, so the file is one of those that are open."""
    from analyzer_agent.media import path_of_open

    path = path_of_open(note.video)
    name = Path(path).name or note.video
    told = f"[#{note.id}] {name} {note.span} {note.kind}, {note.analyzer}: {quote(note.text)}"
    return f"<div>{escape(told)} {_linked('play', path, note.span) if path else ''}{_still(path, note.span.start)}</div>"


def notes_html(notes: Sequence[JoinedNote]) -> str:
    """Return notes as a table."""
    head = "".join(f"<th>{name}</th>" for name in ("id", "video", "time", "kind", "text"))
    rows = "".join(
        f"<tr><td>#{note.id}</td><td>{escape(note.video)}</td><td>{_linked(str(note.span), note.path, note.span)}</td>"
        f"<td>{escape(note.kind)}</td><td>{escape(note.text)}</td></tr>"
        for note in notes[:_ROWS]
    )
    more = f"<p><small>{len(notes) - _ROWS} more notes</small></p>" if len(notes) > _ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def session_html(title: str, videos: Iterable[tuple[str, str, int, str]]) -> str:
    """Return a session: its title, and each video as (name, path, duration in ms, what is covered)."""
    items = (
        f"<li>{escape(name)}, {clock(duration)}: {escape(covered)}{_still(path, duration // 3) if n < _STILLS else ''}</li>"
        for n, (name, path, duration, covered) in enumerate(videos)
    )
    return f"<div><p>{escape(title)}</p><ul>{''.join(items)}</ul></div>"


def watch(events: Iterable[Event]) -> Answer:
    """Show the events of a question in a notebook while they come, in place; return the answer.

    Args:
        events: what `Session.stream` returns.

    Raises:
        AgentError: IPython is not installed, or the question fails.
    """
    try:
        from IPython.display import HTML, display
    except ImportError as error:
        raise AgentError(
            "watch shows progress in a notebook, and IPython is not here.", hint="Use Session.ask, or print events."
        ) from error
    handle: Any = display(HTML("<small>starting</small>"), display_id=True)
    lines, text = list[str](), ""
    for event in events:
        if isinstance(event, Answered):
            if handle is not None:  # outside a notebook there is nothing to update
                handle.update(HTML("<br>".join(f"<small>{escape(line)}</small>" for line in lines)))
            return event.answer
        if isinstance(event, TextDelta):
            text += event.text
        elif line := event_line(event):
            lines = [*(one for one in lines if one.partition(":")[0] != line.partition(":")[0]), line][-_LINES:]
        if handle is not None:
            shown = "<br>".join(f"<small>{escape(line)}</small>" for line in lines)
            handle.update(HTML(f"{shown}<p>{escape(text)}</p>"))
    raise RuntimeError("the question ended without an answer")


def _linked(text: str, path: str, span: TimeRange) -> str:
    return f'<a href="{escape(_url(path))}#t={seconds(span.start)},{seconds(span.end)}">{escape(text)}</a>' if path else escape(text)


def _still(path: str, at: int) -> str:
    """Return the frame shown at `at` ms as an image in the page; the reason if it cannot be read, "" without a picture."""
    if not path or not Path(path).is_file():
        return ""
    from analyzer_agent.media import jpeg, open_video

    try:
        with open_video(path) as video:
            if video.picture is None or not video.picture.start <= at < video.picture.end:
                return ""
            frame = next(iter(video.frames(video.picture, instants=[at])), None)
    except AgentError as error:
        return f"<br><small>no picture: {escape(str(error))}</small>"
    if frame is None:
        return ""
    data = base64.b64encode(jpeg(frame.image, _STILL_SIDE, 7)).decode("ascii")
    return f'<br><img alt="{escape(Path(path).name)} at {clock(at)}" src="data:image/jpeg;base64,{data}">'


def _url(path: str) -> str:
    given = Path(path)
    return given.as_uri() if given.is_absolute() else percent_encoded(given.as_posix())
