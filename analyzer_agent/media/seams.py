"""Find where the clock of a file starts anew or jumps, so that its parts can be joined.

Recordings that were put end to end, restarted encoders and broken recorders leave such files. Most
files have one clock; whether one has several is told from few samples of it. Only then all packets
are read, once, to find the parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.media.container import all_packets, decode_packet, has_arbitrary_start, open_container
from analyzer_agent.media.joined import BACK_S, REORDER_S, ClockPart, JoinedClock, Point
from analyzer_agent.media.mp4_fragments import has_fragments

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

_FORWARD_S = 10.0
"""Seconds by which times jump ahead at a seam, in formats made for such seams (as in ffmpeg)."""

_FORWARD_INDEXED_S = 1800.0
"""The same in other formats, where a picture may stand for minutes."""

_STRAY_PACKETS = 3
"""Packets after which a jump counts as a seam; fewer are damaged time stamps."""

_SMALL_FILE = 1 << 19
"""Bytes up to which a file is read whole, which takes as long as sampling it."""

_PLACED, _SOUGHT = frozenset({"mpegts", "matroska,webm", "flv"}), "mpegts"
"""The formats whose packets know their own bytes, and the one that can be entered at these."""

_ENTERED_ANYWHERE = ("mpegts", "mpeg")
"""The formats that are read on from any byte."""

_SHORT_S = 600
"""Seconds up to which the segments of a playlist are read whole."""

_REORDERED_FRAMES = 12
"""Durations of a frame by which the times of a stream without decoding times may fall, because frames are reordered."""

_SAMPLES = 16
_POINT_EVERY_S = 1.0
_SLOW = 8
"""Times the usual seconds per byte between two samples that suggest a jump."""


def joined_clock(
    container: "InputContainer", path: Path, streams: "Sequence[Stream]", restarted: bool, end: Fraction
) -> JoinedClock | None:
    """Return the joined clock of a file with several clocks, None for all others.

    Args:
        container: the open container; its position changes.
        path: its file.
        streams: the streams that are used; the first one is sampled.
        restarted: whether a fall of the clock was seen.
        end: the end of the file by one clock, in seconds.
    """
    if not streams or not (restarted or _is_suspect(container, path, streams, end)):
        return None
    used = {stream.index for stream in streams}
    with open_container(path) as whole:  # seeking trusts the clock
        fragmented = "mp4" in whole.format.name and has_fragments(path)
        scan = _Scan(_FORWARD_S if has_arbitrary_start(whole) else _FORWARD_INDEXED_S, fragmented)
        followed = [stream for stream in whole.streams if stream.index in used or stream.type == "subtitle"]
        for packet in all_packets(whole, followed):
            scan.take(packet)
    return scan.joined(container.format.name)


def _is_suspect(container: "InputContainer", path: Path, streams: "Sequence[Stream]", end: Fraction) -> bool:
    if not (has_arbitrary_start(container) or container.format.name == "flac"):  # whose frames are numbered
        fragments = "mp4" in container.format.name and any(_falls(stream) for stream in streams)
        return fragments or (end >= _FORWARD_INDEXED_S and any(_has_hole(stream, end) for stream in streams))
    if container.format.name == "hls":  # its file is a list, and tells nothing of how much there is to read
        return end <= _SHORT_S
    size = path.stat().st_size
    if size <= _SMALL_FILE:
        return _is_uneven(container, path, streams)
    places = _spread(size, _SMALL_FILE // 2)
    found = [(byte, at) for byte in places if (at := _time_at(container, streams[0], byte)) is not None]
    steps = [(next_byte - byte, next_at - at) for (byte, at), (next_byte, next_at) in pairwise(found)]
    usual = sorted(seconds / max(length, 1) for length, seconds in steps)[len(steps) // 2] if steps else 0.0
    return any(seconds < -BACK_S or (seconds > _FORWARD_S and seconds > _SLOW * usual * length) for length, seconds in steps)


def _is_uneven(container: "InputContainer", path: Path, streams: "Sequence[Stream]") -> bool:
    """Return whether the time of any packet might be a jump to `_Scan`, which takes ten times as long."""
    if container.format.name in _ENTERED_ANYWHERE:  # opening it again would take longer than reading it
        container.seek(0, unsupported_byte_offset=True)
        return _has_jump(container, streams)
    with open_container(path) as whole:
        return _has_jump(whole, [whole.streams[stream.index] for stream in streams])


def _has_jump(container: "InputContainer", streams: "Sequence[Stream]") -> bool:
    bases = {stream.index: float(stream.time_base or 1) for stream in streams}
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for packet in all_packets(container, streams):
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            continue
        stream = packet.stream_index
        at = stamp * bases[stream]
        if stream in last:
            if not last[stream] - BACK_S <= at <= last[stream] + _FORWARD_S:
                return True
        else:
            if last and not min(first.values()) - _FORWARD_S <= at <= max(last.values()) + _FORWARD_S:
                return True
            first[stream] = at
        last[stream] = at
    return False


def _time_at(container: "InputContainer", stream: "Stream", byte: int) -> float | None:
    import av

    try:
        container.seek(byte, unsupported_byte_offset=True)
        for packet in container.demux(stream):
            if packet.dts is not None and packet.size:
                return float(packet.dts * Fraction(stream.time_base or 1))
    except (av.FFmpegError, OverflowError):
        return None
    return None


def _spread(size: int, least: int) -> list[int]:
    """Return places all over a range from 0 to before `size`, denser towards both ends, down to `least` from them."""
    halves = [size >> half for half in range(1, size.bit_length()) if size >> half >= least]
    return sorted({*(size * part // _SAMPLES for part in range(_SAMPLES)), *halves, *(size - half for half in halves)})


def _falls(stream: "Stream") -> bool:
    """Return whether the times in the index of a stream fall: fragments of MP4 files that were put end to end."""
    entries: Any = getattr(stream, "index_entries", ())
    times = [entries[place].timestamp for place in _spread(len(entries), 1)] if len(entries) else []
    least = round(Fraction(BACK_S) / stream.time_base) if stream.time_base else 0
    return any(after < before - least for before, after in pairwise(times))


def _has_hole(stream: "Stream", end: Fraction) -> bool:
    """Return whether the index of a stream knows no packet for longer than times may jump."""
    entries: Any = getattr(stream, "index_entries", ())
    if len(entries) < 2 or not stream.time_base:
        return False
    step = round(_FORWARD_INDEXED_S / 2 / stream.time_base)
    first, last = entries[0].timestamp, max(entries[len(entries) - 1].timestamp, round(end / stream.time_base))
    found = [entries.search_timestamp(at, backward=True) for at in range(first + step, last, step)]
    return any(one == other for one, other in pairwise(found))


@dataclass
class _Stretch:
    begin: dict[int, int] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    decoded: dict[int, tuple[float, float]] = field(default_factory=dict)
    latest: dict[int, float] = field(default_factory=dict)
    lasting: dict[int, float] = field(default_factory=dict)
    points: dict[int, list[Point]] = field(default_factory=dict)
    count: int = 0

    def is_ahead_of(self, stream: int, at: float, before: "_Stretch") -> bool:
        """Return whether a stream that did not come yet still continues the part before."""
        if stream in self.latest or stream not in before.latest:
            return False
        late = abs(at - before.latest[stream] - before.lasting[stream])
        return late < BACK_S and late < abs(at - self.begins())

    def begins(self) -> float:
        return min(self.decoded[stream][0] for stream in self.latest)

    def after(self, before: "_Stretch") -> float:
        """Return the seconds that lead from this clock to that of the part before.

        No stream overlaps, and the streams stay in step.
        """
        ends = {stream: last + before.lasting[stream] for stream, last in before.latest.items()}
        both = [end - self.decoded[stream][0] for stream, end in ends.items() if stream in self.latest]
        return max(both, default=max(ends.values()) - self.begins())


class _Scan:
    def __init__(self, forward: float, fragmented: bool) -> None:
        self._forward, self._fragmented = forward, fragmented
        self._parts: list[_Stretch] = []
        self._jumped: int | None = None
        """The stream whose jump began the last part."""
        self._damaged = False
        self._usual: dict[int, float] = {}
        self._early: list[Packet[Stream]] = []
        """Subtitles that came before the jump that they belong to."""

    def take(self, packet: "Packet[Stream]") -> None:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            self._take_unstamped(packet)
            return
        base = float(packet.time_base or 1)
        at, stream = stamp * base, packet.stream_index
        if packet.is_discard and not (self._fragmented and self._is_new(stream, at)):
            return
        duration = (packet.duration or 0) * base
        if duration > self._forward:  # a container may let the last picture before a jump stand until after it
            duration = self._usual.get(stream, 0.0)
        self._usual[stream] = duration
        lasting = packet.stream.type in ("video", "audio")
        if not self._parts:
            self._parts.append(_Stretch())
        part = self._parts[-1]
        if not lasting and self._jumps(part, stream, at, duration):
            self._early.append(packet)
            return
        before = self._parts[-2] if len(self._parts) > 1 else None
        if before is not None and part.is_ahead_of(stream, at, before):
            part = before
        elif lasting and self._jumps(part, stream, at, duration):
            stray = stream == self._jumped and part.count < _STRAY_PACKETS
            if before is not None and (stray or stream not in part.latest) and not self._jumps(before, stream, at, duration):
                # The jump was a damaged time stamp, or another stream is behind.
                if stray:
                    self._drop()
                part = before
            else:
                if before is not None and part.count < _STRAY_PACKETS:
                    self._drop()
                part = _Stretch()
                self._parts.append(part)
                self._jumped = stream
        part.count += lasting
        self._note(part, packet, at, duration, lasting)
        early, self._early = self._early if lasting else [], [] if lasting else self._early
        for packet in early:
            self._note(part, packet, float((packet.pts or 0) * (packet.time_base or 1)), 0.0, False)

    def _is_new(self, stream: int, at: float) -> bool:
        """Return whether a packet that is marked as not to be shown is so only for its clock, which began anew: see `joined`."""
        if len(self._parts) > 1:
            return True
        return bool(self._parts) and at < self._parts[0].latest.get(stream, at) - BACK_S

    def _drop(self) -> None:
        self._parts.pop()
        self._damaged = True

    def _take_unstamped(self, packet: "Packet[Stream]") -> None:
        """Add a packet without a time to what the packet before it lasts."""
        from av.audio.frame import AudioFrame

        stream = packet.stream_index
        if self._parts and stream in self._parts[-1].latest:
            frames = decode_packet(packet.decode)
            sound = [frame for frame in frames if isinstance(frame, AudioFrame)]
            self._parts[-1].lasting[stream] += sum(frame.samples / frame.sample_rate for frame in sound)

    def _jumps(self, part: _Stretch, stream: int, at: float, duration: float) -> bool:
        if not part.latest:
            return False
        known = part.latest.get(stream)
        furthest = max(part.latest.values())
        if known is None:  # streams of one part begin close to each other
            return not min(first for first, _ in part.decoded.values()) - self._forward <= at <= furthest + self._forward
        return at < known - max(BACK_S, _REORDERED_FRAMES * duration) or at > furthest + max(self._forward, 4 * duration)

    def _note(self, part: _Stretch, packet: "Packet[Stream]", at: float, duration: float, lasting: bool) -> None:
        stream, base = packet.stream_index, float(packet.time_base or 1)
        shown = packet.pts * base if packet.pts is not None and abs(packet.pts * base - at) < REORDER_S else at
        first, last = part.decoded.get(stream, (at, at))
        part.decoded[stream] = min(first, at), max(last, at)
        if packet.pos is not None and packet.pos >= 0:
            part.begin[stream] = min(part.begin.get(stream, packet.pos), packet.pos)
        if not lasting:
            return
        duration = duration or max(0.0, min(at - part.latest.get(stream, at), 1.0))
        part.latest[stream], part.lasting[stream] = at, duration
        part.ends[stream] = max(part.ends.get(stream, 0.0), shown + duration)
        points = part.points.setdefault(stream, [])
        if packet.is_keyframe and (packet.stream.type == "video" or not points or shown - points[-1].pts >= _POINT_EVERY_S):
            points.append(Point(shown, at, packet.pos, 0))

    def joined(self, format: str) -> JoinedClock | None:
        """Return the clock of the parts; None if there is only one, and no damaged time stamp."""
        if len(self._parts) > 1 and self._parts[-1].count < _STRAY_PACKETS:
            self._drop()
        if len(self._parts) < 2 and not (self._parts and self._damaged):
            return None
        parts: list[ClockPart] = []
        ends: dict[int, Fraction] = {}
        points: dict[int, list[Point]] = {}
        shift = Fraction(0)
        seams = []
        for number, part in enumerate(self._parts):
            if number:
                shift += _exact(part.after(self._parts[number - 1]))
                seams.append(_exact(part.begins()) + shift)
            parts.append(ClockPart(part.begin, shift, part.decoded))
            ends |= {stream: _exact(at) + shift for stream, at in part.ends.items()}
            for stream, found in part.points.items():
                moved = (Point(p.pts + float(shift), p.dts + float(shift), p.byte, number) for p in found)
                points.setdefault(stream, []).extend(moved)
        placed = format in _PLACED and all(
            before.begin.get(stream, -1) < begin for before, part in pairwise(self._parts) for stream, begin in part.begin.items()
        )
        return JoinedClock(parts, ends, seams, points, placed, placed and format == _SOUGHT, self._fragmented)


def _exact(seconds: float) -> Fraction:
    """Return seconds in whole microseconds."""
    return Fraction(round(seconds * 1_000_000), 1_000_000)
