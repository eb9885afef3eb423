"""Copy the pictures of a part of a file, and encode those between its edges and the nearest key frames.

Encoded pictures get the codec of the file. H.264 takes the parameter sets of both kinds under different
ids; HEVC repeats them before the pictures that need them; VP9 has none.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.media.container import open_container
from analyzer_agent.media.copy_plan import ENCODERS, WITH_UNITS, CannotCopyError, CopyPlan, PacketSource
from analyzer_agent.media.frames import FrameRequest, requested_frames
from analyzer_agent.media.nal_units import END_OF_SEQUENCE, free_id, joined, split, with_sets

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_OPTIONS = {
    "h264": {"crf": "16", "preset": "veryfast"},
    "hevc": {"crf": "18", "preset": "veryfast", "x265-params": "log-level=none"},
    "vp9": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "lag-in-frames": "0", "auto-alt-ref": "0"},
}
_ONE_GROUP = 1 << 16
"""Pictures in a group: an edge is one, since a key frame begins what follows it."""

_CHECKED = 64
"""How many pictures on the far side of a join are decoded to see that it holds: more than any refer back."""

_TOLERANCE = Fraction(1, 1000)


def copied_pictures(container: "OutputContainer", plan: CopyPlan) -> "Iterator[Packet[Any]]":
    """Add a stream to a container and return its packets, in decoding order.

    Raises:
        CannotCopyError: pictures at the edges cannot be decoded, or not be encoded as those of the file are; perhaps
            not before the packets are read.
        MediaError: the file cannot be read any further.
    """
    source, codec = PacketSource(plan.file, plan.picture), plan.picture.codec
    with source.reader() as cursor:
        template = cursor.stream
        stream: VideoStream = container.add_stream_from_template(template, opaque=True)
        edges = _Edges(plan, source, template) if plan.encoded else None
    degrees, mirrored = plan.picture.turn
    if degrees or mirrored:
        stream.set_display_rotation(-degrees, hflip=mirrored)
    if codec in WITH_UNITS:
        stream.codec_context.extradata = joined([*source.sets, *(edges.sets if edges else [])])
    if codec == "hevc":
        stream.codec_context.codec_tag = "hev1" if edges else "hvc1"
    return _timed(plan, stream, _in_order(plan, source, edges))


def _in_order(plan: CopyPlan, source: PacketSource, edges: "_Edges | None") -> "Iterator[Packet[Any]]":
    if edges and plan.head:
        *others, last = edges.encoded(plan.head)
        yield from others
        yield _with_data(last, bytes(last) + joined([END_OF_SEQUENCE])) if plan.picture.codec == "hevc" else last
    yield from _copied(plan, source)
    if edges and plan.tail:
        yield from edges.encoded(plan.tail)


def _copied(plan: CopyPlan, source: PacketSource) -> "Iterator[Packet[Any]]":
    wanted, left = set(plan.copied), len(plan.copied)
    with source.reader() as cursor:
        for packet, units in source.packets(cursor, plan.copied[0]):
            if packet.pts not in wanted or (left == len(plan.copied) and packet.pts != plan.copied[0]):
                continue
            if plan.picture.codec == "hevc" and packet.is_keyframe:
                units = with_sets(units, source.sets)
            yield _with_data(packet, joined(units)) if units else packet
            left -= 1
            if not left:
                return
    raise CannotCopyError("are not those that were there before")


def _with_data(packet: "Packet[Any]", data: bytes) -> "Packet[Any]":
    from av.packet import Packet

    other: Packet[Any] = Packet(data)
    other.pts, other.dts, other.time_base, other.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
    return other


def _timed(plan: CopyPlan, stream: "VideoStream", packets: "Iterator[Packet[Any]]") -> "Iterator[Packet[Any]]":
    """Give packets their times in the clip."""
    base = plan.picture.clock.base
    end = Fraction(plan.span.length, 1000) / base
    decoded = [dts for _, _, dts in plan.placed]
    last = max(shown for _, shown, _ in plan.placed)
    lengths = [*(after - dts for dts, after in pairwise(decoded)), max(1, round(end) - last)]
    places = iter(zip(plan.placed, lengths, strict=True))
    for packet in packets:
        (pts, shown, dts), length = next(places, ((None, 0, 0), 0))
        if packet.pts != pts:
            break
        packet.stream, packet.time_base = stream, base
        packet.pts, packet.dts, packet.duration = shown, dts, length
        yield packet
    else:
        if next(places, None) is None:
            return
    raise CannotCopyError("are not those that were there before")


class _Edges:
    """Encodes pictures as those of a file are.

    Attributes:
        sets: their parameter sets, which the file of the clip needs.
    """

    def __init__(self, plan: CopyPlan, source: PacketSource, template: "VideoStream") -> None:
        from av.codec import Codec

        self._plan, self._source, self._codec = plan, source, plan.picture.codec
        like = template.codec_context
        self._like = {name: getattr(like, name) for name in ("width", "height", "pix_fmt", *_COLOURS)}
        self._aspect = template.sample_aspect_ratio
        self._options = dict(_OPTIONS[self._codec])
        self.sets = list[bytes]()
        known = Codec(ENCODERS[self._codec], "w").video_formats or ()
        if self._like["pix_fmt"] not in [one.name for one in known]:
            raise CannotCopyError(f"({self._like['pix_fmt']}) cannot be joined with encoded ones")
        if self._codec == "h264":
            try:
                self._options["x264-params"] = f"sps-id={free_id(source.sets)}:stitchable=1"
            except (ValueError, IndexError) as error:
                raise CannotCopyError("leave no parameter set free") from error
            self.sets = split(self._opened().extradata or b"", 0)

    def _opened(self) -> "VideoCodecContext":
        from av.codec.context import CodecContext, Flags

        context: VideoCodecContext = CodecContext.create(ENCODERS[self._codec], "w")  # type: ignore[assignment]
        for name, value in self._like.items():
            setattr(context, name, value)
        if self._aspect:
            context.sample_aspect_ratio = self._aspect
        context.time_base = self._plan.picture.clock.base
        context.framerate = self._plan.picture.rate or Fraction(25)
        context.max_b_frames, context.gop_size = 0, _ONE_GROUP
        context.options = self._options
        if self._codec == "h264":
            context.flags |= Flags.global_header
        context.open(strict=False)
        return context

    def encoded(self, times: Sequence[int]) -> "Iterator[Packet[Any]]":
        """Yield the pictures that begin at these times, in this order."""
        context = self._opened()
        for frame in self._decoded(times):
            yield from context.encode(frame)
        yield from context.encode(None)

    def _decoded(self, times: Sequence[int]) -> "Iterator[VideoFrame]":
        from av.video.frame import PictureType

        count = 0
        with self._source.reader() as cursor:
            for (_, frame), pts in zip(requested_frames(cursor, FrameRequest(times[0], times[-1] + 1)), times, strict=False):
                like = self._like
                if frame.pts != pts or frame.is_corrupt or frame.interlaced_frame:
                    raise CannotCopyError("are interlaced, or cannot all be decoded")
                if (frame.width, frame.height, frame.format.name) != (like["width"], like["height"], like["pix_fmt"]):
                    raise CannotCopyError("change their format")
                frame.pict_type = PictureType.NONE  # encoders keep to what they are told
                frame.time_base = self._plan.picture.clock.base
                count += 1
                yield frame
        if count < len(times):
            raise CannotCopyError("cannot all be decoded")


_COLOURS = ("color_range", "color_primaries", "color_trc", "colorspace")


def joins_hold(clip: Path, plan: CopyPlan) -> bool:
    """Return whether the beginning and the end of a clip can be decoded, each with its join, and every picture has its time."""
    import av

    base = plan.picture.clock.base
    times = sorted(shown * base for _, shown, _ in plan.placed)
    try:
        with open_container(clip) as container:
            stream = container.streams.video[0]
            met = [(frame.is_corrupt, frame.time) for frame in islice(container.decode(stream), len(plan.head) + _CHECKED)]
            if not _are(met, times[: len(met)]) or len(met) < min(len(times), len(plan.head) + _CHECKED):
                return False
            if not plan.tail:
                return True
            since = times[max(0, len(times) - len(plan.tail) - _CHECKED)]
            container.seek(int(since / Fraction(stream.time_base or base)), stream=stream)
            met = [(frame.is_corrupt, frame.time) for frame in container.decode(stream)]
            return len(met) <= len(times) and met[0][1] <= float(since) + _TOLERANCE and _are(met, times[-len(met) :])
    except av.FFmpegError:
        return False


def _are(met: Sequence[tuple[bool, float]], times: Sequence[Fraction]) -> bool:
    return all(not corrupt and abs(time - at) <= _TOLERANCE for (corrupt, time), at in zip(met, times, strict=True))
