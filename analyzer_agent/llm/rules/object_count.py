"""Counts of distinct objects, from the tracks that the counting tool shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.llm.rules.extractive_answer import SIGNATURE
from analyzer_agent.llm.rules.question_parser import class_words
from analyzer_agent.records import ShownNote

TOOL = "count_objects"
CLEAR_SCORE = 0.65
"""Tracks with a lower score (from 0.5 on) count, but make the number doubtful."""

_MAX_MARKS = 6
_AT_ONCE = r"\b(?:at (?:most|once)|at the same time|at one time|simultaneously|together|maximum|max)\b"


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


def count(tracks: Sequence[ShownNote], clear: Sequence[ShownNote]) -> ObjectCount | None:
    """Count tracks, None if there are none; `clear` are the tracks that reach `CLEAR_SCORE`."""
    found = tuple(sorted({line.id: line for line in tracks}.values(), key=lambda line: (line.video, line.span.start)))
    if not found:
        return None
    most = max(sum(o.video == line.video and o.span.start <= line.span.start < o.span.end for o in found) for line in found)
    return ObjectCount(found, most, len({line.id for line in clear} & {line.id for line in found}))


def answer(question: str, told: ObjectCount, *, left: str = "", cut: bool = False) -> dict[str, Any]:
    """Return the arguments of finish with the number of objects, and the most at one time.

    Args:
        question: the question.
        told: the count.
        left: a sentence on unexamined parts, "" if there are none.
        cut: whether a result was truncated.
    """
    number = len(told.lines)
    words = class_words(question)
    noun = next(iter(words), "object") if len(words) < 2 else f"objects ({', '.join(words)})"
    marks = "".join(f"[#{line.id}]" for line in told.lines[:_MAX_MARKS])
    doubtful = number - told.clear
    said = [
        f"{'At least ' if cut or left else ''}{number} {noun}, at most {told.most} at the same time {marks}.",
        "Whatever leaves the picture and comes back counts again.",
    ]
    if doubtful:
        said.append(f"{doubtful} of them {'was' if doubtful == 1 else 'were'} detected with little confidence: there may be fewer.")
    said += [left] if left else []
    return {
        "answer": " ".join([*said, SIGNATURE]),
        "notes": [line.id for line in told.lines],
        "confidence": "low" if doubtful or left or cut else "medium",
        "found": True,
    }
