"""Write parts of media files as a clip: one part, copied where that is possible, or several after each other, encoded."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer_agent.errors import MediaError
from analyzer_agent.media.clip_copy import copied_pictures, joins_hold
from analyzer_agent.media.clip_part import ClipPart
from analyzer_agent.media.clip_sound import RATE, silence, stereo
from analyzer_agent.media.copy_plan import SUFFIXES, CannotCopyError, CopyPlan
from analyzer_agent.media.remote_path import unbroken
from analyzer_agent.protocols import Fault, Frame, default_track

if TYPE_CHECKING:
    import numpy as np
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    Image: TypeAlias = NDArray[np.uint8]

_TICKS = 90_000
"""Ticks per second: a whole number of them is a frame at all usual rates."""
_QUALITY = {"libx264": {"crf": "18", "preset": "veryfast"}, "libopenh264": {"b": "6M"}, "mpeg4": {"qmin": "2", "qmax": "4"}}
"""The encoders that are tried, in this order, with their options."""
_BT709, _LIMITED = 1, 1

Draw: TypeAlias = "Callable[[Image, str], Image]"
"""Returns a copy of a picture with a caption on it."""


@dataclass
class _Writing:
    """What is known while a clip is written: its parts, its size, how captions are drawn, what could not be decoded."""

    parts: Sequence[ClipPart]
    draw: "Draw | None"
    faults: dict[str, list[Fault]] = field(default_factory=dict)

    @cached_property
    def size(self) -> tuple[int, int]:
        """The width and height of the first picture, even as the encoder needs them."""
        wide, tall = next(part.file.size for part in self.parts if part.has_picture)
        return max(2, wide & ~1), max(2, tall & ~1)

    def pictures(self) -> "Iterator[tuple[int, int, Image]]":
        """Yield the pictures of all parts with their start and end in ticks."""
        offset = 0
        for part in self.parts:
            end = offset + part.span.length * _TICKS // 1000
            held: tuple[int, int, Frame] | None = None
            last = offset - 1
            for ms, frame in part.frames():
                tick = max(last + 1, offset + _on_grid(ms, part.rate))
                if held:
                    yield from self._captioned(part, held, tick)
                held, last = (tick, part.span.start + ms, frame), tick
            if held:
                yield from self._captioned(part, held, max(end, held[0] + 1))
            elif self.parts[1:]:
                yield offset, end, _fitted(None, self.size)
            self.faults.setdefault(part.file.name, []).extend(part.file.faults(part.span))
            offset = end

    def _captioned(self, part: ClipPart, held: "tuple[int, int, Frame]", end: int) -> "Iterator[tuple[int, int, Image]]":
        """Yield a picture, or several where captions change while it is shown."""
        start, ms, frame = held
        image = _fitted(frame.image, self.size)
        if self.draw is None:
            yield start, end, image
            return
        until = ms + (end - start) * 1000 // _TICKS
        changes = sorted({at for span, _ in part.captions for at in (span.start, span.end) if ms < at < until})
        edges = [start, *(start + (at - ms) * _TICKS // 1000 for at in changes), end]
        for at, begin, stop in zip([ms, *changes], edges[:-1], edges[1:], strict=True):
            text = part.caption_at(at)
            if stop > begin:
                yield begin, stop, self.draw(image, text) if text else image

    def sound(self) -> "Iterator[NDArray[np.float32]]":
        """Yield the sound of all parts; silence where a part has none."""
        for part in self.parts:
            layout = part.file.layout
            if layout.sounds:
                track = layout.sounds[default_track([sound.track for sound in layout.sounds]) - 1]
                met = self.faults.setdefault(part.file.name, []).append
                yield from stereo(part.file.path, track, part.span, layout.joined, met)
            else:
                yield from silence(part.span.length * RATE // 1000)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a clip.

    Attributes:
        faults: what could not be decoded, by the name of the file.
        copied: the number of pictures that were copied.
        encoded: the number of pictures that were encoded at the edges; 0 if none was copied.
        refused: why no picture was copied although that was asked for, as the end of a sentence about the pictures.
    """

    faults: dict[str, list[Fault]]
    copied: int = 0
    encoded: int = 0
    refused: str = ""


def write_clip(out: Path, parts: Sequence[ClipPart], draw: "Draw | None" = None) -> Written:
    """Write parts of files as one clip, whole or not at all.

    Pictures are encoded (H.264), or copied from a single part that asks for it, if no captions are
    drawn; where that fails, they are encoded. Sound is encoded (AAC): of several audio tracks the
    default one, in stereo. Several parts get the size of the first.

    Args:
        out: the clip; a file of that name is replaced. If its suffix is `.mov` it is a QuickTime file, else MP4.
        parts: what it shows, in this order.
        draw: draws the captions of the parts into the pictures; None for no captions.

    Raises:
        MediaError: a file cannot be read, or there is neither picture nor sound.
        OSError: the clip cannot be written.
    """
    part = out.with_name(f".{out.name}.part")
    plan = parts[0].plan if len(parts) == 1 and draw is None else None
    refused = "" if plan else next((one.refused for one in parts), "")
    writing = _Writing(parts, draw)
    try:
        part.open("wb").close()  # whether the folder can be written to is told in Python's words
        if plan:
            try:
                _write(part, writing, plan)
                refused = "" if joins_hold(part, plan) else "cannot be joined with encoded ones"
            except CannotCopyError as error:
                refused = str(error)
        if refused or not plan:
            writing, plan = _Writing(parts, draw), None
            _write(part, writing)
        os.replace(part, out)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    faults = {name: found for name, found in writing.faults.items() if found}
    return Written(faults, len(plan.copied), plan.encoded) if plan else Written(faults, refused=refused)


def _write(out: Path, writing: _Writing, plan: CopyPlan | None = None) -> None:
    import av

    parts = writing.parts
    kind = "mov" if plan and SUFFIXES[plan.picture.codec] == ".mov" else "mp4"
    with av.open(str(out), "w", format=kind, options={"movflags": "+faststart"}) as container:
        sources = []
        if plan:
            sources.append(copied_pictures(container, plan))
        elif any(one.has_picture for one in parts):
            sources.append(_encoded_pictures(container, writing))
        if any(one.file.audio_tracks for one in parts):
            sources.append(_encoded_sound(container, writing))
        if not sources:
            raise MediaError(f"{parts[0].file.name!r} has neither picture nor sound at {parts[0].wanted}.")
        # Each source has given its first packet, and so has opened its encoder, before anything is written.
        with unbroken(parts[0].file.path):
            for packet in merge(*sources, key=_decoding_time):
                container.mux(packet)


def _decoding_time(packet: "Packet[Any]") -> Fraction:
    return (packet.dts or 0) * Fraction(packet.time_base or 1)


def _encoded_pictures(container: "OutputContainer", writing: _Writing) -> "Iterator[Packet[Any]]":
    import av
    from av.video.frame import VideoFrame

    name = next(name for name in _QUALITY if name in av.codecs_available)
    rate = next(part.rate for part in writing.parts if part.has_picture)
    stream: VideoStream = container.add_stream(name, rate=rate, options=dict(_QUALITY[name]))  # type: ignore[assignment]
    stream.width, stream.height = writing.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _TICKS)
    context.colorspace, context.color_range = _BT709, _LIMITED
    context.color_primaries = context.color_trc = _BT709

    def packets() -> "Iterator[Packet[Any]]":
        lengths: dict[int, int] = {}
        for start, end, image in writing.pictures():
            frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = start, Fraction(1, _TICKS)
            lengths[start] = end - start
            yield from _timed(stream.encode(frame), lengths)
        yield from _timed(stream.encode(None), lengths)

    return packets()


def _timed(packets: "Sequence[Packet[Any]]", lengths: dict[int, int]) -> "Iterator[Packet[Any]]":
    """Give packets the lengths of their frames, which encoders do not pass on."""
    for packet in packets:
        packet.duration = lengths.pop(packet.pts or 0, packet.duration or 0)
        yield packet


def _encoded_sound(container: "OutputContainer", writing: _Writing) -> "Iterator[Packet[Any]]":
    import numpy as np
    from av.audio.frame import AudioFrame

    stream = container.add_stream("aac", rate=RATE, layout="stereo")
    stream.bit_rate = 192_000

    def packets() -> "Iterator[Packet[Any]]":
        stream.codec_context.open(strict=False)
        size = stream.codec_context.frame_size or 1024
        at, rest = 0, np.zeros((2, 0), np.float32)
        for block in chain(writing.sound(), [None]):
            rest = rest if block is None else np.concatenate([rest, block], axis=1)
            whole = rest.shape[1] if block is None else rest.shape[1] // size * size
            for begin in range(0, whole, size):
                frame = AudioFrame.from_ndarray(
                    np.ascontiguousarray(rest[:, begin : min(begin + size, whole)]), format="fltp", layout="stereo"
                )
                frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), at
                at += frame.samples
                yield from stream.encode(frame)
            rest = rest[:, whole:]
        yield from stream.encode(None)

    return packets()


def _on_grid(ms: int, rate: Fraction) -> int:
    """Return ms as ticks: at the frame of a constant rate that lies within their rounding, if there is one."""
    nearest = round(ms * rate / 1000) / rate * 1000
    return round((nearest if abs(nearest - ms) <= 1 else ms) * _TICKS / 1000)


def _fitted(image: "Image | None", size: tuple[int, int]) -> "Image":
    """Return a picture of this width and height, with black beside it where its shape differs."""
    import numpy as np
    from av.video.frame import VideoFrame

    wide, tall = size
    if image is not None and image.shape[0] >> 1 == tall >> 1 and image.shape[1] >> 1 == wide >> 1:
        return image[:tall, :wide]
    whole = np.zeros((tall, wide, 3), np.uint8)
    if image is None:
        return whole
    scale = min(wide / image.shape[1], tall / image.shape[0])
    width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    scaled = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(width, height, "rgb24").to_ndarray()
    left, top = (wide - width) // 2, (tall - height) // 2
    whole[top : top + height, left : left + width] = scaled
    return whole
