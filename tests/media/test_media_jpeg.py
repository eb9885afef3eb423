"""JPEG files: another program reads them, and they stay within their budget of bytes."""

import io
from typing import Any

import av
import numpy as np
import pytest

from analyzer_agent.media import jpeg


def decoded(data: bytes) -> Any:
    with av.open(io.BytesIO(data), "r") as container:
        return next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24")


@pytest.mark.parametrize("shape", [(2, 7, 3), (5, 2, 3), (48, 64, 3)])
def test_a_file_is_read_back_by_another_program(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, (200, 100, 50), np.uint8)
    assert np.abs(decoded(jpeg(image, 1024)).astype(int) - image).max() <= 4


def test_a_large_picture_is_shrunk() -> None:
    image = np.zeros((300, 500, 3), np.uint8)
    image[:, 250:] = (200, 100, 50)
    arrived = decoded(jpeg(image, 100)).astype(int)
    assert arrived.shape == (60, 100, 3)
    assert np.abs(arrived[30, 90] - (200, 100, 50)).max() <= 4 and arrived[30, 10].max() <= 4


@pytest.mark.parametrize("budget", [200_000, 40_000, 3_000])
def test_a_picture_fits_its_budget_whatever_it_shows(budget: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (576, 1024, 3), np.uint8)
    data = jpeg(noise, 1024, max_bytes=budget)
    assert len(data) <= budget
    assert (decoded(data).shape == (576, 1024, 3)) == (budget == 200_000), "a good quality goes before the size does"
