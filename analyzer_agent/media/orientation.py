"""How to make a picture upright: from the display matrix of a frame, or from its EXIF block."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_UPRIGHT = {1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True), 5: (270, True), 6: (90, False), 7: (90, True), 8: (270, False)}
"""EXIF's orientations: degrees clockwise, after a horizontal flip if true."""

_ORIENTATION = 0x0112
_BLOCKS = ((b"Exif\0\0", 0), (b"eXIf", 0), (b"EXIF", 4))
"""What stands before an EXIF block in JPEG, PNG and WebP, and the bytes in between. A TIFF file begins with it."""

_BYTE_ORDERS = {b"II*\0": "little", b"MM\0*": "big"}


def orientation_of(frame: "VideoFrame", data: bytes = b"") -> tuple[int, bool]:
    """Return how to make a frame upright, from its display matrix (libavutil/display.h).

    Args:
        frame: the frame.
        data: the packet that holds it: its EXIF block is asked whether the picture is mirrored if
            the frame's side data cannot be listed.

    Returns:
        (degrees, mirrored): turn clockwise by 0, 90, 180 or 270 degrees (other angles are rounded),
        after a horizontal flip if `mirrored`.
    """
    import numpy as np

    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists no side data if one is of a type that it does not know, such as EXIF
        return _by_exif(round(-frame.rotation / 90) * 90 % 360, data)
    if matrix is None:
        return 0, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(float(np.degrees(np.arctan2(b, a))) / 90) * 90 % 360, mirrored


def _by_exif(degrees: int, data: bytes) -> tuple[int, bool]:
    """Return the orientation of the EXIF block if it is mirrored, else the rotation that libav found."""
    turned, mirrored = _UPRIGHT.get(exif_orientation(data), (0, False))
    return (turned, True) if mirrored and turned % 180 == degrees % 180 else (degrees, False)


def exif_orientation(data: bytes) -> int:
    """Return the orientation (1 to 8) in the EXIF block of a JPEG, PNG, WebP or TIFF picture; 0 without one."""
    for marker, skip in _BLOCKS:
        at = data.find(marker)
        if at >= 0 and (found := _tiff_orientation(data[at + len(marker) + skip :].removeprefix(b"Exif\0\0"))):
            return found
    return _tiff_orientation(data)


def _tiff_orientation(tiff: bytes) -> int:
    order: Any = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return 0
    at = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[at : at + 2], order)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(tiff)), 12):
        if int.from_bytes(tiff[entry : entry + 2], order) == _ORIENTATION:
            return int.from_bytes(tiff[entry + 8 : entry + 10], order)
    return 0
