"""Pictures for models: JPEG files within a budget of bytes, and sheets that no server has to shrink."""

import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.tools.engines.opencv_pictures import JPEG_BYTES, contact_sheet, jpeg, shrink


def decoded(data: bytes) -> Any:
    with av.open(io.BytesIO(data), "r") as container:
        return next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_shrinking_keeps_the_mean_and_the_sides_in_bounds(height: int, width: int, side: int) -> None:
    image = np.full((height, width, 3), (7, 130, 255), np.uint8)
    small = shrink(image, side)
    assert max(small.shape[:2]) <= max(side, 1) and (small == (7, 130, 255)).all() and small.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (5, 1, 3), (48, 64, 3)])
def test_a_jpeg_is_read_back_by_another_program(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, (200, 100, 50), np.uint8)
    assert np.abs(decoded(jpeg(image, 1024)).astype(int) - image).max() <= 3


def test_a_large_picture_is_shrunk() -> None:
    image = np.zeros((300, 500, 3), np.uint8)
    image[:, 250:] = (200, 100, 50)
    arrived = decoded(jpeg(image, 100)).astype(int)
    assert arrived.shape == (60, 100, 3)
    assert np.abs(arrived[30, 90] - (200, 100, 50)).max() <= 3 and arrived[30, 10].max() <= 3


@pytest.mark.parametrize("budget", [JPEG_BYTES, 60_000, 3_000])
def test_a_picture_fits_its_budget_whatever_it_shows(budget: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (576, 1024, 3), np.uint8)
    data = jpeg(noise, 1024, budget)
    assert len(data) <= budget
    assert (decoded(data).shape == (576, 1024, 3)) == (budget == JPEG_BYTES), "a good quality goes before the size does"


@pytest.mark.parametrize("shape", [(1920, 1080, 3), (8, 1200, 3), (1, 1, 3)])
def test_a_full_sheet_is_never_larger_than_a_picture_may_be(shape: tuple[int, int, int]) -> None:
    assert max(contact_sheet([np.zeros(shape, np.uint8)] * 16, ["1:00:00"] * 16).shape) <= 1024
