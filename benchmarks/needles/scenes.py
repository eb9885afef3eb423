"""Drawn scenes as background: landscapes, towns, rooms and patterns with camera pans and motion.

Needs OpenCV 5 for its built-in font. Coordinates are pixels, y downwards; colours are RGB.
"""

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

_PAN = 160
"""Width of a backdrop beyond that of the picture, in pixels."""
_FRACTION = 4
"""Fractional bits of OpenCV's drawing coordinates, for smooth motion."""
_SHORTEST = 75
"""Minimum length of a shot, in frames: 3 s."""
_FONT = "sans"


_Draw = Callable[[Picture, float, float, float, Colour], None]
"""Draws a thing at (x, y), with a size and a colour."""


class _Mover(NamedTuple):
    """A thing that crosses the picture, at `x + n * speed` in frame n, wrapping around."""

    draw: _Draw
    x: float
    y: float
    size: float
    speed: float
    colour: Colour


class Shot(NamedTuple):
    """The view of the camera between two cuts."""

    backdrop: Picture
    pan: float
    movers: tuple[_Mover, ...]

    def picture(self, n: int) -> Picture:
        """Return the n-th frame, 360 x 640 x 3, uint8."""
        left = round(abs((self.pan * n + _PAN) % (2 * _PAN) - _PAN))
        picture = self.backdrop[:, left : left + WIDTH].copy()
        for mover in self.movers:
            reach = WIDTH + 4 * mover.size
            x = (mover.x + n * mover.speed) % reach - 2 * mover.size
            mover.draw(picture, x, mover.y + 3 * math.sin(n / 9 + mover.x), mover.size, mover.colour)
        return picture


def frames(seed: str, count: int) -> Iterator[Picture]:
    """Yield the pictures of a segment, which has one to three shots of at least 3 s."""
    random = Random(seed)
    shots = random.randint(1, 3)
    slack = sorted(random.sample(range(count - shots * _SHORTEST), shots - 1))
    cuts = [0, *(at + (i + 1) * _SHORTEST for i, at in enumerate(slack)), count]
    kinds = random.sample(_BACKDROPS, shots)
    for kind, start, end in zip(kinds, cuts, cuts[1:], strict=False):
        shot = _shot(random, kind)
        for n in range(end - start):
            yield shot.picture(n)


def _shot(random: Random, kind: Callable[[Random, Picture], None]) -> Shot:
    backdrop = np.zeros((HEIGHT, WIDTH + _PAN, 3), np.uint8)
    kind(random, backdrop)
    movers = tuple(_mover(random) for _ in range(random.randint(2, 4)))
    return Shot(backdrop, random.choice((0.0, random.uniform(0.2, 1.2))), movers)


def _mover(random: Random) -> _Mover:
    draw, highest, lowest = random.choice(_MOVERS)
    speed = random.choice((-1, 1)) * random.uniform(0.6, 3.5)
    return _Mover(draw, random.uniform(0, WIDTH), random.uniform(highest, lowest), random.uniform(10, 26), speed, _dull(random, 60, 220))


def _dull(random: Random, low: int, high: int) -> Colour:
    """Return a colour less bright and saturated than those of needles."""
    grey = random.uniform(low, high)
    red, green, blue = (round(min(255.0, max(0.0, grey + random.uniform(-35, 35)))) for _ in range(3))
    return red, green, blue


def fixed(*points: tuple[float, float]) -> NDArray[np.int32]:
    """Return points in OpenCV's fixed-point format."""
    return np.array([[round(x * (1 << _FRACTION)), round(y * (1 << _FRACTION))] for x, y in points], np.int32)


def shape(picture: Picture, colour: Colour, *points: tuple[float, float]) -> None:
    """Fill a polygon."""
    cv2.fillPoly(picture, [fixed(*points)], colour, cv2.LINE_AA, _FRACTION)


def oval(picture: Picture, colour: Colour, x: float, y: float, width: float, height: float) -> None:
    """Fill an ellipse, by its centre and half axes."""
    turn = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    shape(picture, colour, *((x + width * math.cos(a), y + height * math.sin(a)) for a in turn))


def lettering(picture: Picture, text: str, x: float, y: float, size: int, colour: Colour) -> None:
    """Write a line of text centred at (x, y)."""
    font = cv2.FontFace(_FONT)
    left, top, width, height = cv2.getTextSize((0, 0), text, (0, 0), font, size, 700)
    cv2.putText(picture, text, (round(x - left - width / 2), round(y - top - height / 2)), colour, font, size, 700)


def text_size(text: str, size: int) -> tuple[int, int]:
    """Return the width and height of a line of text, in pixels."""
    _, _, width, height = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace(_FONT), size, 700)
    return int(width), int(height)


# ---- Moving things -------------------------------------------------------------------------------


def _cloud(picture: Picture, x: float, y: float, size: float, colour: Colour) -> None:
    for dx, dy, share in ((-1.0, 0.1, 0.7), (0.0, 0.0, 1.0), (1.0, 0.15, 0.6)):
        oval(picture, colour, x + dx * size, y + dy * size, size * share, size * share * 0.6)


def _bird(picture: Picture, x: float, y: float, size: float, colour: Colour) -> None:
    lift = size * math.sin(x / 8) * 0.5
    shape(picture, colour, (x - size, y - lift), (x, y + size * 0.3), (x + size, y - lift), (x, y))


def _cart(picture: Picture, x: float, y: float, size: float, colour: Colour) -> None:
    shape(picture, colour, (x - size, y - size * 0.8), (x + size, y - size * 0.8), (x + size, y), (x - size, y))
    for dx in (-0.6, 0.6):
        oval(picture, (40, 40, 44), x + dx * size, y, size * 0.35, size * 0.35)


_MOVERS: tuple[tuple[_Draw, int, int], ...] = ((_cloud, 30, 110), (_bird, 50, 220), (_cart, 315, 345))
"""Moving things, and the range of their heights."""


# ---- Backdrops -----------------------------------------------------------------------------------


def _sky(random: Random, picture: Picture, bottom: int) -> None:
    upper, lower = np.array(_dull(random, 60, 180)), np.array(_dull(random, 140, 235))
    share = np.linspace(0, 1, bottom)[:, None, None]
    picture[:bottom] = np.rint(upper * (1 - share) + lower * share)


def _hills(random: Random, picture: Picture) -> None:
    _sky(random, picture, HEIGHT)
    width = picture.shape[1]
    for layer in range(4):
        top, wave, phase = 130 + 55 * layer, random.uniform(70, 160), random.uniform(0, 6)
        ridge = [(float(x), top + 24 * math.sin(x / wave + phase)) for x in range(0, width + 8, 8)]
        shape(picture, _dull(random, 150 - 30 * layer, 170 - 30 * layer), *ridge, (width, HEIGHT), (0, HEIGHT))


def _town(random: Random, picture: Picture) -> None:
    _sky(random, picture, HEIGHT)
    x = 0
    while x < picture.shape[1]:
        width, top = random.randint(50, 110), random.randint(70, 220)
        cv2.rectangle(picture, (x, top), (x + width, HEIGHT), _dull(random, 50, 130), -1)
        lit = _dull(random, 170, 230)
        for row in range(top + 12, HEIGHT - 60, 26):
            for column in range(x + 10, x + width - 14, 20):
                if random.random() < 0.6:
                    cv2.rectangle(picture, (column, row), (column + 9, row + 13), lit, -1)
        x += width
    cv2.rectangle(picture, (0, HEIGHT - 40), (picture.shape[1], HEIGHT), _dull(random, 60, 90), -1)
    sign = random.choice(("BAKERY", "BOOKS", "HOTEL", "FLOWERS", "CINEMA", "MUSEUM"))
    at = random.randint(200, 600)
    cv2.rectangle(picture, (at - 65, HEIGHT - 78), (at + 65, HEIGHT - 44), (38, 42, 54), -1)
    lettering(picture, sign, at, HEIGHT - 61, 22, (225, 225, 215))


def _sea(random: Random, picture: Picture) -> None:
    horizon = random.randint(120, 190)
    _sky(random, picture, horizon)
    water = np.array(_dull(random, 80, 120))
    for row in range(horizon, HEIGHT, 10):
        picture[row : row + 10] = water + random.randint(-16, 16)
    for _ in range(random.randint(1, 3)):
        x, size = random.uniform(60, picture.shape[1] - 60), random.uniform(30, 70)
        ridge = ((-1, 0), (-0.3, 0.5), (0.5, 0.3), (1, 0))
        shape(picture, _dull(random, 50, 100), *((x + size * right, horizon - size * up) for right, up in ridge))


def _room(random: Random, picture: Picture) -> None:
    picture[:] = _dull(random, 120, 210)
    cv2.rectangle(picture, (0, 280), (picture.shape[1], HEIGHT), _dull(random, 70, 120), -1)
    for x in range(30, picture.shape[1] - 130, 180):
        y, width, height = random.randint(40, 90), random.randint(70, 130), random.randint(60, 110)
        cv2.rectangle(picture, (x, y), (x + width, y + height), _dull(random, 40, 80), -1)
        cv2.rectangle(picture, (x + 7, y + 7), (x + width - 7, y + height - 7), _dull(random, 120, 220), -1)
    for _ in range(3):
        x = random.randint(40, picture.shape[1] - 160)
        cv2.rectangle(picture, (x, random.randint(215, 245)), (x + random.randint(60, 130), 330), _dull(random, 60, 140), -1)


def _quilt(random: Random, picture: Picture) -> None:
    size = random.choice((40, 60, 90))
    for x in range(0, picture.shape[1], size):
        for y in range(0, HEIGHT, size):
            cv2.rectangle(picture, (x, y), (x + size, y + size), _dull(random, 60, 200), -1)


_BACKDROPS: tuple[Callable[[Random, Picture], None], ...] = (_hills, _town, _sea, _room, _quilt)
