"""Which pictures of a part of a file can be copied as they are, and which have to be encoded at its edges."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from analyzer_agent.media.nal_units import begins_afresh, parameter_sets, split
from analyzer_agent.media.packet_reader import PacketReader
from analyzer_agent.media.remote_path import unbroken
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from analyzer_agent.media.file import MediaFile
    from analyzer_agent.media.layout import PictureStream

SUFFIXES = {
    "h264": ".mp4",
    "hevc": ".mp4",
    "vp9": ".mp4",
    "av1": ".mp4",
    "mpeg4": ".mp4",
    "mjpeg": ".mov",
    "prores": ".mov",
    "dnxhd": ".mov",
}
"""The kind of file that copied pictures of a codec are written to."""

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}
"""The encoders whose pictures can be joined with copied ones. Decoders of MPEG-4 do what the program needs that wrote a file."""

WITH_UNITS = ("h264", "hevc")


class CannotCopyError(Exception):
    """The pictures of a part cannot be copied; the message tells why, as the end of a sentence about them."""


@dataclass(frozen=True)
class CopyPlan:
    """Which pictures of a part are copied. Times are ticks of the stream.

    Attributes:
        file: the file.
        picture: its stream.
        head: when the pictures begin that are encoded before the copied ones.
        copied: when the copied ones begin, in decoding order.
        tail: when the pictures begin that are encoded after them.
        span: the part, in ms.
    """

    file: "MediaFile"
    picture: "PictureStream"
    head: Sequence[int]
    copied: Sequence[int]
    tail: Sequence[int]
    span: TimeRange

    @property
    def encoded(self) -> int:
        """The number of pictures that are encoded."""
        return len(self.head) + len(self.tail)

    @property
    def begin(self) -> int:
        """When the part begins: with its first picture, unless that has been shown for long already."""
        first, at = min([*self.head, *self.copied]), self.picture.clock
        return first if at.ms(first) >= self.span.start else at.ticks(self.span.start)

    @cached_property
    def placed(self) -> list[tuple[int, int, int]]:
        """Each picture in decoding order: its time in the file; when it is shown, and decoded, in ticks from the begin of the part."""
        order = [*self.head, *self.copied, *self.tail]
        shown = {pts: max(0, pts - self.begin) for pts in sorted(order)}
        times = list(shown.values())
        ahead = max(time - shown[pts] for time, pts in zip(times, order, strict=True))
        return [(pts, shown[pts], time - ahead) for time, pts in zip(times, order, strict=True)]


class PacketSource:
    """Reads the packets of the pictures of a file, with their units, if they have some.

    Args:
        file: the file.
        picture: its stream.

    Raises:
        CannotCopyError: it lacks parameter sets.
    """

    def __init__(self, file: "MediaFile", picture: "PictureStream") -> None:
        self._file, self._picture = file, picture
        self.sets, self._length = list[bytes](), 0
        if picture.codec in WITH_UNITS:
            with self.reader() as cursor:
                try:
                    self.sets, self._length = parameter_sets(picture.codec, cursor.stream.codec_context.extradata or b"")
                except (ValueError, IndexError) as error:
                    raise CannotCopyError("have no parameter sets") from error

    def reader(self) -> PacketReader:
        """Return a position in the stream, to be closed."""
        picture = self._picture
        return PacketReader(self._file.path, picture.stream, picture.clock, picture.first)

    def packets(self, cursor: PacketReader, at: int) -> "Iterator[tuple[Packet[VideoStream], list[bytes]]]":
        """Yield the packets from a key frame at or before a time on.

        Raises:
            CannotCopyError: a packet has no time, is damaged, or changes the format.
        """
        key = cursor.seek(at)
        for packet in chain([] if key is None else [key], iter(cursor.next_packet, None)):
            assert packet is not None
            if packet.pts is None:
                raise CannotCopyError("do not all have a time")
            if packet.is_corrupt or packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change"):
                raise CannotCopyError("are damaged, or change their format")
            try:
                yield packet, split(bytes(packet), self._length) if self._picture.codec in WITH_UNITS else []
            except ValueError as error:
                raise CannotCopyError("are damaged") from error

    def begins_afresh(self, packet: "Packet[VideoStream]", units: Sequence[bytes]) -> bool:
        """Return whether decoding can begin at a packet."""
        codec = self._picture.codec
        return packet.is_keyframe and not packet.is_discard and (codec not in WITH_UNITS or begins_afresh(codec, units))


class _Seen(NamedTuple):
    """A packet that was read: when its picture begins, whether decoding can begin there, and whether it is shown at all."""

    pts: int
    key: bool
    shown: bool


def plan_copy(file: "MediaFile", span: TimeRange, snap: bool) -> CopyPlan:
    """Return which pictures of a part are copied.

    Args:
        file: the file.
        span: the part, in ms; with a picture.
        snap: let the part grow until all of its pictures can be copied.

    Raises:
        CannotCopyError: none can be copied.
        MediaError: the file cannot be read any further.
    """
    picture = file.layout.picture
    assert picture is not None
    if picture.codec not in SUFFIXES:
        raise CannotCopyError(f"have a codec ({picture.codec}) that MP4 and QuickTime files lack")
    if picture.encrypted or picture.spacing or picture.joined is not None or picture.lost is not None:
        raise CannotCopyError("do not all have a time, or their clock jumps")
    with unbroken(file.path):
        seen = _seen(PacketSource(file, picture), picture, span, snap)
    plan = _chosen(file, picture, seen, span, snap)
    if plan.encoded and picture.codec not in ENCODERS:
        raise CannotCopyError(f"({picture.codec}) cannot be joined with encoded ones; --snap copies from key frame to key frame")
    return plan


def _seen(source: PacketSource, picture: "PictureStream", span: TimeRange, snap: bool) -> list[_Seen]:
    """Return the packets from the last point at or before a part at which decoding can begin, to its end or the next such point."""
    at = picture.clock
    start, end = max(at.ticks(span.start), picture.first), at.ticks(span.end - 1) + 1
    begin, found = start, list[_Seen]()
    with source.reader() as cursor:
        while not any(one.key and one.pts <= start for one in found):
            found, limit = [], None if snap else end
            for packet, units in source.packets(cursor, begin):
                assert packet.pts is not None
                # What is decoded from here on is shown after the limit.
                if limit is not None and packet.dts is not None and packet.dts >= limit:
                    break
                found.append(_Seen(packet.pts, source.begins_afresh(packet, units), not packet.is_discard))
                if found[-1].key and packet.pts >= end:
                    limit = packet.pts + 1 if limit is None else limit
            if cursor.from_start or not found:
                break
            begin = found[0].pts - 1
    if not found or len({one.pts for one in found}) < len(found):
        raise CannotCopyError("do not all have a time of their own")
    return found


def _chosen(file: "MediaFile", picture: "PictureStream", seen: Sequence[_Seen], span: TimeRange, snap: bool) -> CopyPlan:
    ms = picture.clock.ms
    shown = sorted(one.pts for one in seen if one.shown and one.pts >= picture.first)
    if not shown:
        raise CannotCopyError("are not shown")
    first = max((pts for pts in shown if ms(pts) <= span.start), default=shown[0])
    copying = seen[_begin(seen, first, snap) :]
    key = copying[0].pts
    if snap and key <= first:
        first, span = key, TimeRange(max(0, min(span.start, ms(key))), span.end)
    wanted = [pts for pts in shown if pts == first or (pts > first and ms(pts) < span.end)]
    copied = _run(copying, shown, wanted[-1], snap)
    last = max(copied)
    if last > wanted[-1]:
        after = min([pts for pts in shown if pts > last] + [last + max(1, round(picture.usual))])  # not all that follow were read
        span = TimeRange(span.start, max(span.end, min(ms(after), file.duration)))
    return CopyPlan(file, picture, [pts for pts in wanted if pts < key], copied, [pts for pts in wanted if pts > last], span)


def _begin(seen: Sequence[_Seen], first: int, snap: bool) -> int:
    """Return the place of the packet from which on pictures are copied.

    Raises:
        CannotCopyError: there is none.
    """
    keys = [place for place, one in enumerate(seen) if one.key]
    before = [place for place in keys if seen[place].pts <= first]
    if snap and before:
        return before[-1]
    place = next((place for place in keys if seen[place].pts >= first), None)
    if place is None:
        raise CannotCopyError("have no key frame in this part")
    return place


def _run(seen: Sequence[_Seen], shown: Sequence[int], last: int, snap: bool) -> list[int]:
    """Return the longest run of packets in decoding order that holds every picture between its first and its last, and none after `last`.

    With `snap`, the shortest that holds all up to `last`.

    Raises:
        CannotCopyError: there is none.
    """
    key = seen[0].pts
    base, latest, whole, taken = bisect_left(shown, key), key, 0, list[int]()
    for one in seen:
        if one.pts < key:
            continue  # it needs pictures before the key frame
        if not one.shown or ((latest := max(latest, one.pts)) > last and not snap):
            break
        taken.append(one.pts)
        if bisect_left(shown, latest) - base + 1 == len(taken):
            whole = len(taken)
            if latest >= last:
                break
    if not whole or (snap and max(taken[:whole]) < last):
        raise CannotCopyError("have no key frame in this part")
    return taken[:whole]
