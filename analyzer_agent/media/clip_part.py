"""`ClipPart`: a part of a file that a clip shows, and how its pictures are written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, TypeAlias

from analyzer_agent.media.copy_plan import SUFFIXES, CannotCopyError, CopyPlan, plan_copy
from analyzer_agent.media.file import MediaFile
from analyzer_agent.protocols import Frame
from analyzer_agent.timeline import TimeRange

_MAX_EARLIER_MS = 100
"""A clip begins with its first frame, unless that began longer ago than this."""
_FALLBACK_RATE = Fraction(25)
_MAX_FPS = 240

Pictures: TypeAlias = Literal["copy", "snap", "encode"]
"""What becomes of pictures: copied apart from those at the edges, all copied and the part grown to where that is possible, or encoded."""


@dataclass(frozen=True)
class ClipPart:
    """A part of a file.

    Attributes:
        file: the file.
        wanted: the range that was asked for, in ms.
        captions: what is said when, on the file's timeline.
        pictures: how its pictures are written.
    """

    file: MediaFile
    wanted: TimeRange
    captions: Sequence[tuple[TimeRange, str]] = ()
    pictures: Pictures = "encode"

    @cached_property
    def span(self) -> TimeRange:
        """The range that is written: it begins with the first frame, unless that has been shown for long already."""
        return self._copying.span if isinstance(self._copying, CopyPlan) else self._exact

    @cached_property
    def _exact(self) -> TimeRange:
        wanted = self.wanted
        if self.first is not None and 0 < wanted.start - self.first.pts <= _MAX_EARLIER_MS:
            return TimeRange(self.first.pts, wanted.end)
        return wanted

    @cached_property
    def _copying(self) -> CopyPlan | str:
        """How pictures are copied, or why none is; "" if nobody asked for that."""
        if self.pictures == "encode" or not self.has_picture:
            return ""
        try:
            return plan_copy(self.file, self._exact, snap=self.pictures == "snap")
        except CannotCopyError as error:
            return str(error)

    @property
    def plan(self) -> CopyPlan | None:
        """Which pictures are copied, None if none is."""
        return self._copying if isinstance(self._copying, CopyPlan) else None

    @property
    def refused(self) -> str:
        """Why no picture is copied, although that was asked for; "" else."""
        return self._copying if isinstance(self._copying, str) else ""

    @property
    def suffix(self) -> str:
        """The usual suffix of a file with this part."""
        if self.plan:
            return SUFFIXES[self.plan.picture.codec]
        return ".mp4" if self.has_picture else ".m4a"

    @cached_property
    def first(self) -> Frame | None:
        """The frame that is shown at the beginning; None without a picture, or where it cannot be decoded."""
        if not self.has_picture:
            return None
        return next(iter(self.file.frames(self.wanted, instants=[self.wanted.start])), None)

    @property
    def has_picture(self) -> bool:
        return self.file.picture is not None and self.file.picture.overlaps(self.wanted)

    @property
    def rate(self) -> Fraction:
        """The frames per second of the file, or a usual rate."""
        return self.file.rate if 1 <= self.file.rate <= _MAX_FPS else _FALLBACK_RATE

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yield the frames with their time in ms from the beginning of the part."""
        start = self.span.start
        if self.first is not None:
            yield 0, self.first
        for frame in self.file.frames(self.span) if self.has_picture else ():
            if self.first is None or frame.pts > self.first.pts:
                yield max(0, frame.pts - start), frame

    def caption_at(self, ms: int) -> str:
        """Return what is said at an instant of the file's timeline, "" if nothing is."""
        return "\n".join(text for span, text in self.captions if span.start <= ms < span.end)
