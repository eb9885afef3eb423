"""Write parts of videos as text: markers, chapters, tables; OTIO and EDL through OpenTimelineIO."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

from analyzer_agent.clips.cut import LONGEST_LABEL, Cut
from analyzer_agent.clips.fcpxml import fcpxml
from analyzer_agent.clips.timelines import edl, otio
from analyzer_agent.sanitize import one_line, truncated
from analyzer_agent.timeline import clock, seconds

_HOUR_S = 3600
"""The seconds at which the timelines of DaVinci Resolve begin."""


class ListFile(NamedTuple):
    """A file to write: the video that it is about (None for all), the end of its name, and its text."""

    video: Path | None
    suffix: str
    text: str


_Write: TypeAlias = Callable[[Sequence[Cut]], str]


def list_files(form: str, cuts: Sequence[Cut]) -> list[ListFile]:
    """Return the files of a format of `FORMATS`.

    Raises:
        Unavailable: the format needs a package that is not installed.
    """
    whole, each = FORMATS[form]
    files = [ListFile(None, suffix, write(cuts)) for suffix, write in whole.items()]
    for path, group in groupby(cuts, key=lambda cut: cut.path):
        own = sorted(group, key=lambda cut: cut.span)
        files += [ListFile(path, suffix, write(own)) for suffix, write in each.items()]
    return files


def markers(cuts: Sequence[Cut]) -> str:
    """Return an EDL that DaVinci Resolve imports as markers of a timeline with the whole video."""
    rate = cuts[0].edit_rate
    lines = [f"TITLE: {one_line(cuts[0].path.stem)}", "FCM: NON-DROP FRAME", ""]
    for n, cut in enumerate(cuts, 1):
        first, end = cut.frames(rate)
        at, beyond = _timecode(first, rate), _timecode(first + 1, rate)
        text = re.sub(r"[|*]", "/", one_line(cut.text))
        lines += [f"{n:03}  001      V     C        {at} {beyond} {at} {beyond}  "]
        lines += [f"{text} |C:ResolveColorBlue |M:#{cut.note} {cut.kind} |D:{end - first}", ""]
    return "\n".join(lines)


def _timecode(frame: int, rate: Fraction) -> str:
    """Return a frame as non-drop time code, which counts whole frames: 30 of them for 29.97."""
    per = round(rate)
    whole, frames = divmod(frame, per)
    whole += _HOUR_S
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}:{frames:02}"


def table(cuts: Sequence[Cut]) -> str:
    """Return CSV with times in seconds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["video", "path", "start", "end", "note", "kind", "text"])
    for cut in cuts:
        start, end = seconds(cut.span.start), seconds(cut.span.end)
        writer.writerow([one_line(cut.path.name), str(cut.path), start, end, cut.note, cut.kind, one_line(cut.text)])
    return out.getvalue()


def chapters(cuts: Sequence[Cut]) -> str:
    """Return chapters as MKVToolNix reads them (the simple format of OGM)."""
    lines = []
    for n, cut in enumerate(cuts, 1):
        whole, rest = divmod(cut.span.start, 1000)
        lines += [f"CHAPTER{n:02}={whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{rest:03}", f"CHAPTER{n:02}NAME={cut.label}"]
    return "\n".join(lines) + "\n"


def ffmetadata(cuts: Sequence[Cut]) -> str:
    """Return chapters as ffmpeg reads them; each ends where the next begins, if not before."""
    lines = [";FFMETADATA1"]
    for n, cut in enumerate(cuts):
        end = min(cut.span.end, cuts[n + 1].span.start) if n + 1 < len(cuts) else cut.span.end
        title = re.sub(r"([=;#\\])", r"\\\1", cut.label)
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={cut.span.start}", f"END={max(end, cut.span.start)}", f"title={title}"]
    return "\n".join(lines) + "\n"


def youtube(cuts: Sequence[Cut]) -> str:
    """Return chapters for the description of a video on YouTube, where the first one must begin at 0:00."""
    lines = [] if cuts[0].span.start < 1000 else ["0:00 Start"]
    told = set[int]()
    for cut in cuts:
        at = cut.span.start // 1000 * 1000
        if at not in told:
            lines.append(f"{clock(at)} {truncated(one_line(cut.text), LONGEST_LABEL) or cut.label}")
        told.add(at)
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, tuple[Mapping[str, _Write], Mapping[str, _Write]]] = {
    "edl": ({".edl": edl}, {"-markers.edl": markers}),
    "otio": ({".otio": otio}, {}),
    "fcpxml": ({".fcpxml": fcpxml}, {}),
    "csv": ({".csv": table}, {}),
    "chapters": ({}, {"-chapters.txt": chapters}),
    "ffmetadata": ({}, {"-ffmetadata.txt": ffmetadata}),
    "youtube": ({}, {"-youtube.txt": youtube}),
}
"""For each format: the files about all parts, and those about the parts of one video, by the end of their names."""
