"""Tiles of large pictures: each line once and whole, wherever the seams are."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools.engines import easyocr, rapidocr
from analyzer_agent.tools.engines.picture_tiles import LONGEST_SIDE, MOST_TILES, Corners, effort, find_in_tiles, longest_side, tiles_of

CODE = ["def main(argument):", "return first + second", "import numpy as np", "value = 41 * 52", "print(harbour)"]


def test_1080p_and_smaller_pictures_have_no_tiles() -> None:
    for size in ((1920, 1080), (1080, 1920), (1984, 1984), (320, 180)):
        assert tiles_of(size) == [(0, 0, *size)]
        assert effort(size) == 1


@pytest.mark.parametrize("size", [(3840, 2160), (2160, 3840), (3440, 1440), (5120, 1440), (2560, 1440), (7680, 4320), (30_000, 16_000)])
def test_tiles_cover_the_picture_within_its_bounds_and_their_number_is_bounded(size: tuple[int, int]) -> None:
    tiles, seen = tiles_of(size), np.zeros((size[1] // 10, size[0] // 10), bool)
    for left, top, wide, tall in tiles:
        assert left >= 0 and top >= 0 and left + wide <= size[0] and top + tall <= size[1]
        seen[top // 10 : -(-(top + tall) // 10), left // 10 : -(-(left + wide) // 10)] = True
    assert seen.all() and 1 < len(tiles) <= MOST_TILES
    assert longest_side(size) <= LONGEST_SIDE or max(size) > 7680


def rectangles(image: Any) -> list[Corners]:
    """Find the light rectangles of a dark picture, as a detector finds lines."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(image[..., 0], connectivity=4)
    boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist()]
    return [np.array([(x, y), (end, y), (end, low), (x, low)], np.float32) for x, y, end, low in boxes]


def bounds(boxes: Sequence[Corners]) -> list[tuple[int, ...]]:
    return sorted(tuple(round(float(at)) for at in (*box.min(axis=0), *box.max(axis=0))) for box in boxes)


@pytest.mark.parametrize("seed", range(6))
def test_each_line_is_found_once_and_whole_wherever_the_seams_are(seed: int) -> None:
    """Property: lines and columns of any length and height, over any seams, as one look without seams finds them."""
    dice = random.Random(seed)
    size = dice.choice([(3840, 2160), (3440, 1440), (2160, 3840), (5120, 1440)])
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for _ in range(60):
        tall = dice.choice([8, 16, 24, 60, 120, 127, 128, 129, 200, 400])
        wide = dice.randrange(tall, min(size[0] - 2, tall * 30))
        wide, tall = (tall, wide) if dice.random() < 0.15 and wide < size[1] - 2 else (wide, tall)
        x, y = dice.randrange(size[0] - wide), dice.randrange(size[1] - tall)
        if not image[max(0, y - 12) : y + tall + 12, max(0, x - 12) : x + wide + 12].any():
            image[y : y + tall, x : x + wide] = 255
    assert bounds(find_in_tiles(image, rectangles)) == bounds(rectangles(image))


def screen(size: tuple[int, int], letters: int, place: tuple[int, int]) -> Any:
    """Return a BGR picture of an editor: five lines whose letters have a size in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, (250, 250, 250))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(letters)
    for row, line in enumerate(CODE):
        pen.text((place[0], place[1] + row * letters * 2), line, fill=(20, 20, 30), font=font)
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


@pytest.fixture(scope="module")
def reader() -> Any:
    return rapidocr.ENGINE.load(EngineConfig())


@pytest.mark.parametrize(
    ("size", "letters", "place"),
    [
        ((1920, 1080), 16, (640, 360)),
        ((3840, 2160), 28, (1280, 720)),
        ((3840, 2160), 20, (1280, 720)),
        ((3840, 2160), 20, (1800, 1000)),  # over both seams
        ((3440, 1440), 16, (1146, 480)),
    ],
)
def test_small_letters_on_large_screens_are_read(reader: Any, size: tuple[int, int], letters: int, place: tuple[int, int]) -> None:
    lines = sorted(reader.read(screen(size, letters, place), ["en"]), key=lambda line: line[2][1])
    assert [text.replace(" ", "") for text, _, _ in lines] == [line.replace(" ", "") for line in CODE]
    for row, (_, _, (x, y, _, height)) in enumerate(lines):
        assert abs(x - place[0]) < letters and abs(y + height / 2 - place[1] - (row * 2 + 0.5) * letters) < letters / 2


def test_a_title_higher_than_the_overlap_is_read_from_the_whole_picture(reader: Any) -> None:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (3840, 2160), (250, 250, 250))
    ImageDraw.Draw(image).text((600, 800), "HARBOUR 42", fill=(20, 20, 30), font=ImageFont.load_default(460))
    lines = reader.read(np.ascontiguousarray(np.asarray(image)[..., ::-1]), ["en"])
    assert [text.replace(" ", "") for text, _, _ in lines] in (["HARBOUR42"], ["HARBOUR", "42"])


def test_easyocr_finds_in_tiles_and_reads_from_the_whole_picture() -> None:
    class Reader:
        """What EasyOCR gives: upright boxes as left, right, top, bottom, turned ones as corners."""

        def detect(self, part: Any) -> Any:
            seen.append(part.shape[:2])
            return [[(x, end, y, low) for x, y, end, low in bounds(rectangles(part))]], [[]]

        def recognize(self, image: Any, upright: Any, turned: Any) -> Any:
            return [([(x, y), (end, low)], f"{end - x} by {low - y}", 0.9) for x, end, y, low in upright]

    image = np.zeros((1440, 3440, 3), np.uint8)
    image[700:720, 1000:2500] = 255
    seen: list[tuple[int, ...]] = []
    engine = easyocr.EasyOcr(None, EngineConfig(), "cpu")
    engine._readers[("en",)] = Reader()
    assert engine.read(image, ["en"]) == [("1500 by 20", 0.9, (1000.0, 700.0, 1500.0, 20.0))]
    assert seen == [(1440, 1784), (1440, 1784), (1440, 3440)]
