"""What is kept of the packets of a stream while its end is looked for."""

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from analyzer_agent.media.lost_data import MOST_REORDERED, missing_times
from analyzer_agent.media.stream_clock import StreamClock

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_RESTART_S = Fraction(1, 2)
"""Seconds by which decoding times may fall back between packets without a new start of the clock."""


@dataclass(slots=True)
class LastPacket:
    """The last packet of a stream; `usual` is the default duration of a frame in seconds."""

    clock: StreamClock
    usual: Fraction
    pts: int | None = None
    duration: int = 0
    before: int | None = None
    decoded: int | None = None
    byte: int = 0
    restarted: bool = False
    fragmented: bool = False
    shown: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_REORDERED))

    def take(self, packet: "Packet[Stream]") -> None:
        """Note the next packet in the order of the file."""
        pts, dts = packet.pts, packet.dts
        stamp = pts if pts is not None else dts
        if packet.is_discard:
            again = self.fragmented and stamp is not None and self._falls_to(dts if dts is not None else stamp)
            self.restarted = self.restarted or again
            return
        if stamp is None:
            # Raw streams have no time stamps; their frames are contiguous.
            stamp = 0 if self.pts is None else self.pts + (self.duration or round(self.usual / self.clock.base))
        pos = packet.pos
        if pos is not None and pos > self.byte:
            self.byte = pos
        decoded = dts if dts is not None else stamp
        if self.decoded is not None and self.decoded > decoded:  # rare, and fractions are slow
            self.restarted = self.restarted or self._falls_to(decoded)
        self.decoded = decoded
        self.shown.append(stamp)
        if self.pts is None or stamp > self.pts:
            self.before, self.pts, self.duration = self.pts, stamp, packet.duration or 0
        elif self.before is None or stamp > self.before:
            self.before = stamp

    def _falls_to(self, decoded: int) -> bool:
        return self.decoded is not None and (self.decoded - decoded) * self.clock.base > _RESTART_S

    def whole(self, usual: Fraction) -> Fraction:
        """Return the seconds up to which no frame is missing; `usual` is the duration of one."""
        end = self.seconds() or Fraction(0)
        if not self.usual or self.decoded is None:  # sound is not reordered
            return end
        missing = missing_times(self.shown, self.decoded, float(usual / self.clock.base))
        return min(end, Fraction(missing[0] - self.clock.offset) * self.clock.base)

    def seconds(self) -> Fraction | None:
        """Return the end of the last packet in seconds, None without packets."""
        if self.pts is None:
            return None
        last = Fraction(self.pts - self.clock.offset) * self.clock.base
        if self.duration:
            return last + self.duration * self.clock.base
        if self.usual:
            return last + self.usual
        return last + ((self.pts - self.before) * self.clock.base if self.before is not None else 0)
