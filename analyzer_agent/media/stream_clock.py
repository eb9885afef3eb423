"""The clock of a stream: ticks of its time stamps, and ms on the presentation timeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from analyzer_agent.media.container import has_arbitrary_start

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream


@dataclass(frozen=True, slots=True)
class StreamClock:
    """Converts a stream's time stamps between ticks and ms on the presentation timeline.

    A tick is `base` seconds long; tick `offset` is at 0 ms.
    """

    base: Fraction
    offset: int = 0

    def ms(self, pts: int) -> int:
        """Return the first whole ms at which a frame with this pts is shown (rounds up)."""
        at = (pts - self.offset) * self.base * 1000
        return -(-at.numerator // at.denominator)

    def ticks(self, ms: int) -> int:
        """Return the last tick at or before `ms`."""
        at = Fraction(ms, 1000) / self.base
        return at.numerator // at.denominator + self.offset


def clock_of(container: "InputContainer", stream: "Stream") -> StreamClock:
    """Return the stream's clock.

    Arbitrary time stamps (MPEG-TS and PS) are shifted to begin at 0, all others are kept.
    """
    base = Fraction(stream.time_base or Fraction(1, 1000))
    if not has_arbitrary_start(container) or container.start_time is None:
        return StreamClock(base)
    exact = tuple((s.start_time, s.time_base) for s in container.streams if s.start_time is not None and s.time_base)
    return StreamClock(base, round(_start(container.start_time, exact) / base))


@lru_cache(maxsize=16)
def _start(told: int, exact: Sequence[tuple[int, Fraction]]) -> Fraction:
    """Return where a container begins in seconds: it tells whole microseconds, the stream it has them from is `exact`."""
    start = Fraction(told, 1_000_000)
    nearest = min((ticks * base for ticks, base in exact), key=lambda at: abs(at - start), default=start)
    return nearest if abs(nearest - start) <= Fraction(1, 1_000_000) else start
