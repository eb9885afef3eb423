"""`Video`: what analyzers read of a media file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from analyzer_agent.records import Unread
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Frame(NamedTuple):
    """A frame: `image` is H x W x 3, uint8, RGB, upright; `t` (requested) and `pts` are ms."""

    t: int
    pts: int
    image: "NDArray[np.uint8]"


class Pixels(NamedTuple):
    """A subset of an image's pixels: the intersection of `columns` and `rows`, both ascending."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]


class CueWord(NamedTuple):
    """A word of a subtitle that has times of its own, in ms."""

    text: str
    start: int
    end: int


class Cue(NamedTuple):
    """A subtitle: its span on the presentation timeline and its plain text, with line breaks.

    `words` is empty unless the subtitle gives times of words.
    """

    span: TimeRange
    text: str
    words: tuple[CueWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Track:
    """A track; `number` counts from 1 per type, `source` and `digest` are of a sidecar file."""

    number: int
    codec: str
    language: str = ""
    title: str = ""
    default: bool = False
    source: str = ""
    digest: str = ""

    def __str__(self) -> str:
        """Return the number, title and language, as people are told them: `2 (Director's comments, ger)`."""
        known = ", ".join(filter(None, (self.title, self.language)))
        return f"{self.number}{f' ({known})' if known else ''}"


def default_track(tracks: Sequence[Track]) -> int:
    """Return the number of the track that players play: the one flagged as default, else the first."""
    return next((track.number for track in tracks if track.default), 1)


class Fault(NamedTuple):
    """A range that could not be read, why (`undecodable`, `encrypted`), and more for people."""

    span: TimeRange
    reason: Unread
    explanation: str = ""


class FrameQuery(NamedTuple):
    """The arguments of `Video.frames`."""

    span: TimeRange
    fps: float | None = None
    instants: Sequence[int] | None = None
    keyframes: bool = False
    order: Literal["rgb", "bgr"] = "rgb"
    pixels: Pixels | None = None


class Video(Protocol):
    """An open media file, as analyzers read it. Times are ms on the presentation timeline."""

    id: str
    path: Path
    duration: int
    picture: TimeRange | None
    """From the start of the first frame to the end of the last one; None without a picture."""
    rate: Fraction
    """Average frames per second; 0 without a picture."""
    size: tuple[int, int]
    """Width and height in pixels, after `rotation` (degrees clockwise)."""
    rotation: int
    audio_tracks: Sequence[Track]
    subtitle_tracks: Sequence[Track]
    other_pictures: Sequence[Track] = ()
    """Video tracks that are not used."""

    def frames(
        self,
        span: TimeRange,
        fps: float | None = None,
        *,
        instants: Sequence[int] | None = None,
        keyframes: bool = False,
        order: Literal["rgb", "bgr"] = "rgb",
        pixels: Pixels | None = None,
    ) -> Iterator[Frame]:
        """Yield frames in time order. The frame shown at t has the last pts <= t, else the first.

        Where the frame cannot be decoded there is none: the one before it is not given in its place.

        Args:
            span: yield all frames that start in it, unless `fps` or `instants` is given.
            fps: sample `span` on the nested grid that is at least this dense.
            instants: yield the frame shown at each of these times (ms, ascending).
            keyframes: of all frames, yield only key frames: the cheapest way through a long video.
            order: the channel order of the images.
            pixels: the only pixels used; an image may hold just these, rows x columns x 3.
        """
        return self.read_frames(FrameQuery(span, fps, instants, keyframes, order, pixels))

    def read_frames(self, query: FrameQuery) -> Iterator[Frame]:
        """Yield the frames of a query; a class that implements `Video` defines this method."""

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> "NDArray[np.float32]":
        """Return float32[span.length * rate // 1000], mono, -1..1, silence where there is none.

        `span` may reach beyond the end; `rate` is samples per second; `track` counts from 1.
        """

    def mix(self, track: int = 1) -> str:
        """Return how the channels of an audio track are mixed: "" for mono and the plain mean.

        It is part of the cache key of what is heard.
        """
        return ""

    def subtitles(self, track: int) -> Sequence[Cue]:
        """Return the cues of a track (from 1) in time order; a cue may end after the video."""

    def watched(self) -> "Video":
        """Return a view for one pass of an analyzer, whose `faults` are those of its own reading."""
        return self

    def faults(self, span: TimeRange) -> Sequence[Fault]:
        """Return the parts of `span` that were asked for and could not be read; by default none."""
        return ()
