"""Pictures of which only some pixels matter: the same bytes as in the whole picture, or the whole picture."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import pytest

from analyzer_agent.media import open_video
from analyzer_agent.media.frame_converter import FrameConverter
from analyzer_agent.protocols import EngineConfig, Pixels
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines.pyscenedetect import ENGINE
from media_maker import Clip, drawing, write

UNKNOWN, BT709, BT601, BT2020 = 2, 1, 5, 9
UNSAID, LIMITED, FULL = 0, 1, 2


def noise(size: tuple[int, int], format: str = "yuv420p", colours: tuple[int, int] = (UNKNOWN, UNSAID), seed: int = 1) -> av.VideoFrame:
    frame = av.VideoFrame(*size, format)
    frame.colorspace, frame.color_range = colours
    for plane in frame.planes:
        flat = np.frombuffer(memoryview(plane), np.uint8)
        flat[:] = np.random.default_rng(seed).integers(0, 256, flat.size, dtype=np.uint8)
    return frame


def wanted_of(size: tuple[int, int]) -> Pixels | None:
    found: Pixels | None = ENGINE.load(EngineConfig()).finder("content", size, Fraction(25)).pixels
    return found


def chosen(size: tuple[int, int], seed: int) -> Pixels:
    """Return a third of the columns and a quarter of the rows, at random."""
    rng = np.random.default_rng(seed)
    columns, rows = (sorted(rng.choice(length, length // part, replace=False).tolist()) for length, part in zip(size, (3, 4), strict=True))
    return Pixels(tuple(columns), tuple(rows))


@pytest.mark.parametrize("colours", [(UNKNOWN, UNSAID), (BT709, LIMITED), (BT601, FULL), (BT2020, LIMITED)])
@pytest.mark.parametrize(
    "size", [(640, 360), (854, 480), (1280, 720), (1920, 1080), (720, 1280), (1366, 768), (853, 480), (90, 62), (1279, 722)]
)
def test_alone_they_have_the_bytes_that_they_have_in_the_whole_picture(size: tuple[int, int], colours: tuple[int, int]) -> None:
    cases: list[tuple[str, Literal["rgb", "bgr"]]] = [("yuv420p", "bgr"), ("yuvj420p", "rgb")]
    for format, order in cases:
        frame = noise(size, format, colours)
        whole = frame.to_ndarray(format=f"{order}24")
        every_row = Pixels(chosen(size, 1).columns, tuple(range(size[1])))
        every_column = Pixels(tuple(range(size[0])), chosen(size, 2).rows)
        for pixels in (chosen(size, 3), every_row, every_column):
            alone = FrameConverter(order, pixels=pixels, size=size).image(frame)
            assert alone.flags.c_contiguous
            np.testing.assert_array_equal(alone, whole[np.ix_(pixels.rows, pixels.columns)])


@pytest.mark.parametrize("turn", [(0, True), (90, False), (90, True), (180, False), (270, False), (270, True)])
def test_a_turned_picture_is_upright(turn: tuple[int, bool]) -> None:
    size = (96, 64) if turn[0] % 180 == 0 else (64, 96)
    pixels, frame = chosen(size, 4), noise((96, 64))
    alone = FrameConverter("rgb", turn, pixels, size).image(frame)
    np.testing.assert_array_equal(alone, FrameConverter("rgb", turn).image(frame)[np.ix_(pixels.rows, pixels.columns)])


@pytest.mark.parametrize("format", ["yuv420p10le", "yuv422p", "yuv444p", "rgb24", "gray"])
def test_formats_without_a_short_way_come_whole(format: str) -> None:
    frame = noise((96, 64), format)
    np.testing.assert_array_equal(
        FrameConverter("bgr", pixels=chosen((96, 64), 5), size=(96, 64)).image(frame), frame.to_ndarray(format="bgr24")
    )


def test_what_is_converted_in_another_way_comes_whole() -> None:
    """An odd number of rows makes libswscale blend the chroma of neighbours."""
    frame = noise((96, 65))
    assert FrameConverter("bgr", pixels=chosen((96, 65), 6), size=(96, 65)).image(frame).shape == (65, 96, 3)


def test_one_stream_may_change_size_and_colours() -> None:
    pixels = chosen((96, 64), 7)
    painter = FrameConverter("bgr", pixels=pixels, size=(96, 64))
    for size, colours in [
        ((96, 64), (BT601, LIMITED)),
        ((48, 32), (BT601, LIMITED)),
        ((96, 64), (BT709, LIMITED)),
        ((96, 64), (BT709, FULL)),
    ]:
        frame = noise(size, colours=colours)
        whole = frame.to_ndarray(format="bgr24")
        expected = whole[np.ix_(pixels.rows, pixels.columns)] if size == (96, 64) else whole
        np.testing.assert_array_equal(painter.image(frame), expected)


@pytest.mark.parametrize("rotation", [0, 90])
def test_frames_of_a_file(tmp_path: Path, rotation: int) -> None:
    video = open_video(write(tmp_path / "a.mp4", replace(Clip(size=(128, 96)), rotation=rotation)))
    pixels, span = chosen(video.size, 8), TimeRange(0, video.duration)
    for fps in (None, 5.0):
        whole = list(video.frames(span, fps, order="bgr"))
        alone = list(video.frames(span, fps, order="bgr", pixels=pixels))
        assert [(frame.t, frame.pts) for frame in alone] == [(frame.t, frame.pts) for frame in whole]
        for one, other in zip(alone, whole, strict=True):
            np.testing.assert_array_equal(one.image, other.image[np.ix_(pixels.rows, pixels.columns)])


# What PySceneDetect looks at.

SHORT = [(1280, 720), (1920, 1080), (3840, 2160), (2560, 1440), (720, 1280), (1080, 1920), (768, 432), (1024, 576), (1279, 720)]
LONG = [(640, 360), (854, 480), (320, 240), (256, 144), (64, 36), (300, 300)]


@pytest.mark.parametrize("size", SHORT)
def test_the_small_picture_is_the_same(size: tuple[int, int]) -> None:
    pixels = wanted_of(size)
    assert pixels is not None and 2 * len(pixels.columns) * len(pixels.rows) <= size[0] * size[1]
    factor = max(size) / 256
    small = (round(size[0] / factor), round(size[1] / factor))
    whole = np.random.default_rng(9).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    alone = np.ascontiguousarray(whole[np.ix_(pixels.rows, pixels.columns)])
    expected = cv2.resize(whole, small, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cv2.resize(alone, small, interpolation=cv2.INTER_LINEAR), expected)


@pytest.mark.parametrize("size", LONG)
def test_where_most_pixels_matter_all_are_wanted(size: tuple[int, int]) -> None:
    assert wanted_of(size) is None


def test_scores_do_not_depend_on_the_way() -> None:
    size = (768, 432)
    pixels = wanted_of(size)
    assert pixels is not None
    finders = [ENGINE.load(EngineConfig()).finder("adaptive", size, Fraction(25)) for _ in range(2)]
    for number in range(8):
        whole = drawing(number * 3, size)
        finders[0].push(number * 40, whole)
        finders[1].push(number * 40, np.ascontiguousarray(whole[np.ix_(pixels.rows, pixels.columns)]))
        scores = [finder._detector._frame_score for finder in finders]
        assert scores[0] == scores[1] and (scores[0] > 0 or number == 0)
