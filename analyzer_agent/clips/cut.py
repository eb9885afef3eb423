"""`Cut`: a part of a file with a label, in ms and in frames."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from analyzer_agent.sanitize import one_line, truncated
from analyzer_agent.timeline import TimeRange

_NTSC = Fraction(1000, 1001)
RATES = (24 * _NTSC, Fraction(24), Fraction(25), 30 * _NTSC, Fraction(30), Fraction(48), Fraction(50), 60 * _NTSC, Fraction(60))
"""The frame rates that editing programs know."""
LONGEST_LABEL = 80


@dataclass(frozen=True)
class Cut:
    """A part of a file.

    Attributes:
        path: the file.
        duration: of the file, in ms.
        rate: frames per second of the file, 0 without a picture.
        has_sound: whether it has an audio track.
        size: width and height in pixels.
        span: the part.
        note: the number of the note that it shows.
        kind: the kind of the note.
        text: what the note says.
    """

    path: Path
    duration: int
    rate: Fraction
    has_sound: bool
    size: tuple[int, int]
    span: TimeRange
    note: int
    kind: str
    text: str

    @property
    def label(self) -> str:
        """The number and the words of the note on one line."""
        return truncated(f"#{self.note} {one_line(self.text)}", LONGEST_LABEL)

    @property
    def edit_rate(self) -> Fraction:
        """The rate of editing programs that is nearest to the file's."""
        return min(RATES, key=lambda rate: abs(rate - (self.rate or 25)))

    @property
    def has_picture(self) -> bool:
        return self.rate > 0

    def frames(self, rate: Fraction) -> tuple[int, int]:
        """Return the first frame of the part, and the one after its last, at a rate."""
        first = first_frame(self.span.start, rate)
        return first, max(first + 1, (self.span.end - 1) * rate // 1000 + 1)


def first_frame(ms: int, rate: Fraction) -> int:
    """Return the frame that is shown at an instant; frames are stamped with the whole ms after they begin."""
    return int(ms * rate // 1000)
