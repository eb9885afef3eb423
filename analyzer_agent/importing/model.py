"""The parsed form of an imported file: entries with times, texts and kinds; and the formats."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from analyzer_agent.errors import AgentError
from analyzer_agent.timeline import parse


class Format(NamedTuple):
    """A format: the default engine name, the kind of entries that name none, and its name in hints."""

    engine: str
    kind: str
    shown: str = ""


FORMATS: Mapping[str, Format] = {
    "srt": Format("srt-file", "subtitle", "SRT"),
    "vtt": Format("vtt-file", "subtitle", "WebVTT"),
    "whisperx": Format("whisperx", "speech", "WhisperX or Whisper JSON"),
    "faster-whisper": Format("faster-whisper", "speech"),
    "csv": Format("csv-file", "", "CSV with the columns start,end,text and, if wanted, kind,score"),
    "captions": Format("captions-file", "caption", 'captions as {"0": "...", "1": "..."} or ["...", ...]'),
    "subtitles-json": Format("subtitles-json", "subtitle"),
    "notes": Format("notes-file", "", "and what `notes` prints as json, jsonl, csv, srt or vtt"),
}
"""The formats by the name that is part of the cache key."""

FORMATS_TEXT = "; ".join(known.shown for known in FORMATS.values() if known.shown)
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
    """A parsed file: its format, and its entries; `every` is the spacing of a caption list in ms, else 0."""

    form: str
    entries: Sequence[Entry]
    every: int = 0

    @property
    def engine(self) -> str:
        """The default engine name."""
        return FORMATS[self.form].engine

    @property
    def kind(self) -> str:
        """The kind of entries that name none."""
        return FORMATS[self.form].kind


def not_accepted(message: str) -> AgentError:
    """Return the error for a file that cannot be imported; the hint lists the formats."""
    return AgentError(message, hint=f"Accepted: {FORMATS_TEXT}.")


class Place(NamedTuple):
    """A place in a file (`where`), and the conversion of what stands there. Errors name the place."""

    file: str
    where: str

    def invalid(self, why: str) -> AgentError:
        """Return the error for this place."""
        return not_accepted(f"{self.file}, {self.where}: {why}.")

    def text(self, given: Any, field: str = "text") -> str:
        """Return text without control characters; None becomes "".

        Raises:
            AgentError: `given` is not text.
        """
        if given is None:
            return ""
        if not isinstance(given, str):
            raise self.invalid(f"{field!r} must be a text, not {given!r:.80}")
        return _CONTROLS.sub("", given.replace("\r\n", "\n").replace("\r", "\n")).strip()

    def time(self, given: Any, field: str) -> int:
        """Convert a time in seconds or as a clock to ms.

        Raises:
            AgentError: `given` is not a time.
        """
        try:
            return parse(given)
        except OverflowError as error:
            raise self.invalid(f"{field!r} is too large") from error
        except ValueError as error:
            raise self.invalid(f"{field!r}: {error}") from error

    def score(self, given: Any) -> float | None:
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
            raise self.invalid(f"'score' must be a number from 0 to 1, not {given!r:.80}")
        return score

    def entry(self, start: int, end: int, text: str) -> Entry:
        """Return the entry from `start` to `end` (ms), which lasts at least 1 ms.

        Raises:
            AgentError: the end is before the start.
        """
        if end < start:
            raise self.invalid(f"'end' ({end / 1000:g} s) comes before 'start' ({start / 1000:g} s)")
        return Entry(start, max(end, start + 1), text, self.where)
