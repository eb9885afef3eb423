"""From decoded frames to upright arrays of bytes. Knows nothing of time."""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Order = Literal["rgb", "bgr"]

_PLAIN = {"nv12": "yuv420p", "p010le": "yuv420p10le", "p012le": "yuv420p12le", "p016le": "yuv420p16le"}
"""How hardware decoders lay the same samples out, and how software decoders do: libswscale gives other colours for the former."""


def turn_of(frame: "VideoFrame") -> tuple[int, bool]:
    """Return how to make the frame upright: degrees clockwise (0, 90, 180 or 270), after mirroring left and right if true.

    From the display matrix (libavutil/display.h). Angles between the right ones are rounded to the nearest.
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


class Painter:
    """Makes upright arrays of frames; for one reader. `turn` is what `turn_of` gives.

    Frames are shared by readers, and a frame's own converter must not be used by two threads at once; besides, one for all is quicker.
    """

    def __init__(self, order: Order, turn: tuple[int, bool] = (0, False)) -> None:
        from av.video.reformatter import VideoReformatter

        self._format = "rgb24" if order == "rgb" else "bgr24"
        self._turn = turn
        self._reformatter = VideoReformatter()

    def image(self, frame: "VideoFrame") -> "NDArray[np.uint8]":
        """Return the frame as H x W x 3 bytes, upright and contiguous."""
        import numpy as np

        plain = _PLAIN.get(frame.format.name)
        if plain is not None:
            frame = self._reformatter.reformat(frame, format=plain)
        pixels = self._reformatter.reformat(frame, format=self._format).to_ndarray()
        degrees, mirrored = self._turn
        if mirrored:
            pixels = pixels[:, ::-1]
        if degrees:
            pixels = np.rot90(pixels, k=-degrees // 90)
        return np.ascontiguousarray(pixels, dtype=np.uint8)
