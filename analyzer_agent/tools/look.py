"""Look: a vision model's answer to a question about a few frames.

A call is a unit of its own: its question, frames and region are its cache key and its coverage. So
exactly the frames of the ranges are shown, and asking the same again is free. Each request to the
model is a grain; it yields one observation for each range in which the answer is seen, and none if
the frames do not show it, so that the grain is covered and empty. The model and its prompt are left
to the engine.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.protocols.metering import metered_too
from analyzer_agent.records import JSON, Observation
from analyzer_agent.regions import SCHEMA as REGION
from analyzer_agent.regions import Region, crop, parse_region
from analyzer_agent.timeline import SHORTEST_STEP, TimeRange, clock, even_times
from analyzer_agent.tools.engines.opencv_pictures import shrink
from analyzer_agent.tools.engines.vision import PARALLEL_REQUESTS, Sight

FRAMES_PER_REQUEST, FRAMES_PER_SHEET = 8, 16
"""Frames per request as separate pictures, and as one contact sheet."""
FRAMES_COMPARED = 16
"""Most frames of a request that compares moments."""
SHEETS_ABOVE = 32
"""With more frames than this, a call sends them as contact sheets unless it says otherwise."""
MAX_FRAMES = 1_000
"""Most frames of a call: more are a mistake, and expensive."""
_PICTURE_SIDE = 1024
"""Longest side of a picture that waits for its request, in pixels."""


class FrameAnswerer(Protocol):
    """Interface of an engine that answers questions about images."""

    def answer(self, question: str, images: Sequence[NDArray[np.uint8]], times: Sequence[int], *, sheet: bool) -> Sight | None:
        """Answer a question about frames; None if they do not show the answer. Called from several threads.

        Args:
            question: the question in natural language.
            images: in time order, each H x W x 3, uint8, BGR.
            times: the time of each image in ms.
            sheet: send them as one contact sheet of small images.
        """


@dataclass(frozen=True)
class LookRequest:
    """What a call asks: `ranges` in ms, in time order and disjoint; `step` in ms, 0 for a number of frames per range.

    With `together`, all frames go into one request.
    """

    question: str
    ranges: tuple[TimeRange, ...]
    step: int = 0
    together: bool = False
    sheet: bool = False
    region: Region | None = None

    @property
    def per_request(self) -> int:
        """The most frames of a request."""
        return FRAMES_COMPARED if self.together else FRAMES_PER_SHEET if self.sheet else FRAMES_PER_REQUEST

    def instants(self, span: TimeRange) -> list[int]:
        """Return the times of the frames of a range, in ms: every `step`, or evenly from its start."""
        if self.step:
            return list(range(span.start, span.end, self.step))
        each = FRAMES_PER_SHEET if self.sheet else FRAMES_PER_REQUEST
        if self.together:
            each = min(each, max(1, FRAMES_COMPARED // len(self.ranges)))
        return even_times(span, each)

    def params(self) -> dict[str, JSON]:
        """Return the request as plain JSON, for the cache key."""
        asked: dict[str, JSON] = {"question": self.question, "ranges": [[span.start, span.end] for span in self.ranges], "step": self.step}
        marks = {"together": self.together, "layout": "sheet" if self.sheet else "", "region": list(self.region) if self.region else None}
        return asked | {name: value for name, value in marks.items() if value}


class Look(Analyzer):
    """Ask one question about the frames of a request."""

    version = "2"

    def __init__(self, engine: Engine, asked: LookRequest) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = asked.params()
        self.lane = hashlib.sha256(json.dumps(self.params, sort_keys=True).encode()).hexdigest()[:12]
        self._engine, self._asked = engine, asked
        self._answers: dict[TimeRange, Future[list[Observation]]] = {}

    def request_grains(self, video: Video) -> list[Grain]:
        """Return the requests as grains: blocks of about equal size, or one of all parts.

        Raises:
            ToolRefusal: the ranges have no picture, or too many frames.
        """
        shown = [part for span in self._asked.ranges if video.picture and (part := span.within(video.picture))]
        if not shown:
            raise ToolRefusal("there is no picture in these ranges.")
        frames = [self._asked.instants(part) for part in shown]
        count = sum(map(len, frames))
        most = FRAMES_COMPARED if self._asked.together else MAX_FRAMES
        if count > most:
            raise ToolRefusal(f"that is {count} frames, and a call shows at most {most}. Shorten the ranges, or lengthen the step.")
        if self._asked.together:
            times = tuple(t for part in frames for t in part)
            spacing = max(_spacing(part, own) for part, own in zip(shown, frames, strict=True))
            return [Grain(TimeRange(shown[0].start, shown[-1].end), 0, times, tuple(shown), spacing)]
        return [grain for part, times in zip(shown, frames, strict=True) for grain in _blocks(part, times, self._asked.per_request)]

    def request_text(self, video: Video, span: TimeRange) -> str:
        """Return what is shown within `span`, such as `8 frames, 0:05-0:06.9, every 0.27 s`."""
        grains = [grain for grain in self.request_grains(video) if grain.span.overlaps(span)]
        times = [t for grain in grains for t in grain.instants if span.start <= t < span.end]
        if not times:
            return ""
        count = f"{len(times)} frame{'s' if len(times) > 1 else ''}"
        if self._asked.together:
            return f"{count}, {', '.join(map(clock, times))}"
        steps = {round((b - a) / 1000, 2) for grain in grains for a, b in pairwise(grain.instants)}
        every = f", every {min(steps):g} s" if len(steps) in (1, 2) else ""
        when = f"{clock(times[0])}-{clock(times[-1])}" if len(times) > 1 else clock(times[0])
        how = "sheet" if self._asked.sheet else "request"
        return f"{count}, {when}{every}{f', in {len(grains)} {how}s' if len(grains) > 1 else ''}"

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the model's answer about its frames, if there is one.

        Several requests are under way at a time. One that was answered before an earlier one failed
        is not sent again, if all of its frames could be read.
        """
        pool, waiting = ThreadPoolExecutor(PARALLEL_REQUESTS, "looks"), deque[tuple[Grain, Future[list[Observation]]]]()
        try:
            for grain in grains:
                waiting.append((grain, self._answered(grain) or self._send(pool, video, grain)))
                if len(waiting) == 2 * PARALLEL_REQUESTS:
                    yield self._next(waiting)
            while waiting:
                yield self._next(waiting)
        finally:
            pool.shutdown(cancel_futures=True)

    def _next(self, waiting: deque[tuple[Grain, Future[list[Observation]]]]) -> tuple[Grain, list[Observation]]:
        grain, answer = waiting.popleft()
        self._answers.pop(grain.span, None)
        return grain, answer.result()

    def _answered(self, grain: Grain) -> Future[list[Observation]] | None:
        known = self._answers.get(grain.span)
        return known if known and not known.cancelled() else None

    def _send(self, pool: ThreadPoolExecutor, video: Video, grain: Grain) -> Future[list[Observation]]:
        """Read the frames of a grain, crop and shrink them, and have the question asked about them."""
        frames = [
            frame._replace(image=shrink(crop(frame.image, self._asked.region), _PICTURE_SIDE).copy())
            for frame in video.frames(grain.span, instants=grain.instants, order="bgr")
        ]
        answer = pool.submit(metered_too(self._ask), grain, frames)
        if len(frames) == len(grain.instants):  # the faults of the others are known to this pass only
            self._answers[grain.span] = answer
        return answer

    def _ask(self, grain: Grain, frames: Sequence[Frame]) -> list[Observation]:
        if not frames:
            return []
        looker: FrameAnswerer = self._engine.get()
        sight = looker.answer(
            self._asked.question, [frame.image for frame in frames], [frame.t for frame in frames], sheet=self._asked.sheet
        )
        if sight is None or not (text := " ".join(sight.text.split())):
            return []
        shown = [frames[at] for at in sight.shown] or frames
        return [self._observed(grain, part, text, own) for part in grain.parts or (grain.span,) if (own := _in(part, shown))]

    def _observed(self, grain: Grain, part: TimeRange, text: str, shown: Sequence[Frame]) -> Observation:
        """Return the observation of an answer, from the first frame that shows it to the end of the last one."""
        later = [t for t in grain.instants if t > shown[-1].t]
        end = min(later[0], part.end) if later else part.end
        detail: dict[str, JSON] = {"question": self._asked.question, "frames": [frame.pts for frame in shown], "seen": shown[-1].t}
        return Observation(TimeRange(shown[0].t, end), "look", text, None, detail)


def _blocks(span: TimeRange, times: Sequence[int], most: int) -> Iterator[Grain]:
    """Divide the frames of a range into as few blocks as possible, of about equal size."""
    count = -(-len(times) // most)
    edges = [len(times) * n // count for n in range(count + 1)]
    for first, last in pairwise(edges):
        end = times[last] if last < len(times) else span.end
        block = TimeRange(times[first], end)
        yield Grain(block, 0, tuple(times[first:last]), spacing=_spacing(block, times[first:last]))


def _spacing(span: TimeRange, times: Sequence[int]) -> int:
    """Return the longest time (ms) from a frame of a range to the next one, or to its end."""
    return max(later - t for t, later in pairwise([*times, span.end]))


def _in(part: TimeRange, frames: Sequence[Frame]) -> list[Frame]:
    return [frame for frame in frames if part.start <= frame.t < part.end]


def make(options: Mapping[str, Any], engine: Engine) -> Look:
    """Return the analyzer. The option `ranges` is set by the call: the ranges in ms, clipped to the scope.

    Raises:
        ToolRefusal: the question is empty, or another option is not valid.
    """
    question = " ".join(str(options["question"]).split())
    if not question:
        raise ToolRefusal("'question' is empty. Ask what can be seen in single frames.")
    every = options.get("every")
    if every is not None and not 0 < every < 1e6:
        raise ToolRefusal(f"'every': cannot look every {every!r} seconds; give a positive number, such as 0.5, 1 or 8.")
    step = max(SHORTEST_STEP, round(every * 1000)) if every is not None else 0
    ranges, together = tuple(options.get("ranges", ())), bool(options.get("compare"))
    sheet, region = options.get("sheet"), parse_region(options.get("region"))
    asked = LookRequest(question, ranges, step, together, bool(sheet), region)
    if sheet is None and not together and sum(len(asked.instants(span)) for span in ranges) > SHEETS_ABOVE:
        asked = LookRequest(question, ranges, step, together, True, region)
    return Look(engine, asked)


SPEC = Spec(
    name="look",
    tool="look",
    description=(
        "Have a model that sees answer a question about frames: what somebody wears or holds, what a chart shows. For what no other "
        "tool finds, where you know the time; over a long range ask once for all of the kind, as later questions use the notes. "
        "It is shown 8 frames of each range, or as `every` says; it hears nothing and can miscount."
    ),
    grain=8_000,
    factory=make,
    needs_engine=True,
    kinds=("look",),
    options_schema={
        "question": {"type": "string", "description": "a whole sentence that says all that is needed"},
        "every": {"type": "number", "description": "seconds between frames, from 0.04; default: an eighth of the range"},
        "compare": {
            "type": "array",
            "items": {"type": ["string", "number", "array"]},
            "description": f"instead of ranges: moments or short ranges for one request, {FRAMES_COMPARED} frames at most",
        },
        "sheet": {
            "type": "boolean",
            "description": f"{FRAMES_PER_SHEET} small frames to a picture, far cheaper; default above {SHEETS_ABOVE} frames",
        },
        "region": REGION,
    },
    resource="network",
    needs="picture",
    required=("question",),
    exact=True,
)
