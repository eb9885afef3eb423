"""Convert decoded frames to upright arrays: H x W x 3, uint8, RGB or BGR.

A caller that uses only some pixels gets just these where libswscale gives the same bytes, which
takes 0.2 ms in place of 3.3 ms for every seventh pixel of each side of a 1080p frame: libswscale
converts 8-bit 4:2:0 pixel by pixel, from a pixel's luma and the chroma shared by four pixels, so
the wanted pixels are copied to a smaller frame, which is converted. Whether the code for this
processor gives the same bytes is tested on noise; if not, and for all other formats, whole frames
are converted.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from analyzer_agent.errors import MediaError
from analyzer_agent.protocols import Pixels

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Order = Literal["rgb", "bgr"]

_PLANAR_FORMATS = {"nv12": "yuv420p", "p010le": "yuv420p10le", "p012le": "yuv420p12le", "p016le": "yuv420p16le"}
"""Semi-planar formats of hardware decoders -> the planar formats of software decoders. Both hold
the same samples, but libswscale converts the former to other colours."""
_PACKED_FORMATS = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}
"""Supported formats -> the format of the smaller frame, in which each row has its own chroma."""
_FATAL_FORMATS = frozenset({"yaf32le", "yaf32be"})
"""Formats for which libswscale ends the process (an assertion)."""

_UNSPECIFIED_MATRIX, _UNSPECIFIED_RANGE = 2, 0

_CHROMA_WIDTH = 2
"""Number of adjacent pixels in a row that share their chroma."""
_WIDTH_ALIGNMENT = 32
"""Widths are padded to a multiple of this: libswscale may convert the rest of a row differently."""
_CopyPlan = list[tuple["slice | NDArray[np.intp]", slice]]


class FrameConverter:
    """Converts frames to upright, contiguous arrays: H x W x 3, uint8. For one thread.

    It has its own reformatter: several readers may share a frame, and the frame's own is not
    thread-safe; one for all frames is also faster.

    Args:
        order: the channel order.
        turn: the result of `orientation.orientation_of`.
        pixels: the pixels of the upright image that are used; the arrays hold just these (rows x
            columns x 3) if that is faster.
        size: width and height of the upright image; needed for `pixels`.
    """

    def __init__(
        self, order: Order, turn: tuple[int, bool] = (0, False), pixels: Pixels | None = None, size: tuple[int, int] = (0, 0)
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self._format = "rgb24" if order == "rgb" else "bgr24"
        self._turn, self._pixels, self._size = turn, pixels, size
        self._reformatter = VideoReformatter()
        self._source: FrameFormat | None = None
        self._subset: PixelSubsetConverter | None = None
        self._plain_colours = False

    def image(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        """Return the array of a frame.

        Raises:
            MediaError: libswscale cannot convert the frame's pixels.
        """
        import av

        kind = frame.format.name if frame.format is not None else "unknown"
        if kind in _FATAL_FORMATS:
            raise _not_convertible(kind)
        if not self._plain_colours:
            try:
                return self._image(frame)
            except (av.FFmpegError, ValueError):
                self._plain_colours = True  # libswscale refuses colours that it has no matrix for (YCgCo, reserved values)
        frame.colorspace, frame.color_range = _UNSPECIFIED_MATRIX, _UNSPECIFIED_RANGE
        try:
            return self._image(frame)
        except (av.FFmpegError, ValueError) as error:
            raise _not_convertible(kind) from error

    def _image(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        import numpy as np

        plain = _PLANAR_FORMATS.get(frame.format.name)
        if plain is not None:
            frame = self._reformatter.reformat(frame, format=plain)
        if self._pixels is not None and (source := format_of(frame)) != self._source:
            self._source, self._subset = source, self._subset_converter(source, self._pixels)
        converted = self._subset.convert(frame) if self._subset else self._reformatter.reformat(frame, format=self._format).to_ndarray()
        return np.ascontiguousarray(self._upright(converted), dtype=np.uint8)

    def _subset_converter(self, source: "FrameFormat", pixels: Pixels) -> "PixelSubsetConverter | None":
        """Return a converter for `pixels` only; None if the size or format does not allow one."""
        import numpy as np

        if source.format not in _PACKED_FORMATS:
            return None
        # Turning the coordinate arrays gives each upright pixel's position in the stored frame.
        axes = np.ogrid[: source.height, : source.width]
        down, across = (self._upright(np.broadcast_to(axis, (source.height, source.width))) for axis in axes)
        if across.shape != self._size[::-1]:
            return None
        wanted = np.ix_(pixels.rows, pixels.columns)
        stored = Pixels(*(tuple(np.unique(axis[wanted]).tolist()) for axis in (across, down)))
        return PixelSubsetConverter(source, self._format, stored) if _matches_full_conversion(source, self._format, stored) else None

    def _upright(self, pixels: "NDArray[Any]") -> "NDArray[Any]":
        import numpy as np

        degrees, mirrored = self._turn
        if mirrored:
            pixels = pixels[:, ::-1]
        return np.rot90(pixels, k=-degrees // 90) if degrees else pixels


class FrameFormat(NamedTuple):
    """The properties of a frame that determine its conversion."""

    format: str
    width: int
    height: int
    colorspace: int
    color_range: int


def format_of(frame: "VideoFrame") -> FrameFormat:
    """Return the format of a frame."""
    return FrameFormat(frame.format.name, frame.width, frame.height, int(frame.colorspace), int(frame.color_range))


class PixelSubsetConverter:
    """Converts the same pixels of many frames of one format. Not thread-safe."""

    def __init__(self, source: FrameFormat, format: str, pixels: Pixels) -> None:
        import av
        import numpy as np
        from av.video.reformatter import VideoReformatter

        self._format, self._reformatter = format, VideoReformatter()
        every = pixels.columns == tuple(range(source.width))
        # A single column has its own chroma, so the pixel next to it in the small frame is unused.
        self._step = 1 if every else _CHROMA_WIDTH
        rows, columns = np.array(pixels.rows), np.array(pixels.columns)
        self._luma = _copy_plan(rows), _copy_plan(columns)
        self._chroma = (
            _copy_plan(rows // _CHROMA_WIDTH),
            _copy_plan(columns[::_CHROMA_WIDTH] // _CHROMA_WIDTH if every else columns // _CHROMA_WIDTH),
        )
        self._size = len(rows), self._step * len(columns)
        height, width = (-(-length // to) * to for length, to in zip(self._size, (2, _WIDTH_ALIGNMENT), strict=True))
        self._small = av.VideoFrame(width, height, _PACKED_FORMATS[source.format])
        self._small.colorspace, self._small.color_range = source.colorspace, source.color_range

    def convert(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        """Return the wanted pixels: rows x columns x 3, uint8."""
        import numpy as np

        height, width = self._size
        (luma, *chroma), (small, *others) = _planes(frame), _planes(self._small)
        _copy(luma, small[:height, : width : self._step], self._luma)
        for source, target in zip(chroma, others, strict=True):
            _copy(source, target[:height, : -(-width // _CHROMA_WIDTH)], self._chroma)
        converted: NDArray[Any] = self._reformatter.reformat(self._small, format=self._format, threads=1).to_ndarray()
        wanted = converted[:height, : width : self._step]
        if self._step == 1:
            return wanted
        pixels = np.empty(wanted.shape, np.uint8)
        for colour in range(3):  # five times as fast as one copy of the strided array
            pixels[..., colour] = wanted[..., colour]
        return pixels


def _not_convertible(format: str) -> MediaError:
    return MediaError(
        f"Pictures in the pixel format {format!r} cannot be converted to RGB.",
        hint="Convert the video first, such as: ffmpeg -i VIDEO -pix_fmt yuv420p converted.mp4",
    )


def _copy_plan(places: "NDArray[np.intp]") -> _CopyPlan:
    """Return (from, to) pairs of indices that copy the values at `places` next to each other.

    Regular places (every n-th, or two of every n) become slices: numpy copies these in a third of
    the time of fancy indexing.
    """
    import numpy as np

    for count in (1, 2):
        parts = [places[first::count] for first in range(count)]
        steps = [set(np.diff(part).tolist()) or {1} for part in parts]
        if all(len(step) == 1 and min(step) > 0 for step in steps):
            found = zip(range(count), parts, steps, strict=True)
            return [(slice(int(part[0]), int(part[-1]) + 1, *step), slice(first, None, count)) for first, part, step in found if len(part)]
    return [(places, slice(None))]


def _copy(source: "NDArray[np.uint8]", target: "NDArray[np.uint8]", moves: tuple[_CopyPlan, _CopyPlan]) -> None:
    for rows, to_rows in moves[0]:
        for columns, to_columns in moves[1]:
            target[to_rows, to_columns] = source[rows][:, columns]


def _planes(frame: "VideoFrame") -> "list[NDArray[np.uint8]]":
    """Return each plane: height x line size, uint8, including the padding of its rows."""
    import numpy as np

    return [np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes]


@lru_cache(maxsize=32)
def _matches_full_conversion(source: FrameFormat, format: str, pixels: Pixels) -> bool:
    """Return whether the subset conversion of noise equals the full conversion."""
    import av
    import numpy as np

    noise = np.random.default_rng(0)
    frame = av.VideoFrame(source.width, source.height, source.format)
    frame.colorspace, frame.color_range = source.colorspace, source.color_range
    for plane in _planes(frame):
        plane[:] = noise.integers(0, 256, plane.shape, dtype=np.uint8)
    whole = frame.to_ndarray(format=format)
    return np.array_equal(PixelSubsetConverter(source, format, pixels).convert(frame), whole[np.ix_(pixels.rows, pixels.columns)])
