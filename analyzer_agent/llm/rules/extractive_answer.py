"""Extractive answers: sentences, lists, counts and choices that only quote notes, with citations.

Every answer carries `SIGNATURE`, which says how it was found.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.llm.rules.text_matching import content_stems, stem_overlap, tokens
from analyzer_agent.records import ShownNote

SIGNATURE = "(Found by keyword rules, without a language model.)"

_HIGH_CONFIDENCE_SCORE, _MEDIUM_CONFIDENCE_SCORE = 0.75, 0.5
_MAX_QUOTED_PASSAGES = 3
_MAX_GROUPED_LINES = 5
_CUE_GAP_MS = 1_000
_NOUNS = {"scene": "shot", "motion": "movement", "voice": "stretch of speech", "object": "sighting", "track": "object"}
_NUMBER_WORDS = dict(enumerate("zero one two three four five six seven eight nine ten eleven twelve".split()))  # noqa: SIM905


@dataclass(frozen=True)
class Passage:
    """Neighbouring notes that form one sentence, with their score as an answer.

    Attributes:
        lines: the notes.
        text: their joined text.
        score: the relevance, from 0 to 1.
        enough: whether the passage is good enough to be quoted.
    """

    lines: tuple[ShownNote, ...]
    text: str
    score: float = 0.0
    enough: bool = False

    @property
    def kind(self) -> str:
        return self.lines[0].kind

    @property
    def start(self) -> int:
        return self.lines[0].span.start


def group_lines(lines: Sequence[ShownNote]) -> list[list[ShownNote]]:
    """Group subtitle cues that form one sentence, and text lines that are visible together."""
    ordered = sorted(lines, key=lambda n: (n.video, n.kind, n.span.start))
    found: list[list[ShownNote]] = []
    for line in ordered:
        last = found[-1][-1] if found else None
        if last and line.kind == "subtitle" == last.kind and line.video == last.video and _continues(last, line):
            found[-1].append(line)
        elif line.kind == "text":
            together = [n for n in ordered if n.kind == "text" and n.video == line.video and n.span.overlaps(line.span)]
            if together[:_MAX_GROUPED_LINES] not in found:
                found.append(together[:_MAX_GROUPED_LINES])
        else:
            found.append([line])
    return found


def _continues(last: ShownNote, line: ShownNote) -> bool:
    return line.span.start - last.span.end <= _CUE_GAP_MS and not last.text.rstrip().endswith((".", "!", "?"))


def finish_arguments(
    question: str, units: Sequence[Passage], used: Sequence[str], *, cut: bool, outside: bool, left: str = "", stopped: bool = False
) -> dict[str, Any]:
    """Return the arguments of finish.

    Args:
        question: the question without its options.
        units: the passages of the notes.
        used: the tools that were called.
        cut: whether a result was truncated.
        outside: whether the requested time is outside the videos.
        left: a sentence on unexamined parts, "" if there are none.
        stopped: whether a limit was reached before all planned calls were made.
    """
    good = sorted((u for u in units if u.enough), key=lambda u: (-u.score, u.start))
    if not good:
        tools = ", ".join(dict.fromkeys(used))
        if stopped and not outside:
            first = f"found an answer. Used: {tools}" if tools else "looked at anything"
            return _not_found_arguments(f"Stopped by a limit before it {first}.", left)
        why = "the time asked for lies outside of the video" if outside else "no note holds enough of the question's words"
        where = " in what was looked at" if left else ""
        return _not_found_arguments(f"Not found{where}: {why}. Used: {tools or 'nothing'}.", left)
    top = [u for u in good if u.score == good[0].score]
    if top[0].kind in _NOUNS:
        return _list_arguments(question, [u for u in top if u.kind == top[0].kind], cut or bool(left), left)
    chosen = sorted(top[:_MAX_QUOTED_PASSAGES], key=lambda u: u.start)
    return _found_arguments(" ".join(_quote(u) for u in chosen), chosen)


def choose_option(
    question: str, options: Mapping[str, str], units: Sequence[Passage], *, cut: bool, left: str = "", number: int | None = None
) -> dict[str, Any]:
    """Return the arguments of finish with the option that the notes favour, if they favour one.

    Args:
        question: the question without its options.
        options: text by letter.
        units: the passages of the notes.
        cut: whether a result was truncated.
        left: a sentence on unexamined parts, "" if there are none.
        number: the number of objects, if they were counted.
    """
    if counted := _count_asked_for(question, units, cut or bool(left), number):
        number, unit = counted
        letters = [letter for letter, text in options.items() if {str(number), _NUMBER_WORDS.get(number)} & set(tokens(text))]
        if len(letters) == 1:
            return _found_arguments(f"{letters[0]}: {options[letters[0]]}. {_quote(unit)}", [unit]) | {"choice": letters[0]}
    wanted = content_stems(question)
    scored = [
        (stem_overlap(content_stems(text) or tokens(text), unit.text) + 0.5 * stem_overlap(wanted, unit.text), letter, unit)
        for letter, text in options.items()
        for unit in units
        if stem_overlap(content_stems(text) or tokens(text), unit.text) >= _MEDIUM_CONFIDENCE_SCORE
    ]
    scored.sort(key=lambda s: -s[0])
    if not scored or any(s[0] == scored[0][0] and s[1] != scored[0][1] for s in scored):
        return _not_found_arguments("Undecided: the notes do not favour one option.", left)
    _, letter, unit = scored[0]
    return _found_arguments(f"{letter}: {options[letter]}. {_quote(unit)}", [unit]) | {"choice": letter}


def _count_asked_for(question: str, units: Sequence[Passage], cut: bool, number: int | None) -> tuple[int, Passage] | None:
    """Return the requested number and the note that shows it, None if there is no such number."""
    listed = [u for u in units if u.enough and u.kind in _NOUNS]
    if not listed or cut or not re.search(r"\bhow many\b", question, re.I):
        return None
    if listed[0].kind == "track":
        return (len(listed) if number is None else number), listed[0]
    if listed[0].kind == "object":
        most = max(listed, key=_number)
        return _number(most), most
    return sum(u.lines[0].times for u in listed), max(listed, key=lambda u: u.start)


def _number(unit: Passage) -> int:
    first = unit.text.split()[:1]
    return int(first[0]) if first and first[0].isdecimal() and len(first[0]) < 10 else 0


def _list_arguments(question: str, units: Sequence[Passage], cut: bool, left: str) -> dict[str, Any]:
    in_time = sorted(units, key=lambda u: u.start)
    kind, number = in_time[0].kind, sum(u.lines[0].times for u in in_time)
    plural = "stretches of speech" if kind == "voice" else f"{_NOUNS[kind]}s"
    head = ""
    if kind == "object" and re.search(r"\bhow many\b", question, re.I):
        top = max(in_time, key=_number)
        head = f"At most {top.text} at the same time [#{top.lines[0].id}]. "
    texts = ", ".join(f"{u.text} [#{u.lines[0].id}]" for u in in_time)
    return _found_arguments(
        f"{head}{'At least ' if cut else ''}{number} {_NOUNS[kind] if number == 1 else plural}: {texts}.{f' {left}' if left else ''}",
        in_time,
    )


def _quote(unit: Passage) -> str:
    marks = "".join(f"[#{line.id}]" for line in unit.lines)
    where = {"text": "On screen", "speech": "Said", "subtitle": "Subtitle"}.get(unit.kind, unit.kind.capitalize())
    doubt = " (recognised by a weak engine, uncertain)" if any(line.uncertain for line in unit.lines) else ""
    return f'{where}{doubt}: "{unit.text.strip()}" {marks}.'


def _found_arguments(text: str, units: Sequence[Passage]) -> dict[str, Any]:
    lines = [line for u in units for line in u.lines]
    unsure = any(line.uncertain for line in lines) or min(u.score for u in units) < _HIGH_CONFIDENCE_SCORE
    return {
        "answer": f"{text} {SIGNATURE}",
        "notes": [line.id for line in lines],
        "confidence": "low" if unsure else "medium",
        "found": True,
    }


def _not_found_arguments(text: str, left: str = "") -> dict[str, Any]:
    told = {"answer": " ".join(part for part in (text, left, SIGNATURE) if part), "notes": [], "confidence": "low", "found": False}
    return told | ({"not_examined": left} if left else {})
