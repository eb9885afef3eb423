"""Draw the sample clip: its things, its five backdrops, and the composition of a picture.

Times are left to the tables of `make_sample.py`. Needs OpenCV 5 for its built-in font. Coordinates
are pixels of the 640 x 360 picture, y downwards; colours are RGB in hexadecimal.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 360
SUPERSAMPLE, SHIFT = 2, 4  # twice the size, with 4 fractional bits, for smooth edges and motion
CAPITALS = 0.76  # height of capital letters in the built-in font, as a share of its size
FLAPS = 3.0  # wing beats of the gull per second


class Text(NamedTuple):
    """A line of lettering, centred at (x, y)."""

    start: float
    end: float
    text: str
    x: float
    y: float
    size: int
    colour: str


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def fixed(*points: Sequence[float]) -> np.ndarray:
    """Return points in OpenCV's fixed-point format."""
    scaled: np.ndarray = np.rint(np.array(points) * SUPERSAMPLE * (1 << SHIFT)).astype(np.int32)
    return scaled


class Canvas:
    """A picture to paint on, in coordinates of the finished picture."""

    def __init__(self, pixels: np.ndarray | None = None) -> None:
        self.pixels = np.zeros((HEIGHT * SUPERSAMPLE, WIDTH * SUPERSAMPLE, 3), np.uint8) if pixels is None else pixels

    def finished(self) -> np.ndarray:
        small: np.ndarray = cv2.resize(self.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        return small

    def fade(self, top: float, bottom: float, upper: str, lower: str) -> None:
        """Fill a band with a vertical gradient."""
        rows = slice(round(top * SUPERSAMPLE), round(bottom * SUPERSAMPLE))
        share = np.linspace(0, 1, rows.stop - rows.start)[:, None, None]
        self.pixels[rows] = np.rint(np.array(rgb(upper)) * (1 - share) + np.array(rgb(lower)) * share)

    def shape(self, colour: str, *points: Sequence[float]) -> None:
        cv2.fillPoly(self.pixels, [fixed(*points)], rgb(colour), cv2.LINE_AA, SHIFT)

    def box(self, colour: str, x: float, y: float, w: float, h: float) -> None:
        self.shape(colour, (x, y), (x + w, y), (x + w, y + h), (x, y + h))

    def oval(self, colour: str, x: float, y: float, rx: float, ry: float | None = None) -> None:
        turn = np.linspace(0, 2 * math.pi, 72, endpoint=False)
        self.shape(colour, *np.stack([x + rx * np.cos(turn), y + (ry or rx) * np.sin(turn)], 1))

    def beam(self, colour: str, x0: float, x1: float, *edges: float) -> None:
        """Add light that fades from x0 to x1; `edges` are its upper and lower edge at x0 and x1."""
        lit = np.zeros(self.pixels.shape[:2], np.float32)
        cv2.fillPoly(lit, [fixed((x0, edges[0]), (x0, edges[1]), (x1, edges[3]), (x1, edges[2]))], 0.35, cv2.LINE_AA, SHIFT)
        lit *= np.clip((np.arange(self.pixels.shape[1]) / SUPERSAMPLE - x1) / (x0 - x1), 0, 1)
        self.pixels[:] = np.rint(self.pixels * (1 - lit[..., None]) + np.array(rgb(colour)) * lit[..., None])

    def stroke(self, colour: str, width: float, *points: Sequence[float]) -> None:
        cv2.polylines(self.pixels, [fixed(*points)], False, rgb(colour), round(width * SUPERSAMPLE), cv2.LINE_AA, SHIFT)

    def text(self, text: Text) -> None:
        font, size = cv2.FontFace("sans"), text.size * SUPERSAMPLE
        left, _, width, _ = cv2.getTextSize((0, 0), text.text, (0, 0), font, size, 700)
        at = (round(text.x * SUPERSAMPLE - left - width / 2), round(text.y * SUPERSAMPLE + CAPITALS * size / 2))
        cv2.putText(self.pixels, text.text, at, rgb(text.colour), font, size, 700)


def boat(canvas: Canvas, x: float, y: float, hull: str, house: str, window: str) -> None:
    """Paint a boat facing left; (x, y) is the middle of its water line."""
    canvas.box("#4a4e69", x + 22, y - 92, 20, 40)
    canvas.box("#e63946", x + 22, y - 84, 20, 10)
    canvas.box(house, x - 50, y - 66, 110, 34)
    for i in range(4):
        canvas.box(window, x - 40 + 25 * i, y - 58, 15, 14)
    canvas.shape(hull, (x - 108, y - 34), (x + 94, y - 34), (x + 80, y), (x - 76, y))
    canvas.shape("#ffffff", (x - 102, y - 28), (x + 91.5, y - 28), (x + 89, y - 22), (x - 95, y - 22))


def gull(canvas: Canvas, x: float, y: float, t: float, fish: bool) -> None:
    lift = 16 * math.sin(2 * math.pi * FLAPS * t)
    if fish:
        canvas.oval("#6d97b3", x + 34, y + 12, 15, 6)
    canvas.shape("#d5dde5", (x - 10, y), (x + 12, y), (x - 18, y - 26 - lift))
    canvas.oval("#ffffff", x, y, 24, 9)
    canvas.oval("#ffffff", x + 22, y - 5, 9)
    canvas.shape("#f4a261", (x + 29, y - 8), (x + 42, y - 2), (x + 29, y))
    canvas.oval("#22223b", x + 25, y - 7, 1.8)
    canvas.shape("#eef2f6", (x - 12, y - 2), (x + 10, y - 2), (x - 6, y - 34 - lift))


def person(canvas: Canvas, x: float, y: float, coat: str, stride: float) -> None:
    """Paint a person standing at (x, y), from the side, with legs `stride` pixels apart."""
    for side in (-1, 1):
        canvas.stroke("#2b2d42", 9, (x, y - 48), (x + side * stride, y - 3))
    canvas.shape(coat, (x - 15, y - 104), (x + 15, y - 104), (x + 18, y - 42), (x - 18, y - 42))
    canvas.oval("#f2c6a0", x + 1, y - 118, 13)
    canvas.shape("#6b3e26", (x - 14, y - 116), (x - 12, y - 130), (x + 8, y - 134), (x + 15, y - 124), (x - 2, y - 120))


def cyclist(canvas: Canvas, x: float, y: float) -> None:
    """Paint a cyclist riding to the right; (x, y) is the road between the wheels."""
    turn, hub = x / 24, y - 26
    for wheel in (x - 40, x + 40):
        canvas.oval("#2b2d42", wheel, hub, 26)
        canvas.oval("#b8c0c8", wheel, hub, 22)
        for spoke in range(3):
            dx, dy = 22 * math.cos(turn + spoke * math.pi / 3), 22 * math.sin(turn + spoke * math.pi / 3)
            canvas.stroke("#6c757d", 1.5, (wheel - dx, hub - dy), (wheel + dx, hub + dy))
    saddle, bars, crank = (x - 18, hub - 36), (x + 32, hub - 44), (x - 2, hub + 2)
    canvas.stroke("#d62828", 5, (x - 40, hub), crank, (x + 26, hub - 30), saddle, (x - 40, hub))
    canvas.stroke("#d62828", 5, crank, saddle)
    canvas.stroke("#2b2d42", 5, (x + 40, hub), (x + 26, hub - 30), bars)
    foot = (crank[0] + 12 * math.cos(turn), crank[1] + 12 * math.sin(turn))
    canvas.stroke("#1d3557", 9, saddle, (x + 8, hub - 18 + 6 * math.sin(turn)), foot)
    canvas.stroke("#f77f00", 20, (saddle[0] + 2, saddle[1] - 8), (x + 4, hub - 78))
    canvas.stroke("#f77f00", 7, (x + 4, hub - 76), (x + 20, hub - 58), bars)
    canvas.oval("#f2c6a0", x + 12, hub - 98, 12)
    canvas.shape("#2a9d8f", (x - 2, hub - 100), (x + 2, hub - 112), (x + 16, hub - 114), (x + 28, hub - 101))


def cat(canvas: Canvas, x: float, y: float, colour: str) -> None:
    canvas.stroke(colour, 6, (x + 16, y - 6), (x + 30, y + 4), (x + 32, y + 22))
    canvas.oval(colour, x + 4, y - 18, 17, 19)
    canvas.oval(colour, x - 8, y - 42, 14, 12)
    for ear in (-16, -2):
        canvas.shape(colour, (x + ear - 5, y - 46), (x + ear + 1, y - 62), (x + ear + 7, y - 48))
    for eye in (-13, -4):
        canvas.oval("#f9e547", x + eye, y - 43, 2.6, 3.4)


# ---- The five shots: backdrops and moving things -------------------------------------------------


def dawn(canvas: Canvas) -> None:
    canvas.fade(0, 222, "#6a5acd", "#ffb88a")
    canvas.oval("#fff1c1", 470, 214, 46)
    canvas.shape("#8e6a9e", (250, 224), (330, 186), (400, 206), (480, 190), (560, 204), (640, 176), (640, 224))
    canvas.fade(222, 360, "#c9789a", "#5d4a8a")
    for i, half in enumerate((46, 36, 26)):
        canvas.oval("#f2ab9d", 470, 232 + 12 * i, half, 4)
    canvas.box("#4f3a4a", 0, 262, 236, 98)  # solid, since OCR reads separate posts as letters
    for row in range(3):
        for x in range(-30 + 30 * (row % 2), 190, 60):
            canvas.box("#5b4556", max(0, x), 280 + 28 * row, min(52, x + 52), 20)
    canvas.box("#7b5540", 0, 254, 246, 18)
    for post in (54, 164):
        canvas.box("#4a3428", post, 206, 8, 50)
    canvas.box("#264653", 20, 164, 184, 46)


def market(canvas: Canvas) -> None:
    canvas.fade(0, 250, "#8ed1fc", "#dff3ff")
    for x, wall, roof in ((0, "#f6e3b4", "#c8553d"), (430, "#f7d6c8", "#8a5a44"), (548, "#d9e8c5", "#c8553d")):
        canvas.box(wall, x, 96, 116, 160)
        canvas.shape(roof, (x - 8, 98), (x + 58, 46), (x + 124, 98))
        canvas.box("#7fb2cc", x + 40, 118, 34, 40)
    canvas.box("#b9b4a7", 0, 250, 640, 110)
    canvas.box("#a39e90", 0, 322, 640, 38)
    person(canvas, 250, 292, "#2a6f97", 0)
    for post in (92, 400):
        canvas.box("#7b5540", post, 96, 8, 220)
    for i in range(12):
        left, right = 80 + 28.4 * i, 80 + 28.4 * (i + 1)
        canvas.shape("#d62839" if i % 2 else "#ffffff", (left + 8, 96), (right + 8, 96), (right, 138), (left, 138))
    canvas.box("#14746f", 100, 42, 300, 48)
    canvas.box("#a9714b", 84, 236, 332, 84)
    canvas.box("#8a5a3b", 84, 236, 332, 10)
    for x in (112, 216, 320):
        canvas.box("#e6eef2", x, 216, 72, 20)
    canvas.stroke("#5a3d2b", 6, (480, 318), (500, 240))
    canvas.stroke("#5a3d2b", 6, (592, 318), (572, 240))
    canvas.box("#6b4a34", 456, 180, 160, 66)
    canvas.box("#23302b", 462, 186, 148, 54)


def hall(canvas: Canvas) -> None:
    canvas.fade(0, 290, "#1b3a4b", "#2f5d73")
    canvas.box("#d8c9a7", 0, 290, 640, 70)
    canvas.box("#b9a883", 0, 290, 640, 6)
    canvas.box("#0d1b24", 112, 46, 376, 150)
    canvas.box("#16262f", 122, 56, 356, 62)
    canvas.box("#16262f", 122, 122, 356, 62)
    for x in (170, 420):
        canvas.box("#0d1b24", x, 0, 8, 46)
    canvas.box("#9fb8c4", 548, 60, 30, 44)
    canvas.shape("#dfe8ec", (548, 66), (520, 48), (520, 116), (548, 98))
    for x in (44, 400):
        canvas.box("#7f5539", x, 246, 130, 12)
        canvas.box("#7f5539", x, 222, 130, 10)
        for leg in (8, 112):
            canvas.box("#5a3d2b", x + leg, 222, 10, 74)


def quay(canvas: Canvas) -> None:
    canvas.fade(0, 230, "#bfe9d3", "#f1fbe8")
    canvas.box("#3aa99f", 0, 196, 640, 60)
    canvas.shape("#ffffff", (520, 190), (520, 110), (566, 190))
    canvas.shape("#f4d35e", (514, 190), (514, 124), (486, 190))
    canvas.shape("#bc4749", (480, 196), (576, 196), (560, 214), (496, 214))
    canvas.box("#fff4dd", 40, 60, 312, 196)
    canvas.box("#6a994e", 30, 46, 332, 16)
    canvas.box("#386641", 74, 68, 244, 48)
    for x in (62, 264):
        canvas.box("#8fc1d4", x, 140, 70, 64)
        canvas.box("#f2a65a", x - 8, 130, 86, 14)
    canvas.box("#a44a3f", 168, 136, 56, 120)
    canvas.oval("#f4d35e", 214, 200, 3)
    canvas.box("#c9b79c", 380, 226, 260, 32)
    canvas.box("#ad9a7d", 380, 222, 260, 8)
    canvas.box("#d9cdb8", 0, 256, 640, 34)
    canvas.box("#7d8597", 0, 290, 640, 70)
    cat(canvas, 446, 223, "#1f2421")


def night(canvas: Canvas) -> None:
    canvas.fade(0, 250, "#050b24", "#16285a")
    for i in range(40):
        canvas.oval("#c7d3f2", (i * 137) % 640, (i * 61) % 190, 0.8 + i % 3 * 0.4)
    canvas.beam("#fff3b0", 542, 240, 98, 106, 70, 190)
    canvas.fade(250, 360, "#0d1c45", "#060d24")
    canvas.shape("#2d3142", (450, 262), (490, 236), (590, 232), (640, 252), (640, 300), (440, 300))
    canvas.shape("#f8f4ec", (520, 122), (564, 122), (574, 240), (510, 240))
    canvas.shape("#c1121f", (517, 152), (567, 152), (569, 178), (515, 178))
    canvas.shape("#c1121f", (512, 206), (572, 206), (574, 232), (510, 232))
    canvas.box("#2d3142", 512, 116, 60, 8)
    canvas.box("#fff3b0", 526, 90, 32, 26)
    canvas.shape("#c1121f", (520, 92), (542, 70), (564, 92))
    canvas.box("#4f5d75", 24, 32, 236, 104)
    canvas.box("#111a33", 30, 38, 224, 92)
    for post in (70, 202):
        canvas.box("#4f5d75", post, 136, 12, 190)
    canvas.box("#3d405b", 0, 318, 300, 42)
    canvas.box("#4f5d75", 0, 318, 300, 6)


BACKDROPS: tuple[Callable[[Canvas], None], ...] = (dawn, market, hall, quay, night)


@cache
def backdrop(shot: int) -> np.ndarray:
    canvas = Canvas()
    BACKDROPS[shot](canvas)
    return canvas.pixels


def movers(canvas: Canvas, shot: int, t: float, at: Mapping[str, float]) -> None:
    """Paint the moving things of a shot; `at` is the position of each."""
    if shot == 0:
        boat(canvas, at["boat"], 286, "#1d6f8a", "#fff8ec", "#7fb2cc")
    elif shot == 1:
        x = at["gull"]
        if x < 352:
            canvas.oval("#6d97b3", 356, 216, 26, 8)
        gull(canvas, x, 196 - 0.0016 * (x - 330) ** 2, t, x >= 352)
    elif shot == 2:
        x = at["traveller"]
        canvas.box("#c1121f", x - 52, 304, 44, 34)
        canvas.stroke("#7a0c15", 4, (x - 38, 304), (x - 38, 294), (x - 22, 294), (x - 22, 304))
        person(canvas, x, 342, "#e9c46a", 20 * math.sin(x / 16))
    elif shot == 3:
        cyclist(canvas, at["cyclist"], 342)
    else:
        boat(canvas, at["ferry"], 300, "#1d3557", "#dfe7f5", "#ffd166")


def paint(shot: int, t: float, at: Mapping[str, float], texts: Sequence[Text]) -> np.ndarray:
    """Return the picture of a shot at `t`: 360 x 640 x 3, uint8, RGB."""
    canvas = Canvas(backdrop(shot).copy())
    for text in texts:
        canvas.text(text)
    movers(canvas, shot, t, at)
    return canvas.finished()
