"""SRT and WebVTT: cues, each with its line number."""

import re
from collections.abc import Iterator, Sequence

from analyzer_agent.importing.model import Document, Entry, Flaws, Place
from analyzer_agent.media.subtitles import strip_markup

_STAMP = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*[^>\s])\s*>")
"""A voice of WebVTT: `<v Anna>`, `<v.loud Anna>`."""

_TIMES = re.compile(rf"\s*{_STAMP}\s*-->\s*{_STAMP}(?:\s.*)?")


def srt(text: str, name: str) -> Document:
    """Parse a SubRip file; `name` is the file's name, for messages.

    Raises:
        AgentError: a line with `-->` does not contain two valid times.
    """
    flaws = Flaws()
    entries = list(_cues(text.split("\n"), name, flaws, blank_ends=False))
    return Document("srt", entries, flaws=flaws.told())


def vtt(text: str, name: str) -> Document:
    """Parse a WebVTT file; notes, styles and regions are skipped.

    Raises:
        AgentError: a line with `-->` does not contain two valid times.
    """
    flaws = Flaws()
    entries = list(_cues(_without_remarks(text.split("\n")), name, flaws, blank_ends=True))
    return Document("vtt", entries, flaws=flaws.told())


def _cues(lines: Sequence[str], name: str, flaws: Flaws, *, blank_ends: bool) -> Iterator[Entry]:
    places = [n for n, line in enumerate(lines) if "-->" in line]
    for at, following in zip(places, [*places[1:], len(lines)], strict=False):
        place = Place(name, f"line {at + 1}", flaws)
        match = _TIMES.fullmatch(lines[at])
        if match is None:
            raise place.invalid(f"{lines[at].strip()!r:.80} is not 00:00:01,000 --> 00:00:02,500")
        body = lines[at + 1 : following]
        if blank_ends:
            body = body[: next((n for n, line in enumerate(body) if not line.strip()), len(body))]
        elif following < len(lines) and body and body[-1].strip().isdecimal():
            body = body[:-1]  # the number of the next cue
        spoken = "\n".join(body)
        spoken = strip_markup(place.text(_VOICE.sub(r"\1: ", spoken) if blank_ends else spoken))
        yield place.entry(_ms(match.groups()[:4]), _ms(match.groups()[4:]), spoken)


def _without_remarks(lines: Sequence[str]) -> list[str]:
    """Blank the lines of NOTE, STYLE and REGION blocks, which preserves line numbers."""
    kept: list[str] = []
    remark = False
    for n, line in enumerate(lines):
        if n == 0 or not lines[n - 1].strip():
            remark = re.match(r"(NOTE|STYLE|REGION)\b", line) is not None and "-->" not in line
        if not line.strip():
            remark = False
        kept.append("" if remark else line)
    return kept


def _ms(stamp: Sequence[str | None]) -> int:
    hours, minutes, seconds, rest = stamp
    return (int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)) * 1000 + int((rest or "0").ljust(3, "0"))
