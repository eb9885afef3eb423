"""Screen text: titles, captions, slides, signs and counters, read from sampled frames by OCR.

Yields one observation per line of text and frame; repeated lines are joined when read. Only
frames that look different go to the engine: its result also stands for the similar frames around
them (`support.frame_dedup`).
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.folding import is_unspaced, words_in
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.regions import PART, SCHEMA, Region, crop, parse_region, pixel_box
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines.opencv import look_alike
from analyzer_agent.tools.engines.picture_tiles import effort, longest_side
from analyzer_agent.tools.support.frame_dedup import COARSEST_MS, deduplicated
from analyzer_agent.tools.support.sampling import ascending_runs, by_grain, frame_span, min_score_filter

STORED_SCORE = 0.3
"""Lines below this score (0 to 1) are noise and are not stored."""

SHOWN_SCORE = 0.5
"""Default of `min_score`."""

_LOWEST_LETTERS = 8
"""Pixels that letters must have in what a detector of text looks at."""

_EAST_ASIAN = frozenset(("ch", "ch_sim", "ch_tra", "chinese_cht", "zh", "ja", "japan", "ko", "th"))
_SURE_SCORE = 0.9

Line: TypeAlias = tuple[str, float, tuple[float, float, float, float]]
"""A detected line: text, score (0 to 1), and upright box `x, y, width, height` in pixels."""


class TextReader(Protocol):
    """Interface of an OCR engine."""

    def read(self, image: NDArray[np.uint8], languages: Sequence[str]) -> Sequence[Line]:
        """Return the lines of text in an image, in any order; equal images give equal lines.

        Args:
            image: H x W x 3, uint8, BGR.
            languages: ISO 639 codes.

        Raises:
            ToolRefusal: a language is not supported; the message lists the supported ones.
            Unavailable: weights for these languages are missing.
        """


class ScreenText(Analyzer):
    """Read the text on sampled frames of a video."""

    version = "2"

    def __init__(self, languages: Sequence[str], engine: Engine, region: Region | None = None) -> None:
        self.languages = tuple(sorted(set(languages)))
        self.engine = engine.name
        # A region is a lane beside the whole picture: neither stands in for the other, or hides it.
        self.params: Mapping[str, JSON] = {"languages": self.languages} | ({PART: list(region)} if region else {})
        self.lane = f"{PART} {region}" if region else ""
        self._engine, self._region = engine, region

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the lines at its instants, in reading order per frame."""
        for run in ascending_runs(grains):
            found = deduplicated(video, run, self._alike, self._read)
            for grain, looked in by_grain(found, run):
                yield grain, [one for frame, lines in looked for one in observe(frame_span(video, grain, frame), frame, lines)]

    def _alike(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
        return look_alike(crop(one, self._region), crop(other, self._region))

    def inputs(self, video: Video) -> Mapping[str, JSON]:
        """Return that the picture is read in tiles, if it is; smaller ones keep their key."""
        return {"tiles": 1} if self.effort(video) > 1 else {}

    def effort(self, video: Video) -> float:
        """Return how many pictures the engine searches for text for one of the video."""
        return effort(self._size(video))

    def limits(self, video: Video) -> str:
        """Return how low letters are not read."""
        side = self._engine.input_side
        lowest = ceil(_LOWEST_LETTERS * max(1.0, longest_side(self._size(video)) / side)) if side else 0
        return f"letters lower than about {lowest} pixels of this picture are not read" if lowest else ""

    def _size(self, video: Video) -> tuple[int, int]:
        """Return the width and height, in pixels, of what is read of a picture."""
        left, top, right, bottom = pixel_box(self._region or (0, 0, 1, 1), video.size)
        return right - left, bottom - top

    def _read(self, image: NDArray[np.uint8]) -> list[Line]:
        """Return the lines of an image, or of the region in it, with boxes in pixels of the whole image."""
        reader: TextReader = self._engine.get()
        part = np.ascontiguousarray(crop(image, self._region))
        left, top = pixel_box(self._region, (image.shape[1], image.shape[0]))[:2] if self._region else (0, 0)
        lines = reading_order(asked_scripts(tidy(reader.read(part, self.languages)), self.languages))
        return [(text, score, (x + left, y + top, width, height)) for text, score, (x, y, width, height) in lines]


def tidy(lines: Sequence[Line]) -> list[Line]:
    """Drop weak and empty lines, normalize whitespace, and round scores to three decimals."""
    clean = [(" ".join(text.split()), round(float(score), 3), box) for text, score, box in lines]
    return [line for line in clean if line[0] and line[1] >= STORED_SCORE]


def asked_scripts(lines: Sequence[Line], languages: Sequence[str]) -> list[Line]:
    """Drop doubtful lines and single letters of East Asian scripts where no such language was asked for.

    A recogniser that knows these scripts sees them in icons and patterns. Sure lines are kept: they
    are on the screen.
    """
    if _EAST_ASIAN.intersection(languages):
        return list(lines)
    return [line for line in lines if not _is_foreign(line[0]) or (line[1] >= _SURE_SCORE and len(line[0]) > 1)]


def _is_foreign(text: str) -> bool:
    words = words_in(text)
    return bool(words) and all(is_unspaced(word) for word in words)


def reading_order(lines: Sequence[Line]) -> list[Line]:
    """Sort lines by rows from the top, and each row from the left.

    A line belongs to a row if its vertical centre is less than half the smaller of the two heights
    from that of the row's first line.
    """
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one[2][1] + one[2][3] / 2, one[2][0], one[0])):
        _, y, _, height = line[2]
        if rows:
            _, top, _, tall = rows[-1][0][2]
            if abs((y + height / 2) - (top + tall / 2)) < min(height, tall) / 2:
                rows[-1].append(line)
                continue
        rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda one: one[2][0])]


def observe(span: TimeRange, frame: Frame, lines: Sequence[Line]) -> Iterator[Observation]:
    """Yield the lines of a frame as observations, their boxes as shares of the picture."""
    tall, wide = frame.image.shape[:2]
    for text, score, (x, y, width, height) in lines:
        left, top = min(max(x / wide, 0.0), 1.0), min(max(y / tall, 0.0), 1.0)
        box = [left, top, min(width / wide, 1 - left), min(height / tall, 1 - top)]
        yield Observation(span, "text", text, score, {"box": [round(float(share), 3) for share in box], "pts": frame.pts})


def make(options: Mapping[str, Any], engine: Engine) -> ScreenText:
    """Return the analyzer for these options.

    Raises:
        ToolRefusal: `languages` is empty, or `region` is not one.
    """
    if not options["languages"]:
        raise ToolRefusal("languages is empty; name at least one, such as ['en'].")
    return ScreenText(options["languages"], engine, parse_region(options.get(PART)))


SPEC = Spec(
    name="text",
    tool="read_screen_text",
    description=(
        "Read text in the picture by OCR on sampled frames: titles, signs, counters. Misses text shown for less than the step and, "
        "without a region, letters under 16 pixels."
    ),
    grain=8_000,
    step=2_000,
    factory=make,
    needs_engine=True,
    kinds=("text",),
    options_schema={
        "languages": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "default": ["en"],
            "description": "en, de, ch_sim ...",
        },
        PART: SCHEMA,
    },
    filters_schema={
        "min_score": min_score_filter(SHOWN_SCORE, "default 0.5"),
    },
    context=COARSEST_MS,
    needs="picture",
)
