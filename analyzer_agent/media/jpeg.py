"""Encode pictures as JPEG, for pages and messages. Decoding is left to whoever shows them."""

from fractions import Fraction
from typing import TYPE_CHECKING

from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COARSER = (7, 12, 20, 31)
"""Quantisers that are tried, in this order, for a picture that is over its budget."""
_SMALLEST_SIDE = 2
"""Pixels: the colours of a JPEG are stored for squares of two by two."""


def jpeg(image: "NDArray[np.uint8]", max_side: int, coarseness: int = 4, max_bytes: int | None = None) -> bytes:
    """Encode a picture as a JPEG file.

    Over the budget, the quality is lowered first, and the size only where the lowest quality does not fit.

    Args:
        image: RGB, H x W x 3 uint8.
        max_side: the longest side in pixels; a larger picture is downscaled by area averaging.
        coarseness: the quantiser from 2 (best) to 31 (smallest).
        max_bytes: the byte budget of the file; None for none. Headers alone are 600 bytes.
    """
    while True:
        for quantiser in (coarseness, *(_COARSER if max_bytes else ())):
            data = _encoded(image, max_side, quantiser)
            if max_bytes is None or len(data) <= max_bytes or max_side <= _SMALLEST_SIDE:
                return data
        max_side = min(max_side, max(image.shape[:2])) * 3 // 4


def _encoded(image: "NDArray[np.uint8]", max_side: int, coarseness: int) -> bytes:
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    width, height = (max(_SMALLEST_SIDE, round(side * scale)) for side in (width, height))
    frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
        width, height, "yuvj420p", interpolation="AREA", dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    frame.pts = 0
    encoder = CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuvj420p", Fraction(1)
    encoder.options = {"qmin": str(coarseness), "qmax": str(coarseness)}
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
