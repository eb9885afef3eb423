"""The layout of a media file: its streams in use, where they begin and end, and its problems."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from analyzer_agent.media.identity import ContentKind
from analyzer_agent.media.joined import JoinedClock
from analyzer_agent.media.stream_clock import StreamClock
from analyzer_agent.protocols import Track
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class PictureStream:
    """The selected video stream.

    Attributes:
        stream: index of the stream in the container.
        first: pts of the first frame, in ticks.
        rate: average frames per second.
        size: width and height in pixels, after turning.
        turn: how to make frames upright: degrees clockwise, after a horizontal flip if true.
        spacing: 0, or the ticks between frames if packets have no pts (raw H.264, AVI).
        encrypted: whether no frame can be decoded, because the stream is encrypted.
        lost: what lies before the first frame that can be decoded; None if nothing does.
    """

    stream: int
    codec: str
    first: int
    clock: StreamClock
    span: TimeRange
    rate: Fraction
    size: tuple[int, int]
    turn: tuple[int, bool]
    spacing: int
    encrypted: bool = False
    lost: TimeRange | None = None
    joined: JoinedClock | None = None

    @property
    def usual(self) -> float:
        """The average distance of frames in ticks, 0 if it is unknown."""
        return float(1 / self.rate / self.clock.base) if self.rate else 0.0


@dataclass(frozen=True, slots=True)
class SoundStream:
    """An audio stream; `stream` is its index in the container, `encrypted` whether it is as a whole."""

    stream: int
    track: Track
    span: TimeRange
    encrypted: bool = False
    channels: int = 1

    @property
    def readable_channels(self) -> int:
        """The number of channels, 0 if they are encrypted."""
        return 0 if self.encrypted else self.channels


@dataclass(frozen=True, slots=True)
class Layout:
    """The result of `inspect`; `duration` is in ms, `texts` are (stream index, track) pairs, `others` unused video tracks.

    `joined` is the clock of a file whose own clock starts anew or jumps.
    """

    duration: int
    picture: PictureStream | None
    sounds: Sequence[SoundStream]
    texts: Sequence[tuple[int, Track]]
    readable: TimeRange
    joined: JoinedClock | None = None
    problems: list[str] = field(default_factory=list)
    kind: ContentKind = "sampled"
    others: Sequence[Track] = ()
