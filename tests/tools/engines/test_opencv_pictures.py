"""Pictures for models: shrunk, or on sheets that no server has to shrink."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.tools.engines.opencv_pictures import contact_sheet, shrink


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_shrinking_keeps_the_mean_and_the_sides_in_bounds(height: int, width: int, side: int) -> None:
    image = np.full((height, width, 3), (7, 130, 255), np.uint8)
    small = shrink(image, side)
    assert max(small.shape[:2]) <= max(side, 1) and (small == (7, 130, 255)).all() and small.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1920, 1080, 3), (8, 1200, 3), (1, 1, 3)])
def test_a_full_sheet_is_never_larger_than_a_picture_may_be(shape: tuple[int, int, int]) -> None:
    assert max(contact_sheet([np.zeros(shape, np.uint8)] * 16, ["1:00:00"] * 16).shape) <= 1024
