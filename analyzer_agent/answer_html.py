"""Answers as HTML, for notebooks."""

from html import escape
from pathlib import Path
from urllib.parse import quote as percent_encoded

from analyzer_agent.records import Answer, Citation
from analyzer_agent.timeline import seconds
from analyzer_agent.wording import answer_lines, quote, source_of


def answer_html(answer: Answer) -> str:
    """Return an answer with its citations; a time is a link into the file, if the file exists."""
    several = len({citation.video for citation in answer.citations}) > 1
    lines = [(role, line) for role, line in answer_lines(answer) if role != "citation"]
    told = "".join(f"<p>{escape(line)}</p>" for role, line in lines if role in ("answer", "choice"))
    cited = "".join(f"<li>{_cited(citation, several)}</li>" for citation in answer.citations)
    rest = "<br>".join(escape(line.strip()) for role, line in lines if role not in ("answer", "choice"))
    return f"<div>{told}{f'<ul>{cited}</ul>' if cited else ''}<p><small>{rest}</small></p></div>"


def _cited(citation: Citation, several: bool) -> str:
    times = escape(citation.times)
    if citation.path:
        span = citation.words[0] if citation.words else citation.span
        times = f'<a href="{escape(_url(citation.path))}#t={seconds(span.start)},{seconds(span.end)}">{times}</a>'
    name = f"{escape(citation.video)} " if several else ""
    return f"[#{citation.note}] {name}{times} {escape(source_of(citation))}: {escape(quote(citation.text))}"


def _url(path: str) -> str:
    given = Path(path)
    return given.as_uri() if given.is_absolute() else percent_encoded(given.as_posix())
