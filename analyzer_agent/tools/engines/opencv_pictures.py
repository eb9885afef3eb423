"""Pictures as models are sent them: shrunk, or several on a contact sheet."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.tools.engines.opencv import library, resize

_COLUMNS, _TILE, _STRIP, _GAP = 4, 256, 22, 4
"""Contact sheet: tiles per row; pixels of a tile's longer side, its label strip and the gaps."""


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Downscale an image (H x W x 3, uint8) by area averaging to at most `side` pixels on its longer side."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    return resize(image, (max(1, round(width * factor)), max(1, round(height * factor))), library().INTER_AREA)


def contact_sheet(images: Sequence[NDArray[np.uint8]], labels: Sequence[str]) -> NDArray[np.uint8]:
    """Tile images (H x W x 3, uint8, BGR) of one size, four per row, each below its label.

    A tile is 256 x 256 pixels, so that vision models do not downscale a sheet of 16.
    """
    cv2 = library()
    height, width = images[0].shape[:2]
    factor = min((_TILE - _GAP) / width, (_TILE - _STRIP) / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    tiles = []
    for image, label in zip(images, labels, strict=True):
        tile = np.zeros((_STRIP + size[1], _TILE, 3), np.uint8)
        tile[_STRIP:, : size[0]] = resize(image, size, cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        cv2.putText(tile, label, (4, _STRIP - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(tile)
    columns = min(_COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    sheet: NDArray[np.uint8] = np.vstack([np.hstack(tiles[at : at + columns]) for at in range(0, len(tiles), columns)])
    return sheet
