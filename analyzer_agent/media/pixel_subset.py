"""Convert a subset of a frame's pixels to RGB without converting the others.

libswscale converts 8-bit 4:2:0 pixel by pixel, from a pixel's luma and the chroma shared by four
pixels. The wanted pixels are therefore copied to a smaller frame, which is converted. Whether the
code for this processor gives the same bytes is tested on noise; if not, and for all other formats,
there is no subset conversion.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer_agent.protocols import Pixels

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

_PACKED_FORMATS = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}
"""Supported formats -> the format of the smaller frame, in which each row has its own chroma."""
_CHROMA_WIDTH = 2
"""Number of adjacent pixels in a row that share their chroma."""
_WIDTH_ALIGNMENT = 32
"""Widths are padded to a multiple of this: libswscale may convert the rest of a row differently."""
_CopyPlan = list[tuple["slice | NDArray[np.intp]", slice]]


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


def pixel_subset(look: FrameFormat, format: str, pixels: Pixels) -> "PixelSubsetConverter | None":
    """Return a converter for `pixels` of frames of this format, or None if it is not supported.

    Args:
        look: the format of the frames.
        format: the output format: "rgb24" or "bgr24".
        pixels: the pixels of the stored (not turned) frame.
    """
    return (
        PixelSubsetConverter(look, format, pixels)
        if look.format in _PACKED_FORMATS and _matches_full_conversion(look, format, pixels)
        else None
    )


class PixelSubsetConverter:
    """Converts the same pixels of many frames of one format. Not thread-safe."""

    def __init__(self, look: FrameFormat, format: str, pixels: Pixels) -> None:
        import av
        import numpy as np
        from av.video.reformatter import VideoReformatter

        self._format, self._reformatter = format, VideoReformatter()
        every = pixels.columns == tuple(range(look.width))
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
        self._together = av.VideoFrame(width, height, _PACKED_FORMATS[look.format])
        self._together.colorspace, self._together.color_range = look.colorspace, look.color_range

    def convert(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        """Return the wanted pixels: rows x columns x 3, uint8."""
        import numpy as np

        height, width = self._size
        (luma, *chroma), (together, *others) = _planes(frame), _planes(self._together)
        _copy(luma, together[:height, : width : self._step], self._luma)
        for source, target in zip(chroma, others, strict=True):
            _copy(source, target[:height, : -(-width // _CHROMA_WIDTH)], self._chroma)
        converted: NDArray[Any] = self._reformatter.reformat(self._together, format=self._format, threads=1).to_ndarray()
        wanted = converted[:height, : width : self._step]
        if self._step == 1:
            return wanted
        pixels = np.empty(wanted.shape, np.uint8)
        for colour in range(3):  # five times as fast as one copy of the strided array
            pixels[..., colour] = wanted[..., colour]
        return pixels


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
def _matches_full_conversion(look: FrameFormat, format: str, pixels: Pixels) -> bool:
    """Return whether the subset conversion of noise equals the full conversion."""
    import av
    import numpy as np

    noise = np.random.default_rng(0)
    frame = av.VideoFrame(look.width, look.height, look.format)
    frame.colorspace, frame.color_range = look.colorspace, look.color_range
    for plane in _planes(frame):
        plane[:] = noise.integers(0, 256, plane.shape, dtype=np.uint8)
    whole = frame.to_ndarray(format=format)
    return np.array_equal(PixelSubsetConverter(look, format, pixels).convert(frame), whole[np.ix_(pixels.rows, pixels.columns)])
