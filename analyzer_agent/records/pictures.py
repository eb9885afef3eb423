"""Pictures that a model is shown: what is on them, and the number by which it cites them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer_agent.timeline import TimeRange, clock

FRAME_PART = "frame"
"""The type of a message part that stands for a picture until the message is sent."""


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture shown to the model: one frame, or several on a sheet.

    `number` is what the model cites; no note has it. `video` is the video's id, `times` are those
    of the frames in ms, `span` is what they stand for, and `region` the part of the frames that is
    shown, as fractions `x0, y0, x1, y1`; None for all of them. `sheet` is the sheet that it is a part
    of, where an answer names one.
    """

    number: int
    video: str
    span: TimeRange
    times: tuple[int, ...]
    region: tuple[float, float, float, float] | None = None
    name: str = ""
    sheet: "ShownPicture | None" = None

    @property
    def label(self) -> str:
        """The text in front of the picture: its number, the video if there are several, and its time."""
        when = clock(self.times[0]) if len(self.times) == 1 else f"a sheet of {len(self.times)} frames: {', '.join(map(clock, self.times))}"
        return " ".join(filter(None, (f"#{self.number}", self.name, when)))

    def to_part(self) -> dict[str, Any]:
        """Return the part of a message that stands for the picture, as plain JSON."""
        span, region = [self.span.start, self.span.end], list(self.region) if self.region else None
        named = {"number": self.number, "video": self.video, "span": span, "times": list(self.times), "region": region, "name": self.name}
        return {"type": FRAME_PART, **named}

    @classmethod
    def from_part(cls, part: Mapping[str, Any]) -> "ShownPicture":
        """Return the picture that `to_part` describes."""
        region = tuple(part["region"]) if part["region"] else None
        return cls(part["number"], part["video"], TimeRange(*part["span"]), tuple(part["times"]), region, part.get("name", ""))
