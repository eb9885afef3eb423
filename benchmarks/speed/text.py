"""Screen text: a video of slides with one engine call per picture, against OCR of every frame."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from analyzer_agent.evidence.joining import merge_notes
from analyzer_agent.evidence.plan import grains_of
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig, Grain, Video
from analyzer_agent.records import Note, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import text
from analyzer_agent.tools.engines import rapidocr
from analyzer_agent.tools.support.sampling import frame_span
from benchmarks.made import encode, made_once
from benchmarks.speed.measure import Figure, Work, paired

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 20
_SECONDS, _SIZE, _STEP = 360, (1280, 720), 2_000
_WHAT = "text every 2 s of 6 min of slides, 720p H.264"
_TITLES = ("Harbour", "Garden", "Weather", "Kitchen", "Railway", "Library", "Mountain", "Market", "Bridge", "Orchard", "Museum")
_THINGS = ("apples", "boats", "chairs", "doors", "engines", "flowers", "gloves", "houses", "lamps", "mirrors", "needles", "ropes")
_PLACES = ("north", "south", "east", "west", "upper", "lower", "inner", "outer", "central", "distant")
_NAMES = ("Anna Becker", "David Moore", "Maria Santos", "Peter Young")

Folded = set[tuple[str, int, int]]
"""Texts with the start and end, in ms, at which they are read."""


@dataclass(frozen=True)
class Shown:
    """A line of text with its start and end in ms; position and size in shares of the height."""

    text: str
    start: int
    end: int
    left: float
    top: float
    height: float


def figures(work: Work) -> Iterator[Figure]:
    """Yield the saved engine calls and the saved time."""
    against = "RapidOCR on every sampled frame"
    reason = rapidocr.find(EngineConfig()).missing
    if reason:
        yield Figure(_WHAT, against, target=5, why=reason)
        return
    path, truth = slides(work.folder, _SECONDS, _SIZE)
    engine = Counted()
    with open_video(path) as video:
        grains = grains_of(text.SPEC, video, [TimeRange(0, video.duration)], _STEP)
        ours = folded(found(video, grains, engine))
        calls = engine.calls
        sampled = sum(len(grain.instants) for grain in grains)
        plain = folded(_kept(work.folder / f"{path.stem}.read.json", video, grains, engine))
        if not ours == plain == expected(truth, video, _STEP):
            raise AssertionError(f"not the same text: {sorted(ours ^ plain)}, {sorted(plain ^ expected(truth, video, _STEP))}")
        same = f"{len(ours)} runs of text: exhaustive reading, and the slides' record"
        yield Figure(f"{_WHAT}: calls of the engine", against, [sampled / calls], target=5, same=same)
        # Reading all frames takes minutes, so the time is extrapolated from every eighth.
        some = [Grain(grain.span, grain.step, grain.instants[:1]) for grain in grains[::2]]
        pairs = paired(partial(found, video, grains, engine), partial(exhaustive, video, some, engine), work.runs)
        seconds = [(mine, other * sampled / len(some)) for mine, other in pairs]
        yield Figure(f"{_WHAT}: time", against, [other / mine for mine, other in seconds], target=3, same=same, seconds=seconds)


class Counted:
    """RapidOCR as an engine, with a counter of its calls."""

    name, weights, uncertain, calls = "rapidocr", "", False, 0

    def __init__(self) -> None:
        self._reader = rapidocr.load(EngineConfig())

    def get(self) -> "Counted":
        """Return itself."""
        return self

    def read(self, image: "NDArray[np.uint8]", languages: Sequence[str]) -> Sequence[text.Line]:
        """Return RapidOCR's lines, and count the call."""
        self.calls += 1
        return self._reader.read(image, languages)


# --- reading --------------------------------------------------------------------------------------


def found(video: Video, grains: Sequence[Grain], engine: Any) -> list[Observation]:
    """Return the analyzer's observations."""
    return [one for _, some in text.SPEC.bind({}, engine).analyze(video, grains) for one in some]


def exhaustive(video: Video, grains: Sequence[Grain], engine: Any) -> list[Observation]:
    """Return the observations from reading the frame at each instant."""
    wanted = {t: grain for grain in grains for t in grain.instants}
    read: list[Observation] = []
    for frame in video.frames(TimeRange(0, video.duration), instants=sorted(wanted), order="bgr"):
        lines = text.reading_order(text.tidy(engine.read(frame.image, ("en",))))
        read += text.observe(frame_span(video, wanted[frame.t], frame), frame, lines)
    return read


def folded(read: Iterable[Observation]) -> Folded:
    """Merge adjacent equal texts of observations in time order."""
    runs = merge_notes([Note(number, "v", "text", "k", one) for number, one in enumerate(read)], {})
    return {(run.text, run.span.start, run.span.end) for run in runs}


def expected(truth: Iterable[Shown], video: Video, step: int) -> Folded:
    """Return the expected result of sampling every `step` ms.

    A line lasts from the first instant that shows it to the first one that does not.
    """
    spans = ((line.text, -(-line.start // step) * step, min(-(-line.end // step) * step, video.duration)) for line in truth)
    return {one for one in spans if one[1] < one[2]}


def _kept(path: Path, video: Video, grains: Sequence[Grain], engine: Any) -> list[Observation]:
    """Return the exhaustive reading, cached in a file."""
    if not path.exists():
        read = [(one.span.start, one.span.end, one.text) for one in exhaustive(video, grains, engine)]
        path.write_text(json.dumps(read), encoding="utf-8")
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Observation(TimeRange(start, end), "text", words) for start, end, words in rows]


# --- slides ---------------------------------------------------------------------------------------


def slides(folder: Path, seconds: int, size: tuple[int, int]) -> tuple[Path, list[Shown]]:
    """Return a video of slides, created on first use, and its lines of text (also stored as JSON).

    Slides stay for 5 to 40 seconds. Some get another line later; name plates come and go.
    """
    path = folder / f"slides-{size[1]}p-{seconds}s.mp4"
    record = path.with_suffix(".json")

    def make(unfinished: Path) -> None:
        truth = plan(seconds)
        record.write_text(json.dumps([asdict(line) for line in truth], indent=1) + "\n", encoding="utf-8")
        encode(unfinished, _frames(truth, seconds, size), size, RATE, crf="23")

    return made_once(path, make), [Shown(**row) for row in json.loads(record.read_text(encoding="utf-8"))]


def plan(seconds: int) -> list[Shown]:
    """Return the lines of `seconds` seconds of slides in time order; times fall on frames."""
    dice, lines, at, end = random.Random(7), list[Shown](), 0, seconds * 1000
    while at < end:
        until = at + _whole(dice.choice([6, 12, 20, 28, 34, 40]) * dice.uniform(850, 1000))
        until = end if end - until < 5_000 else until
        lines.append(Shown(f"{dice.choice(_TITLES)} {dice.choice(_TITLES)}", at, until, 0.12, 0.08, 0.085))
        for row in range(count := dice.randrange(2, 5)):
            words = f"{dice.randrange(12, 99)} {dice.choice(_PLACES)} {dice.choice(_THINGS)}"
            late = row == count - 1 and until - at > 20_000
            begin = at + _whole(dice.uniform(4_000, 8_000)) if late else at
            lines.append(Shown(words, begin, until, 0.16, 0.28 + 0.13 * row, 0.055))
        at = until
    for begin in range(9_000, end - 15_000, 120_000):
        start = begin + _whole(dice.uniform(0, 4_000))
        lines.append(Shown(dice.choice(_NAMES), start, start + _whole(dice.uniform(6_000, 9_000)), 0.2, 0.86, 0.05))
    return sorted(lines, key=lambda line: line.start)


def _whole(ms: float) -> int:
    """Round a time in ms to that of a frame."""
    return round(ms * RATE / 1000) * 1000 // RATE


def _frames(truth: Sequence[Shown], seconds: int, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    before: list[Shown] | None = None
    for number in range(seconds * RATE):
        now = [line for line in truth if line.start <= number * 1000 // RATE < line.end]
        if now != before:
            frame, before = av.VideoFrame.from_ndarray(_drawn(now, size), "rgb24").reformat(format="yuv420p"), now
        yield frame


def _drawn(lines: Iterable[Shown], size: tuple[int, int]) -> "NDArray[np.uint8]":
    from PIL import Image, ImageDraw, ImageFont

    wide, tall = size
    ramp = np.linspace(250, 225, tall).astype(np.uint8)[:, None, None]
    image = Image.fromarray(np.broadcast_to(ramp, (tall, wide, 3)).copy())
    pen = ImageDraw.Draw(image)
    for line in lines:
        place = (round(line.left * tall), round(line.top * tall))
        plate = line.top > 0.8
        if plate:
            pen.rectangle((0, place[1] - 0.02 * tall, wide * 0.6, place[1] + 0.09 * tall), fill=(30, 60, 110))
        pen.text(place, line.text, fill=(250, 250, 250) if plate else (25, 30, 45), font=ImageFont.load_default(line.height * tall))
    return np.asarray(image)
