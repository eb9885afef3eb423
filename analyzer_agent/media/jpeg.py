"""Encode pictures as JPEG, for pages and messages. Decoding is left to whoever shows them."""

from fractions import Fraction
from typing import TYPE_CHECKING

from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SMALLEST_SIDE = 2
"""Pixels: the colours of a JPEG are stored for squares of two by two."""


def jpeg(image: "NDArray[np.uint8]", max_side: int, coarseness: int = 4) -> bytes:
    """Encode a picture as a JPEG file.

    Args:
        image: RGB, H x W x 3 uint8.
        max_side: the longest side in pixels; a larger picture is downscaled by area averaging.
        coarseness: the quantiser from 2 (best) to 31 (smallest).
    """
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
