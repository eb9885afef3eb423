"""Pictures as JPEG: what goes in comes out, smaller and upright."""

import io

import av
import numpy as np
import pytest

from analyzer_agent.media import jpeg
from media_maker import drawing, number_of


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), mode="r") as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def test_a_picture_comes_back_smaller() -> None:
    picture = decoded(jpeg(drawing(173, (640, 480)), 160))
    assert picture.shape == (120, 160, 3) and number_of(picture) == 173


def test_colours_and_greys_stay() -> None:
    for colour in ((255, 255, 255), (0, 0, 0), (220, 30, 40), (20, 200, 60)):
        flat = np.full((32, 48, 3), colour, np.uint8)
        assert np.abs(decoded(jpeg(flat, 480)).astype(int) - flat).max() <= 6


@pytest.mark.parametrize(("size", "side", "shape"), [((64, 48), 480, (48, 64, 3)), ((2000, 2), 100, (2, 100, 3)), ((2, 2), 1, (2, 2, 3))])
def test_no_side_is_too_small(size: tuple[int, int], side: int, shape: tuple[int, ...]) -> None:
    assert decoded(jpeg(drawing(1, size), side)).shape == shape
