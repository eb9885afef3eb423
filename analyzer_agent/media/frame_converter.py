"""Convert decoded frames to upright arrays: H x W x 3, uint8, RGB or BGR."""

from typing import TYPE_CHECKING, Any, Literal

from analyzer_agent.media.pixel_subset import FrameFormat, PixelSubsetConverter, format_of, pixel_subset
from analyzer_agent.protocols import Pixels

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Order = Literal["rgb", "bgr"]

_PLANAR_FORMATS = {"nv12": "yuv420p", "p010le": "yuv420p10le", "p012le": "yuv420p12le", "p016le": "yuv420p16le"}
"""Semi-planar formats of hardware decoders -> the planar formats of software decoders. Both hold
the same samples, but libswscale converts the former to other colours."""


def orientation_of(frame: "VideoFrame") -> tuple[int, bool]:
    """Return how to make a frame upright, from its display matrix (libavutil/display.h).

    Returns:
        (degrees, mirrored): turn clockwise by 0, 90, 180 or 270 degrees (other angles are rounded),
        after a horizontal flip if `mirrored`.
    """
    import numpy as np

    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), dtype=np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(float(np.degrees(np.arctan2(b, a))) / 90) * 90 % 360, mirrored


class FrameConverter:
    """Converts frames to upright, contiguous arrays: H x W x 3, uint8. For one thread.

    It has its own reformatter: several readers may share a frame, and the frame's own is not
    thread-safe; one for all frames is also faster.

    Args:
        order: the channel order.
        turn: the result of `orientation_of`.
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
        self._look: FrameFormat | None = None
        self._sparse: PixelSubsetConverter | None = None

    def image(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        """Return the array of a frame."""
        import numpy as np

        plain = _PLANAR_FORMATS.get(frame.format.name)
        if plain is not None:
            frame = self._reformatter.reformat(frame, format=plain)
        if self._pixels is not None and (look := format_of(frame)) != self._look:
            self._look, self._sparse = look, self._short_way(look, self._pixels)
        converted = self._sparse.convert(frame) if self._sparse else self._reformatter.reformat(frame, format=self._format).to_ndarray()
        return np.ascontiguousarray(self._upright(converted), dtype=np.uint8)

    def _short_way(self, look: FrameFormat, pixels: Pixels) -> PixelSubsetConverter | None:
        """Return a converter for `pixels` only; None if the size or format does not allow one."""
        import numpy as np

        # Turning the coordinate arrays gives each upright pixel's position in the stored frame.
        down, across = (self._upright(np.broadcast_to(axis, (look.height, look.width))) for axis in np.ogrid[: look.height, : look.width])
        if across.shape != self._size[::-1]:
            return None
        wanted = np.ix_(pixels.rows, pixels.columns)
        return pixel_subset(look, self._format, Pixels(*(tuple(np.unique(axis[wanted]).tolist()) for axis in (across, down))))

    def _upright(self, pixels: "NDArray[Any]") -> "NDArray[Any]":
        import numpy as np

        degrees, mirrored = self._turn
        if mirrored:
            pixels = pixels[:, ::-1]
        return np.rot90(pixels, k=-degrees // 90) if degrees else pixels
