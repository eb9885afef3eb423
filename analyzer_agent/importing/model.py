"""What a file of perception says, before it is fitted to a video: entries with times, texts and kinds.

Knows nothing of file formats, videos or the store.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from analyzer_agent.errors import AgentError
from analyzer_agent.timeline import parse

FORMATS_TEXT = (
    "SRT; WebVTT; WhisperX or Whisper JSON; CSV with the columns start,end,text and, if wanted, kind,score; "
    'captions as {"0": "...", "1": "..."} or ["...", ...]; and what `notes` prints as json, jsonl, csv, srt or vtt'
)
"""The accepted forms, as hints name them."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class ImportedWord(NamedTuple):
    """A word with its times in ms; `prob` is None where the file does not tell it. `text` is as the file has it, spaces included."""

    text: str
    start: int
    end: int
    prob: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One finding of the file. Times are ms; `kind` is "" where the file does not tell it, `where` names the place in the file."""

    start: int
    end: int
    text: str
    where: str
    kind: str = ""
    score: float | None = None
    words: tuple[ImportedWord, ...] = ()
    language: str = ""
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was understood: its form, the engine to name if the user names none, the kind of entries that tell none.

    `every` is the spacing of a caption list in ms, 0 for everything else.
    """

    form: str
    engine: str
    kind: str
    entries: Sequence[Entry]
    every: int = 0


def invalid_place(name: str, where: str, why: str) -> AgentError:
    """Return the error for a place of the file that cannot be used."""
    return AgentError(f"{name}, {where}: {why}.", hint=f"Accepted: {FORMATS_TEXT}.")


def text_of(given: Any, name: str, where: str, field: str = "text") -> str:
    """Return a text without control characters; null is the empty text.

    Raises:
        AgentError: not a text.
    """
    if given is None:
        return ""
    if not isinstance(given, str):
        raise invalid_place(name, where, f"{field!r} must be a text, not {given!r:.80}")
    return _CONTROLS.sub("", given.replace("\r\n", "\n").replace("\r", "\n")).strip()


def time_of(given: Any, name: str, where: str, field: str) -> int:
    """Return the milliseconds of a time in seconds or as a clock.

    Raises:
        AgentError: not a time.
    """
    try:
        return parse(given)
    except (ValueError, OverflowError) as error:
        raise invalid_place(name, where, f"{field!r}: {error}" if isinstance(error, ValueError) else f"{field!r} is too large") from error


def span_of(start: int, end: int, name: str, where: str) -> tuple[int, int]:
    """Return start and end, at least 1 ms apart.

    Raises:
        AgentError: the end comes before the start.
    """
    if end < start:
        raise invalid_place(name, where, f"'end' ({end / 1000:g} s) comes before 'start' ({start / 1000:g} s)")
    return start, max(end, start + 1)


def score_of(given: Any, name: str, where: str) -> float | None:
    """Return a score from 0 to 1, None where there is none.

    Raises:
        AgentError: not such a number.
    """
    if given is None or given == "":
        return None
    try:
        score = float(given)
    except (TypeError, ValueError):
        score = -1.0
    if isinstance(given, bool) or not 0 <= score <= 1:
        raise invalid_place(name, where, f"'score' must be a number from 0 to 1, not {given!r:.80}")
    return score
