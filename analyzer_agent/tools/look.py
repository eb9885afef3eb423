"""Look: a vision model's answer to a question about a few frames.

Yields one observation per grain, which is one request; none if the frames do not answer the
question, so that the grain is covered and empty. Each question at each step is a separate lane.
The model and its prompt are left to the engine.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.sanitize import truncated
from analyzer_agent.timeline import TimeRange, clock, grid_step, instants, sample_end

FRAMES_PER_REQUEST, FRAMES_PER_SHEET = 8, 16
"""Frames per request as separate images, and as one contact sheet."""
SHEET_STEP_MS = 16_000
"""From this step on, in ms, frames are sent as a contact sheet: such a question is an overview."""
DEFAULT_STEP_S = 8
"""Default step, in seconds."""
MAX_ANSWER_CHARS = 400
"""Maximum stored length of an answer, in characters: what a tool result shows of it."""

_CLOCK = re.compile(r"\d+(?::\d\d)+(?:\.\d+)?")


class FrameAnswerer(Protocol):
    """Interface of an engine that answers questions about images."""

    def answer(self, question: str, images: Sequence[NDArray[np.uint8]], times: Sequence[str], *, sheet: bool) -> str:
        """Answer a question about frames; "" if they do not show the answer.

        Args:
            question: the question in natural language.
            images: in time order, each H x W x 3, uint8, BGR.
            times: the clock time of each image, as the answer may cite it.
            sheet: send them as one contact sheet of small images.
        """


class Look(Analyzer):
    """Ask one question about frames `step` ms apart."""

    version = "1"

    def __init__(self, engine: Engine, question: str, step: int) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {"question": question, "step": step}
        self.lane = hashlib.sha256(f"{step} {question}".encode()).hexdigest()[:12]
        self.grain = step * (FRAMES_PER_SHEET if step >= SHEET_STEP_MS else FRAMES_PER_REQUEST)
        self._engine, self._question, self._step = engine, question, step

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the model's answer about its frames, if there is one."""
        for grain in grains:
            at = instants(grain.span, self._step, video.picture) if video.picture else []
            frames = list(video.frames(grain.span, instants=at, order="bgr")) if at else []
            yield grain, self._asked(grain.span, frames) if frames else []

    def _asked(self, span: TimeRange, frames: Sequence[Frame]) -> list[Observation]:
        looker: FrameAnswerer = self._engine.get()
        times = [clock(frame.t) for frame in frames]
        said = looker.answer(self._question, [frame.image for frame in frames], times, sheet=self._step >= SHEET_STEP_MS)
        text = " ".join(said.split())
        if not text:
            return []
        detail: Mapping[str, JSON] = {"question": self._question, "frames": [frame.pts for frame in frames]}
        return [Observation(self._named(text, times, frames, span), "look", truncated(text, MAX_ANSWER_CHARS), None, detail)]

    def _named(self, text: str, times: Sequence[str], frames: Sequence[Frame], span: TimeRange) -> TimeRange:
        """Return the range of the frames whose times the answer cites, or else the whole span."""
        named = [frame.t for time, frame in zip(times, frames, strict=True) if time in _CLOCK.findall(text)]
        return TimeRange(named[0], sample_end(named[-1], self._step, span.end)) if named else span


def make(options: Mapping[str, Any], engine: Engine) -> Look:
    """Return the analyzer.

    Raises:
        ToolRefusal: the question is empty, or `every` is not a valid step.
    """
    question = " ".join(str(options["question"]).split())
    if not question:
        raise ToolRefusal("'question' is empty. Ask what can be seen in single frames.")
    try:
        step = grid_step(options["every"])
    except ValueError as error:
        raise ToolRefusal(f"'every': {error}.") from error
    return Look(engine, question, step)


SPEC = Spec(
    name="look",
    tool="look",
    description=(
        "Show frames to a model that sees pictures, and have it answer a question of yours about them: what somebody wears or holds, what "
        "a chart shows, how things stand. Good for what no other tool has a name for, once it is known where to look; the answer tells at "
        "which times it is seen. One request per 8 frames, so keep the ranges short; with every=16 or more, 16 small frames at a time give "
        "an overview. It hears nothing, and can err in counts and written text. Ask one thing at a time: each question looks anew."
    ),
    grain=DEFAULT_STEP_S * 1000 * FRAMES_PER_REQUEST,
    factory=make,
    needs_engine=True,
    kinds=("look",),
    options_schema={
        "question": {"type": "string", "description": "what to find out from the frames, as a whole sentence that says all that is needed"},
        "every": {
            "type": "number",
            "default": DEFAULT_STEP_S,
            "description": f"seconds between frames, default {DEFAULT_STEP_S}; 0.5 for quick movements",
        },
    },
    resource="network",
    needs="picture",
    required=("question",),
)
