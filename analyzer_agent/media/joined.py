"""The joined timeline of a file whose clock starts anew or jumps: each part after the one before.

`seams` finds the parts; here packets are moved to it.
"""

from bisect import bisect_right
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from analyzer_agent.media.stream_clock import StreamClock
from analyzer_agent.timeline import clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

BACK_S = 0.5
"""Seconds by which decoding times fall back at a seam; less is an irregularity."""

REORDER_S = 10.0
"""Seconds between decoding and showing a packet that are no damage."""


_SEAMS_TOLD = 5


class Point(NamedTuple):
    """A packet where decoding can begin: times on the joined clock in seconds, and its place."""

    pts: float
    dts: float
    byte: int | None
    part: int


@dataclass(frozen=True, slots=True)
class ClockPart:
    """A stretch with one clock: `shift` seconds lead to the joined one.

    `begin` is the first byte of each stream, `decoded` the first and last decoding time of each stream in seconds.
    """

    begin: Mapping[int, int]
    shift: Fraction
    decoded: Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class JoinedClock:
    """The parts of a file with several clocks.

    Attributes:
        parts: several, or one in a file with damaged time stamps.
        ends: the end of each stream on the joined clock, in seconds.
        seams: where parts but the first begin on the joined clock, in seconds.
        points: where decoding can begin, by stream.
        placed: whether the bytes tell the parts apart.
        sought: whether the format can be entered at any byte.
        fragmented: whether packets that are marked as not to be shown are so only for their clock: see `has_fragments`.
    """

    parts: Sequence[ClockPart]
    ends: Mapping[int, Fraction]
    seams: Sequence[Fraction]
    points: Mapping[int, Sequence[Point]]
    placed: bool
    sought: bool
    fragmented: bool = False

    def point(self, stream: int, seconds: float) -> Point | None:
        """Return the last point of a stream that is shown at or before a time."""
        points = self.points.get(stream, ())
        place = bisect_right(points, (seconds + 1e-6,), key=lambda point: (point.pts,))
        return points[place - 1] if place else None

    def end_of(self, stream: int, at: StreamClock) -> Fraction:
        """Return the end of a stream with this clock on the presentation timeline, in seconds."""
        end = self.ends.get(stream)
        return Fraction(0) if end is None else end - at.offset * at.base

    def told(self, at: StreamClock) -> str:
        """Return a sentence on the seams for people; `at` is the clock of any stream."""
        if not self.seams:
            return "time stamps that are damaged are not followed"
        times = [clock(max(0, round((seam - at.offset * at.base) * 1000))) for seam in self.seams]
        more = f" and {len(times) - _SEAMS_TOLD} more times" if len(times) > _SEAMS_TOLD else ""
        return f"its clock starts anew or jumps at {', '.join(times[:_SEAMS_TOLD])}{more}: the parts are joined, each after the one before"

    def enter(self, container: "InputContainer", point: Point) -> bool:
        """Go to a point if the format allows; else the container has to be read from its start."""
        import av

        if not self.sought or point.byte is None:
            return False
        try:
            container.seek(point.byte, unsupported_byte_offset=True)
        except (av.FFmpegError, OverflowError):
            return False
        return True


class Restamper:
    """Moves the packets of one stream, in the order of the file, to the joined clock."""

    def __init__(self, joined: JoinedClock, stream: "Stream", part: int = 0) -> None:
        self._joined, self._stream, self._part = joined, stream.index, part
        self._base = Fraction(stream.time_base or Fraction(1, 1000))
        self._last: float | None = None
        # A part without this stream begins where its first packet is.
        self._begin = [part.begin.get(stream.index, min(part.begin.values(), default=0)) for part in joined.parts]
        self.changed = False
        """Whether the last packet begins another part."""

    def restamp(self, packet: "Packet[Stream]") -> "Packet[Stream]":
        """Return a packet with its time on the joined clock; a damaged time stamp is removed."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        self.changed = False
        if stamp is None:
            return packet
        at = float(stamp * self._base)
        part = self._part_of(packet.pos, at)
        if part is None:
            packet.pts = packet.dts = None
            return packet
        if part and packet.is_discard and self._joined.fragmented:
            packet = _shown(packet)
        self.changed = part != self._part
        self._part, self._last = part, at
        if self._last_of(part, at) or self.changed:
            packet.is_corrupt = False  # it misses nothing but what another recording does not continue
        shift = round(self._joined.parts[part].shift / self._base)
        if packet.pts is not None and abs(float(packet.pts * self._base) - at) >= REORDER_S:
            packet.pts = stamp
        if packet.pts is not None:
            packet.pts += shift
        if packet.dts is not None:
            packet.dts += shift
        return packet

    def _part_of(self, byte: int | None, at: float) -> int | None:
        parts = self._joined.parts
        if self._joined.placed and byte is not None and byte >= 0:
            here = max(0, bisect_right(self._begin, byte) - 1)
            return next((n for n in (here, here - 1, here + 1) if 0 <= n < len(parts) and self._holds(parts[n], at)), None)
        back = self._last is not None and at < self._last - BACK_S
        later = range(self._part + back, len(parts))
        return next((n for n in later if self._holds(parts[n], at)), None)

    def _last_of(self, part: int, at: float) -> bool:
        """Return whether a packet is one of the last before a seam."""
        return part < len(self._joined.parts) - 1 and at > self._joined.parts[part].decoded[self._stream][1] - BACK_S

    def _holds(self, part: ClockPart, at: float) -> bool:
        first, last = part.decoded.get(self._stream, (1.0, 0.0))
        return first - 1e-6 <= at <= last + 1e-6


def _shown(packet: "Packet[Stream]") -> "Packet[Stream]":
    """Return a copy of a packet that the decoder does not throw away.

    libav marks the first fragment behind a seam in MP4 so, because its clock falls back.
    """
    from av.packet import Packet

    copy = Packet(bytes(packet))
    copy.stream, copy.time_base = packet.stream, packet.time_base
    copy.pts, copy.dts, copy.duration, copy.is_keyframe = packet.pts, packet.dts, packet.duration, packet.is_keyframe
    return copy


def from_point(packets: "Iterable[Packet[Stream]]", stream: "Stream", point: Point) -> "Generator[Packet[Stream], None, None]":
    """Yield packets, already on the joined clock, from a point on."""
    begin = round(Fraction(point.dts) / (stream.time_base or 1))
    reached = False
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        reached = reached or (stamp is not None and stamp >= begin)
        if reached:
            yield packet
