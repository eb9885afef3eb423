"""Answers as text for people: the answer, its evidence, what was not examined, what it cost.

Times and quotes are those of the citations, which come from the store. Knows nothing of how answers come about.
"""

from collections.abc import Iterable, Mapping, Sequence

import click

from analyzer_agent.cli.plain import one_line, plain
from analyzer_agent.cli.words import amount
from analyzer_agent.cli.wrapping import wrapped
from analyzer_agent.records import Answer, Citation, Unexamined
from analyzer_agent.timeline import TimeRange, seconds

_LONGEST_QUOTE = 300
_RANGES_SHOWN = 4
_ENDINGS = {"out_of_steps": "The steps were used up before it was done.", "out_of_budget": "The budget was used up before it was done."}


def show_answer(
    answer: Answer, *, several: bool = False, told: bool = False, names: Mapping[str, str] | None = None, full: bool = False
) -> None:
    """Print an answer on stdout.

    Args:
        answer: what was answered.
        several: name the file of each citation.
        told: the text stands on the terminal already.
        names: video id -> name, where there are several videos.
        full: cut no quotation.
    """
    if not told:
        click.echo(click.style(wrapped(plain(answer.text)), bold=True))
    if answer.choice:
        click.echo(f"Choice: {answer.choice}")
    for citation in answer.citations:
        click.echo(cited(evidence_line(citation, several, full)))
    for claim in answer.unsupported:
        click.echo(click.style(wrapped(f"  Without evidence: {one_line(claim)}", 4), fg="yellow"))
    if answer.missing:
        click.echo(click.style(wrapped(f"  Not proved: {one_line(answer.missing)}", 4), fg="yellow"))
    show_left(answer.not_examined, names or {}, unseen=answer.finished != "answered")
    if ending := _ENDINGS.get(answer.finished):
        click.echo(ending)
    click.echo(click.style(f"Confidence: {answer.confidence}", dim=True))
    click.echo(click.style(wrapped(f"Cost: {cost_line(answer)}", 2), dim=True))


def show_left(left: Sequence[Unexamined], names: Mapping[str, str], *, unseen: bool = True) -> None:
    """Print what was not examined, and which voices were not understood; without `unseen` only what was tried."""
    gaps = [u for u in left if u.reason != "not_understood"]
    if gaps and (unseen or any(u.reason != "unseen" for u in gaps)):
        click.echo(wrapped(f"Not examined: {unexamined_line(gaps, names)}", 2))
    for line in unheard_lines(left, names):
        click.echo(wrapped(line, 2))


def unheard_lines(left: Iterable[Unexamined], names: Mapping[str, str]) -> list[str]:
    """Return `Not understood: voice at 0:00-0:15 without words` for each video where this is so."""
    spans: dict[str, list[TimeRange]] = {}
    for u in left:
        if u.reason == "not_understood":
            spans.setdefault(u.video, []).append(u.span)
    return [f"Not understood: voice at {_ranges(found)}{_of(video, names)} without words" for video, found in spans.items()]


def _ranges(ranges: Sequence[TimeRange]) -> str:
    more = f" and {len(ranges) - _RANGES_SHOWN} more parts" if len(ranges) > _RANGES_SHOWN else ""
    return ", ".join(str(span) for span in ranges[:_RANGES_SHOWN]) + more


def _of(video: str, names: Mapping[str, str]) -> str:
    return f" of {one_line(names[video])}" if len(names) > 1 and video in names else ""


def evidence_line(citation: Citation, several: bool, full: bool = False) -> str:
    """Return `[#12] 1:04.2-1:07.9 speech, pocketsphinx, uncertain: "it costs forty"`."""
    name = f"{one_line(citation.video)} " if several else ""
    by = ", ".join([citation.kind, *([citation.engine] if citation.engine else []), *(["uncertain"] if citation.uncertain else [])])
    return f"[#{citation.note}] {name}{citation.times} {by}: {quote(citation.text, None if full else _LONGEST_QUOTE)}"


def cited(line: str) -> str:
    """Return a line that begins with the mark of a note, indented, and continued beside the mark."""
    return wrapped(f"  {line}", 3 + len(line.partition(" ")[0]))


def quote(text: str, longest: int | None = _LONGEST_QUOTE) -> str:
    """Return text on one line in quotation marks, cut where it is longer than `longest`."""
    flat = one_line(text).replace('"', "'")
    return f'"{flat if longest is None or len(flat) <= longest else flat[: longest - 1] + "…"}"'


def unexamined_line(left: Iterable[Unexamined], names: Mapping[str, str]) -> str:
    """Return what was not examined on one line: analyzers with ranges and reasons, those with the same ranges and reason together."""
    groups: dict[tuple[str, str, str], list[TimeRange]] = {}
    for u in left:
        reason = f"{u.reason}: {one_line(u.detail)}" if u.reason == "failed" and u.detail else u.reason
        groups.setdefault((u.analyzer, reason, u.video), []).append(u.span)
    alike: dict[tuple[tuple[TimeRange, ...], str, str], list[str]] = {}
    for (analyzer, reason, video), spans in groups.items():
        alike.setdefault((tuple(spans), reason, video), []).append(analyzer)
    parts = []
    for (ranges, reason, video), analyzers in alike.items():
        parts.append(f"{', '.join(analyzers)} {_ranges(ranges)}{_of(video, names)} ({reason})")
    return "; ".join(parts)


def cost_line(answer: Answer) -> str:
    """Return what the question cost, in one line."""
    usage = answer.usage
    parts = [f"{_seconds(usage.media_ms_analyzed)} new media-seconds", f"{_seconds(usage.media_ms_reused)} reused"]
    if usage.llm_calls:
        calls = f"{usage.llm_calls} model call{'' if usage.llm_calls == 1 else 's'}"
        parts.append(f"{calls} ({usage.input_tokens} tokens in, {usage.output_tokens} out)")
    return ", ".join([*parts, amount(usage.wall_ms)])


def _seconds(ms: int) -> str:
    return f"{seconds(ms):.1f}".removesuffix(".0")
