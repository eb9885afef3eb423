"""Regions: a part of the picture by name or as fractions, cropped at the source's resolution."""

import re
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import ToolRefusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PART = "region"
"""The name of the option, and of the parameter that marks notes on a part of the picture."""

Region = tuple[float, float, float, float]
"""`x0, y0, x1, y1` as fractions of the picture's width and height, from the top left."""

_ACROSS = {"left": (0.0, 0.5), "right": (0.5, 1.0)}
_DOWN = {"top": (0.0, 0.5), "bottom": (0.5, 1.0)}
NAMED: dict[str, Region] = {
    **{f"{name} half": (x0, 0.0, x1, 1.0) for name, (x0, x1) in _ACROSS.items()},
    **{f"{name} half": (0.0, y0, 1.0, y1) for name, (y0, y1) in _DOWN.items()},
    **{f"{down} {across}": (x0, y0, x1, y1) for down, (y0, y1) in _DOWN.items() for across, (x0, x1) in _ACROSS.items()},
    "centre": (0.25, 0.25, 0.75, 0.75),
}
"""The regions that have a name."""

SCHEMA: dict[str, Any] = {
    "type": ["string", "array"],
    "items": {"type": "number"},
    "description": "a part, at full resolution: left half, top right, centre ..., or 'x0,y0,x1,y1', 0 to 1",
}
"""The option `region` of a tool."""

_DIGITS = 3
_NUMBER = re.compile(r"-?\d*\.?\d+")
_FRACTIONS = re.compile(rf"[\[(\s]*{_NUMBER.pattern}(?:[,\s]+{_NUMBER.pattern})*[\])\s]*")
"""Numbers between commas or blanks, also in brackets."""


def parse_region(given: Any) -> Region | None:
    """Return the region that an option names; None for the whole picture.

    Args:
        given: a name, four fractions, or None.

    Raises:
        ToolRefusal: it is neither, or empty.
    """
    if given is None:
        return None
    if isinstance(given, str) and _FRACTIONS.fullmatch(given):
        given = [float(number) for number in _NUMBER.findall(given)]
    if isinstance(given, str):
        name = " ".join(given.casefold().replace("-", " ").replace("center", "centre").split())
        if name not in NAMED:
            raise ToolRefusal(f"{given!r} is not a region; name one of {', '.join(NAMED)}, or four fractions such as [0.5, 0, 1, 0.5].")
        return NAMED[name]
    if (
        not isinstance(given, list | tuple)
        or len(given) != 4
        or any(isinstance(one, bool) or not isinstance(one, int | float) for one in given)
    ):
        raise ToolRefusal(f"{given!r} is not a region; four fractions are needed: [x0, y0, x1, y1], such as [0.5, 0, 1, 0.5].")
    x0, y0, x1, y1 = (round(float(one), _DIGITS) for one in given)
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise ToolRefusal(f"{list(given)!r} is not a region; needed are 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1.")
    return None if (x0, y0, x1, y1) == (0, 0, 1, 1) else (x0, y0, x1, y1)


def pixel_box(region: Region, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return `left, top, right, bottom` in pixels of a picture of `size` (width, height): at least one pixel each way."""
    (x0, y0, x1, y1), (width, height) = region, size
    left, top = min(int(x0 * width), width - 1), min(int(y0 * height), height - 1)
    return left, top, max(left + 1, -int(-x1 * width // 1)), max(top + 1, -int(-y1 * height // 1))


def crop(image: "NDArray[np.uint8]", region: Region | None) -> "NDArray[np.uint8]":
    """Return the part of an image (H x W x 3, uint8) in a region, a view; the whole image without one."""
    if region is None:
        return image
    left, top, right, bottom = pixel_box(region, (image.shape[1], image.shape[0]))
    return image[top:bottom, left:right]
