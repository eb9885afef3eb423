"""Parts of videos after each other as a timeline of OpenTimelineIO (the extra `editors`)."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from analyzer_agent.clips.cut import Cut, first_frame
from analyzer_agent.errors import require
from analyzer_agent.sanitize import one_line


def otio(cuts: Sequence[Cut]) -> str:
    """Return the parts as OTIO, picture and sound, each with a marker that says what the note says.

    Raises:
        Unavailable: OpenTimelineIO is not installed.
    """
    return str(_library("--format otio").adapters.write_to_string(_timeline(cuts, "Video", "Audio"), "otio_json"))


def edl(cuts: Sequence[Cut]) -> str:
    """Return the parts as a cut list in CMX 3600, all at the rate of the first one.

    Raises:
        Unavailable: OpenTimelineIO or its adapter is not installed.
    """
    library = _library("--format edl")
    require("otio_cmx3600_adapter", "editors", "--format edl")
    rate = float(cuts[0].edit_rate)
    return str(library.adapters.write_to_string(_timeline(cuts, "Video", rate=cuts[0].edit_rate), "cmx_3600", rate=rate))


def _library(purpose: str) -> Any:
    return require("opentimelineio", "editors", purpose)


def _timeline(cuts: Sequence[Cut], *kinds: str, rate: Fraction | None = None) -> Any:
    schema = _library("").schema
    timeline = schema.Timeline("clips")
    for kind in kinds:
        track = schema.Track(kind, kind=kind)
        for cut in cuts:
            track.append(_clip(cut, kind, rate or cut.edit_rate))
        timeline.tracks.append(track)
    return timeline


def _clip(cut: Cut, kind: str, rate: Fraction) -> Any:
    """Return a part of a file; where the file has no such stream, a gap of the same length."""
    library = _library("")
    schema = library.schema
    start, end = cut.frames(rate)
    span = _range(library, start, end, rate)
    if kind == "Audio" and not cut.has_sound:
        return schema.Gap(source_range=span)
    whole = _range(library, 0, max(end, first_frame(cut.duration, rate)), rate)
    clip = schema.Clip(one_line(cut.path.name), schema.ExternalReference(cut.path.resolve().as_uri(), whole), span)
    if kind == "Video":
        clip.markers.append(schema.Marker(cut.label, span, color="BLUE"))
    return clip


def _range(library: Any, start: int, end: int, rate: Fraction) -> Any:
    time = library.opentime.RationalTime
    return library.opentime.TimeRange(time(start, float(rate)), time(end - start, float(rate)))
