"""Find text on large pictures in overlapping tiles: detectors shrink what they get, and small letters vanish.

A line that a seam cuts is found in parts, one for each tile. The parts are joined to one box before
the line is read, from the whole picture, so no words are put together from their letters.
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LONGEST_SIDE = 1984
"""The longest side of a tile, in pixels; pictures up to this size (1080p and smaller) have no tiles."""

OVERLAP = 128
"""Pixels that neighbouring tiles share; lower lines than this lie whole in one of them."""

MOST_TILES = 16
"""The most tiles of a picture; they grow where more would be needed, beyond 8K."""

_SEAM_MARGIN = 4
"""A box as close as this to a seam, in pixels, may be cut by it."""

Tile: TypeAlias = tuple[int, int, int, int]
"""Left, top, width and height of a tile, in pixels."""

Corners: TypeAlias = NDArray[np.float32]
"""The corners of a box, 4 x 2: top left, top right, bottom right, bottom left, as the text runs."""


def tiles_of(size: tuple[int, int]) -> list[Tile]:
    """Return the tiles of a picture of (width, height) pixels; one is the picture itself."""
    longest = LONGEST_SIDE
    while (across := _parts(size[0], longest)) * (down := _parts(size[1], longest)) > MOST_TILES:
        longest += OVERLAP
    return [(left, top, wide, tall) for top, tall in _cut(size[1], down) for left, wide in _cut(size[0], across)]


def longest_side(size: tuple[int, int]) -> int:
    """Return the longest side, in pixels, of what a detector gets of a picture of (width, height)."""
    return max(max(wide, tall) for _, _, wide, tall in tiles_of(size))


def effort(size: tuple[int, int]) -> int:
    """Return how many pictures a detector gets for one of (width, height): its tiles and itself."""
    many = len(tiles_of(size))
    return many + 1 if many > 1 else 1


def find_in_tiles(image: NDArray[np.uint8], find: Callable[[NDArray[np.uint8]], Sequence[Corners]]) -> list[Corners]:
    """Return the boxes of the lines in a picture, each once; `find` finds those of a part of it.

    Lines at least as high as the overlap are taken from the whole picture where seams cut them.
    """
    size = (image.shape[1], image.shape[0])
    found = [
        (tile, np.asarray(corners, np.float32) + np.array(tile[:2], np.float32))
        for tile in tiles_of(size)
        for corners in find(np.ascontiguousarray(image[tile[1] : tile[1] + tile[3], tile[0] : tile[0] + tile[2]]))
    ]
    parts = [(tile, corners) for tile, corners in found if not _is_whole_next_door(corners, tile, size)]
    large = [np.asarray(corners, np.float32) for corners in find(image)]
    large = [corners for corners in large if min(_extent(corners)) >= OVERLAP and _is_cut_line(corners, parts, size)]
    left = [(tile, corners) for tile, corners in parts if sum(_share_inside(corners, other) for other in large) <= 0.5]
    return [_union(group) for group in _groups(left)] + large


def _parts(length: int, longest: int) -> int:
    return max(1, ceil((length - OVERLAP) / (longest - OVERLAP)))


def _cut(length: int, parts: int) -> list[tuple[int, int]]:
    """Return start and length of each of the overlapping parts of a length, all of one size."""
    part = ceil((length + (parts - 1) * OVERLAP) / parts)
    return [(min(n * (part - OVERLAP), length - part), part) for n in range(parts)]


def _bounds(corners: Corners) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _extent(corners: Corners) -> tuple[float, float]:
    """Return the lengths of a box along its text and across it, in pixels."""
    return float(np.linalg.norm(corners[1] - corners[0])), float(np.linalg.norm(corners[3] - corners[0]))


def _seams_touched(corners: Corners, tile: Tile, size: tuple[int, int]) -> tuple[bool, bool]:
    """Return whether a box touches a seam of its tile that runs down, and one that runs across."""
    left, top, right, bottom = _bounds(corners)
    x, y, wide, tall = tile
    down = (x > 0 and left <= x + _SEAM_MARGIN) or (x + wide < size[0] and right >= x + wide - _SEAM_MARGIN)
    across = (y > 0 and top <= y + _SEAM_MARGIN) or (y + tall < size[1] and bottom >= y + tall - _SEAM_MARGIN)
    return down, across


def _is_whole_next_door(corners: Corners, tile: Tile, size: tuple[int, int]) -> bool:
    """Tell whether the neighbour beyond a seam sees all of a box that this seam may have cut."""
    left, top, right, bottom = _bounds(corners)
    down, across = _seams_touched(corners, tile, size)
    return (down and right - left < OVERLAP - _SEAM_MARGIN) or (across and bottom - top < OVERLAP - _SEAM_MARGIN)


def _is_cut_line(corners: Corners, parts: Sequence[tuple[Tile, Corners]], size: tuple[int, int]) -> bool:
    """Tell whether a box of the whole picture is one line that seams cut, not many small ones seen as one."""
    areas = {True: 0.0, False: 0.0}
    for tile, part in parts:
        if _share_inside(part, corners) > 0.5:
            wide, tall = _extent(part)
            areas[any(_seams_touched(part, tile, size))] += wide * tall
    return areas[True] >= areas[False]


def _share_inside(corners: Corners, other: Corners) -> float:
    """Return the share of a box's upright bounds that lies inside those of another."""
    left, top, right, bottom = _bounds(corners)
    x, y, end, low = _bounds(other)
    inside = max(0.0, min(right, end) - max(left, x)) * max(0.0, min(bottom, low) - max(top, y))
    return inside / max(1e-6, (right - left) * (bottom - top))


def _are_one_line(one: Corners, other: Corners) -> bool:
    """Tell whether boxes of two tiles are parts of one line, which runs across or down."""
    left, top, right, bottom = _bounds(one)
    x, y, end, low = _bounds(other)
    across, down = min(right, end) - max(left, x), min(bottom, low) - max(top, y)
    if across <= 0 or down <= 0:
        return False
    return down >= min(bottom - top, low - y) / 2 or (across >= min(right - left, end - x) / 2 and _runs_down(one) and _runs_down(other))


def _runs_down(corners: Corners) -> bool:
    left, top, right, bottom = _bounds(corners)
    return bottom - top > 1.5 * (right - left)


def _groups(parts: Sequence[tuple[Tile, Corners]]) -> list[list[Corners]]:
    """Group the boxes that are parts of one line; those of one tile are never compared."""
    groups: list[list[tuple[Tile, Corners]]] = []
    for tile, corners in parts:
        same = [group for group in groups if any(other != tile and _are_one_line(corners, part) for other, part in group)]
        groups = [group for group in groups if not any(group is one for one in same)]
        groups.append([*(part for group in same for part in group), (tile, corners)])
    return [[corners for _, corners in group] for group in groups]


def _union(parts: Sequence[Corners]) -> Corners:
    """Return the smallest box around some, turned as the longest of them."""
    if len(parts) == 1:
        return parts[0]
    longest = max(parts, key=lambda one: max(_extent(one)))
    along = longest[1] - longest[0]
    along = along / max(1e-6, float(np.linalg.norm(along)))
    axes = np.stack([along, np.array([-along[1], along[0]])])
    turned = np.concatenate(parts) @ axes.T
    (left, top), (right, bottom) = turned.min(axis=0), turned.max(axis=0)
    return np.asarray(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ axes, np.float32)
