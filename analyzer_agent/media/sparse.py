"""Some pixels of a frame, converted without the others. Knows nothing of what they are wanted for.

libswscale turns plain 8-bit 4:2:0 into RGB pixel by pixel: from a pixel's own luma and the chroma that four pixels share. So the wanted
ones are put together as a smaller frame, and that is converted. Whether the code for this processor keeps to it is tried out on
noise; where it does not, and for all other formats, there is no short way.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from analyzer_agent.protocols import Pixels

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

_TOGETHER = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}
"""Formats with a short way, and as what the wanted pixels are put together: each row with chroma of its own."""
_PAIR = 2
"""Pixels side by side that share their chroma."""
_WIDTHS = 32
"""Widths are filled up to a multiple of this: the last pixels of other rows may be converted by other code."""


class Look(NamedTuple):
    """All of a frame that decides how it is converted."""

    format: str
    width: int
    height: int
    colorspace: int
    color_range: int


def look_of(frame: "VideoFrame") -> Look:
    """Return the look of a frame."""
    return Look(frame.format.name, frame.width, frame.height, int(frame.colorspace), int(frame.color_range))


def sparse(look: Look, format: str, pixels: Pixels) -> "Sparse | None":
    """Return what converts these pixels of such frames, None where there is no short way."""
    return Sparse(look, format, pixels) if look.format in _TOGETHER and _holds(look, format, pixels) else None


class Sparse:
    """Converts the same pixels of many frames that look alike; not to be used by several threads at once."""

    def __init__(self, look: Look, format: str, pixels: Pixels) -> None:
        import av
        import numpy as np
        from av.video.reformatter import VideoReformatter

        self._format, self._reformatter = format, VideoReformatter()
        self._rows = np.array(pixels.rows)
        every = pixels.columns == tuple(range(look.width))
        self._columns = slice(look.width) if every else np.array(pixels.columns)
        self._chroma_columns = slice(-(-look.width // _PAIR)) if every else np.array(pixels.columns) // _PAIR
        # A column that is picked out has its own chroma, so nothing of use can stand beside it.
        self._step = 1 if every else _PAIR
        self._width = self._step * len(pixels.columns)
        filled, even = -(-self._width // _WIDTHS) * _WIDTHS, -(-len(self._rows) // 2) * 2
        self._together = av.VideoFrame(filled, even, _TOGETHER[look.format])
        self._together.colorspace, self._together.color_range = look.colorspace, look.color_range

    def convert(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        """Return the wanted pixels as bytes, rows x columns x 3."""
        import numpy as np

        count, half = len(self._rows), -(-self._width // _PAIR)
        (luma, *chroma), (place, *others) = _planes(frame), _planes(self._together)
        place[:count, : self._width : self._step] = luma[self._rows][:, self._columns]
        for source, target in zip(chroma, others, strict=True):
            target[:count, :half] = source[self._rows // _PAIR][:, self._chroma_columns]
        converted = self._reformatter.reformat(self._together, format=self._format, threads=1).to_ndarray()
        wanted = converted[:count, : self._width : self._step]
        pixels = np.empty(wanted.shape, np.uint8)
        for colour in range(3):  # numpy takes five times as long to copy them as they are
            pixels[..., colour] = wanted[..., colour]
        return pixels


def _planes(frame: "VideoFrame") -> "list[NDArray[np.uint8]]":
    """Return the bytes of each plane, with what fills up its rows."""
    import numpy as np

    return [np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes]


@lru_cache(maxsize=32)
def _holds(look: Look, format: str, pixels: Pixels) -> bool:
    """Tell whether the short way gives the same bytes as the long one, for noise."""
    import av
    import numpy as np

    noise = np.random.default_rng(0)
    frame = av.VideoFrame(look.width, look.height, look.format)
    frame.colorspace, frame.color_range = look.colorspace, look.color_range
    for plane in _planes(frame):
        plane[:] = noise.integers(0, 256, plane.shape, dtype=np.uint8)
    whole = frame.to_ndarray(format=format)
    return np.array_equal(Sparse(look, format, pixels).convert(frame), whole[np.ix_(pixels.rows, pixels.columns)])
