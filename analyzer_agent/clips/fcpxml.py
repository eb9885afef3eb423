"""Parts of videos after each other as FCPXML.

The adapter of OpenTimelineIO stamps 29.97 frames a second with times that are not whole frames, and
does not read them back, so it is not used; all times here are whole frames.
"""

from collections.abc import Sequence
from fractions import Fraction
from xml.etree import ElementTree

from analyzer_agent.clips.cut import Cut, first_frame
from analyzer_agent.sanitize import one_line


def fcpxml(cuts: Sequence[Cut]) -> str:
    """Return the parts as FCPXML 1.8 at the rate of the first one, each with a marker that says what the note says."""
    rate = cuts[0].edit_rate
    root = ElementTree.Element("fcpxml", version="1.8")
    resources = ElementTree.SubElement(root, "resources")
    size = {name: str(side) for name, side in zip(("width", "height"), cuts[0].size, strict=True) if side}
    ElementTree.SubElement(resources, "format", {"id": "r1", "frameDuration": _time(1, rate), **size})
    assets = {path: f"r{n}" for n, path in enumerate(dict.fromkeys(cut.path for cut in cuts), 2)}
    for path, asset in assets.items():
        longest = max((cut for cut in cuts if cut.path == path), key=lambda cut: cut.frames(rate)[1])
        length = max(longest.frames(rate)[1], first_frame(longest.duration, rate))
        streams = {"hasVideo": longest.has_picture, "hasAudio": longest.has_sound}
        known = {"id": asset, "name": one_line(path.name), "src": path.resolve().as_uri(), "start": "0s", "duration": _time(length, rate)}
        ElementTree.SubElement(resources, "asset", known | {"format": "r1"} | {name: "1" for name, there in streams.items() if there})
    event = ElementTree.SubElement(ElementTree.SubElement(root, "library"), "event", name="clips")
    sequence = ElementTree.SubElement(ElementTree.SubElement(event, "project", name="clips"), "sequence", format="r1")
    spine, offset = ElementTree.SubElement(sequence, "spine"), 0
    for cut in cuts:
        start, end = cut.frames(rate)
        place = {"offset": _time(offset, rate), "start": _time(start, rate), "duration": _time(end - start, rate)}
        clip = ElementTree.SubElement(
            spine, "asset-clip", {"name": one_line(cut.path.name), "ref": assets[cut.path], **place, "format": "r1"}
        )
        ElementTree.SubElement(clip, "marker", start=_time(start, rate), duration=_time(1, rate), value=cut.label)
        offset += end - start
    sequence.set("duration", _time(offset, rate))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _time(frames: int, rate: Fraction) -> str:
    """Return a number of frames in seconds, as a fraction."""
    return f"{frames * rate.denominator}/{rate.numerator}s" if frames else "0s"
