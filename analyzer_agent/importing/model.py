"""The parsed form of an imported file: entries with times, texts and kinds."""

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
"""The accepted formats, as shown in hints."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class ImportedWord(NamedTuple):
    """A word with its times in ms.

    `text` includes the file's spaces; `prob` is None if the file has none.
    """

    text: str
    start: int
    end: int
    prob: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file.

    Attributes:
        start: the start, in ms.
        end: the end, in ms.
        text: the text.
        where: the place in the file, for messages.
        kind: the kind of note, "" if the file names none.
        score: from 0 to 1, None if the file has none.
        words: the words of speech, if the file has them.
        language: the code of the spoken language, "" if unknown.
        uncertain: whether the file marks the entry as uncertain.
    """

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
    """A parsed file.

    Attributes:
        form: the format.
        engine: the default engine name.
        kind: the kind of entries that name none.
        entries: the entries.
        every: the spacing of a caption list in ms, 0 for other formats.
    """

    form: str
    engine: str
    kind: str
    entries: Sequence[Entry]
    every: int = 0


def invalid_place(name: str, where: str, why: str) -> AgentError:
    """Return the error for an invalid place `where` of the file `name`."""
    return AgentError(f"{name}, {where}: {why}.", hint=f"Accepted: {FORMATS_TEXT}.")


def text_of(given: Any, name: str, where: str, field: str = "text") -> str:
    """Return text without control characters; None becomes "".

    Raises:
        AgentError: `given` is not text.
    """
    if given is None:
        return ""
    if not isinstance(given, str):
        raise invalid_place(name, where, f"{field!r} must be a text, not {given!r:.80}")
    return _CONTROLS.sub("", given.replace("\r\n", "\n").replace("\r", "\n")).strip()


def time_of(given: Any, name: str, where: str, field: str) -> int:
    """Convert a time in seconds or as a clock to ms.

    Raises:
        AgentError: `given` is not a time.
    """
    try:
        return parse(given)
    except (ValueError, OverflowError) as error:
        raise invalid_place(name, where, f"{field!r}: {error}" if isinstance(error, ValueError) else f"{field!r} is too large") from error


def span_of(start: int, end: int, name: str, where: str) -> tuple[int, int]:
    """Return `start` and `end` in ms, at least 1 ms apart.

    Raises:
        AgentError: the end is before the start.
    """
    if end < start:
        raise invalid_place(name, where, f"'end' ({end / 1000:g} s) comes before 'start' ({start / 1000:g} s)")
    return start, max(end, start + 1)


def score_of(given: Any, name: str, where: str) -> float | None:
    """Return a score from 0 to 1, None if there is none.

    Raises:
        AgentError: `given` is not a number in this range.
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
