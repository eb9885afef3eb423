"""Extractive answers: sentences, lists, counts and choices that only quote notes, with citations.

Every answer carries `SIGNATURE`, which says how it was found.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.llm.rules.question_parser import class_words, content_stems, stem_overlap, tokens
from analyzer_agent.records import ShownNote

SIGNATURE = "(Found by keyword rules, without a language model.)"

CLEAR_SCORE = 0.65
"""Tracks with a lower score (from 0.5 on) count, but make the number doubtful."""

_HIGH_CONFIDENCE_SCORE, _MEDIUM_CONFIDENCE_SCORE = 0.75, 0.5
_MAX_QUOTED_PASSAGES, _MAX_GROUPED_LINES, _MAX_MARKS, _MAX_VIDEOS_NAMED = 3, 5, 6, 3
_CUE_GAP_MS = 1_000
_NOUNS = {"scene": "shot", "motion": "movement", "voice": "stretch of speech", "object": "sighting", "track": "object"}
_NUMBER_WORDS = dict(enumerate("zero one two three four five six seven eight nine ten eleven twelve".split()))  # noqa: SIM905
_AT_ONCE = r"\b(?:at (?:most|once)|at the same time|at one time|simultaneously|together|maximum|max)\b"


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
    return line.span.start - last.span.end <= _CUE_GAP_MS and not last.text.rstrip().endswith((".", "!", "?", "\u3002", "\uff01", "\uff1f"))


# --- finish -----------------------------------------------------------------------------------------------------------


def arguments(*said: str, notes: Sequence[ShownNote] = (), sure: bool = False, not_examined: str = "") -> dict[str, Any]:
    """Return the arguments of finish: answered with `notes`, not found without.

    Args:
        said: the sentences; empty ones are left out.
        notes: the cited notes.
        sure: whether nothing makes the answer doubtful.
        not_examined: a sentence on unexamined parts.
    """
    given = {
        "answer": " ".join(part for part in (*said, SIGNATURE) if part),
        "notes": [note.id for note in notes],
        "confidence": "medium" if sure else "low",
        "outcome": "answered" if notes else "not_found",
    }
    return given | ({"not_examined": not_examined} if not_examined else {})


def finish_arguments(
    question: str, units: Sequence[Passage], used: Sequence[str], *, cut: bool, outside: bool, left: str = "", stopped: bool = False
) -> dict[str, Any]:
    """Return the arguments of finish: the best passages, or "not found".

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
            first = f"found an answer. Used: {tools}" if tools else "analyzed anything"
            return arguments(f"Stopped by a limit before it {first}.", left, not_examined=left)
        why = "the requested time is outside the video" if outside else "no note contains enough of the question's words"
        where = " in the analyzed parts" if left else ""
        return arguments(f"Not found{where}: {why}. Used: {tools or 'nothing'}.", left, not_examined=left)
    top = [u for u in good if u.score == good[0].score]
    if top[0].kind in _NOUNS:
        return _listed(question, [u for u in top if u.kind == top[0].kind], cut or bool(left), left)
    return _quoted(*sorted(top[:_MAX_QUOTED_PASSAGES], key=lambda u: u.start))


def _listed(question: str, units: Sequence[Passage], cut: bool, left: str) -> dict[str, Any]:
    in_time = sorted(units, key=lambda u: u.start)
    kind, number = in_time[0].kind, sum(u.lines[0].times for u in in_time)
    plural = "stretches of speech" if kind == "voice" else f"{_NOUNS[kind]}s"
    head = ""
    if kind == "object" and re.search(r"\bhow many\b", question, re.I):
        top = max(in_time, key=_number)
        head = f"At most {top.text} at the same time [#{top.lines[0].id}]."
    texts = ", ".join(f"{u.text} [#{u.lines[0].id}]" for u in in_time)
    listed = f"{'At least ' if cut else ''}{number} {_NOUNS[kind] if number == 1 else plural}: {texts}."
    given = arguments(head, listed, left, notes=_notes(in_time), sure=_are_sure(in_time))
    return given | ({"claim": "count"} if re.search(r"\bhow many\b", question, re.I) else {})


def _quoted(*units: Passage, head: str = "") -> dict[str, Any]:
    return arguments(head, *map(_quote, units), notes=_notes(units), sure=_are_sure(units))


def _quote(unit: Passage) -> str:
    marks = "".join(f"[#{line.id}]" for line in unit.lines)
    where = {"text": "On screen", "speech": "Said", "subtitle": "Subtitle"}.get(unit.kind, unit.kind.capitalize())
    doubt = " (recognised by a weak engine, uncertain)" if any(line.uncertain for line in unit.lines) else ""
    return f'{where}{doubt}: "{unit.text.strip()}" {marks}.'


def _notes(units: Sequence[Passage]) -> list[ShownNote]:
    return [line for unit in units for line in unit.lines]


def _are_sure(units: Sequence[Passage]) -> bool:
    return not any(line.uncertain for line in _notes(units)) and min(u.score for u in units) >= _HIGH_CONFIDENCE_SCORE


# --- choices ----------------------------------------------------------------------------------------------------------


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
            return _chosen(letters[0], options, unit)
    wanted = content_stems(question)
    scored = []
    for letter, text in options.items():
        stems = content_stems(text) or tokens(text)
        fits = [(stem_overlap(stems, unit.text), unit) for unit in units]
        scored += [(fit + 0.5 * stem_overlap(wanted, unit.text), letter, unit) for fit, unit in fits if fit >= _MEDIUM_CONFIDENCE_SCORE]
    scored.sort(key=lambda s: -s[0])
    if not scored or any(s[0] == scored[0][0] and s[1] != scored[0][1] for s in scored):
        return arguments("Undecided: the notes do not favour one option.", left, not_examined=left)
    _, letter, unit = scored[0]
    return _chosen(letter, options, unit)


def _chosen(letter: str, options: Mapping[str, str], unit: Passage) -> dict[str, Any]:
    return _quoted(unit, head=f"{letter}: {options[letter]}.") | {"choice": letter}


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


# --- counts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObjectCount:
    """The tracks of the requested objects.

    Attributes:
        lines: the tracks.
        most: the most tracks at one time.
        clear: the number of tracks that reach `CLEAR_SCORE`.
    """

    lines: tuple[ShownNote, ...]
    most: int
    clear: int

    def number(self, question: str) -> int:
        """Return the requested number: of distinct objects, or of those at one time."""
        return self.most if re.search(_AT_ONCE, question, re.I) else len(self.lines)


def count_tracks(tracks: Sequence[ShownNote], clear: Sequence[ShownNote]) -> ObjectCount | None:
    """Count tracks, None if there are none; `clear` are the tracks that reach `CLEAR_SCORE`."""
    found = tuple(sorted({line.id: line for line in tracks}.values(), key=lambda line: (line.video, line.span.start)))
    if not found:
        return None
    most = max(sum(o.video == line.video and o.span.start <= line.span.start < o.span.end for o in found) for line in found)
    return ObjectCount(found, most, len({line.id for line in clear} & {line.id for line in found}))


def count_arguments(question: str, told: ObjectCount, *, left: str = "", cut: bool = False) -> dict[str, Any]:
    """Return the arguments of finish with the number of objects, and the most at one time."""
    number, words = len(told.lines), class_words(question)
    noun = next(iter(words), "object") if len(words) < 2 else f"objects ({', '.join(words)})"
    marks = "".join(f"[#{line.id}]" for line in told.lines[:_MAX_MARKS])
    doubtful = number - told.clear
    weak = f"{doubtful} of them {'was' if doubtful == 1 else 'were'} detected with little confidence: there may be fewer."
    given = arguments(
        f"{'At least ' if cut or left else ''}{number} {noun}, at most {told.most} at the same time {marks}.",
        "Whatever leaves the picture and comes back counts again.",
        weak if doubtful else "",
        left,
        notes=told.lines,
        sure=not (doubtful or left or cut),
    )
    return given | {"claim": "count"}


# --- which videos -----------------------------------------------------------------------------------------------------


def video_arguments(units: Sequence[Passage], videos: Sequence[str], unexamined: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of finish with the videos that have a hit, and the unexamined ones.

    Args:
        units: the passages of the notes, each of one video.
        videos: the names of all videos, in order.
        unexamined: the videos that were not, or not completely, analyzed.
    """
    best: dict[str, Passage] = {}
    for unit in sorted((u for u in units if u.enough), key=lambda u: (-u.score, u.start)):
        best.setdefault(unit.lines[0].video, unit)
    found = [best[video] for video in videos if video in best]
    left = ""
    if unexamined:
        more = f" and {len(unexamined) - _MAX_VIDEOS_NAMED} more" if len(unexamined) > _MAX_VIDEOS_NAMED else ""
        named = f"{', '.join(unexamined[:_MAX_VIDEOS_NAMED])}{more}"
        left = f"Not examined, or only in part: {len(unexamined)} of {len(videos)} videos ({named})."
    if not found:
        where = "the analyzed parts" if left else f"any of the {len(videos)} videos"
        return arguments(f"Not found in {where}.", left, not_examined=left)
    listed = ", ".join(f"{u.lines[0].video} [#{u.lines[0].id}]" for u in found)
    text = f"Found in {'at least ' if left else ''}{len(found)} of {len(videos)} videos: {listed}."
    sure = not left and all(u.score >= _HIGH_CONFIDENCE_SCORE and not u.lines[0].uncertain for u in found)
    return arguments(text, left, notes=[u.lines[0] for u in found], sure=sure, not_examined=left)
