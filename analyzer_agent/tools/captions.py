"""Captions: one sentence about each sampled frame.

Yields one observation per frame; adjacent equal sentences are joined when read. Each frame is
captioned separately, so changes between two frames are not described.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.sanitize import truncated
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.sampling import observe_grains, too_small_text

MAX_CAPTION_CHARS = 4_000
"""Maximum stored length of a caption, in characters: only a model that repeats itself exceeds it. Notes of older versions end at 400."""

_SPACE_BEFORE_PUNCTUATION = re.compile(r"\s+([.,;:!?])")


class Captioner(Protocol):
    """Interface of a captioning engine."""

    batch: int
    """Preferred number of images per call."""

    def caption(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[str]:
        """Return a sentence about each image, or "" for none.

        Args:
            images: H x W x 3, uint8, BGR. The caption of one does not depend on the others.
        """


class Captions(Analyzer):
    """Caption sampled frames of a video."""

    version = "1"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {}
        self._engine = engine

    def limits(self, video: Video) -> str:
        """Return how small things are not seen: a CLIP shrinks pictures by their shorter side."""
        return too_small_text("things", min(video.size), self._engine.input_side)

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with one caption per instant."""
        return observe_grains(video, grains, self._engine.get, _look, observe)


def _look(captioner: Captioner, images: Sequence[NDArray[np.uint8]]) -> list[str]:
    return [tidy(text) for text in captioner.caption(images)]


def observe(span: TimeRange, frame: Frame, text: str) -> list[Observation]:
    """Return a frame's caption as an observation; nothing for an empty text."""
    return [Observation(span, "caption", text, None, {"pts": frame.pts})] if text else []


def tidy(text: str) -> str:
    """Put a caption on one line, close up punctuation, drop a final full stop, and truncate."""
    line = _SPACE_BEFORE_PUNCTUATION.sub(r"\1", " ".join(text.split()))
    return truncated(line, MAX_CAPTION_CHARS).removesuffix(".").rstrip()


SPEC = Spec(
    name="captions",
    tool="caption_frames",
    description=(
        "Describe sampled frames, a sentence each. Good for an overview; a caption can be wrong in counts, names and written text: "
        "check those with other tools."
    ),
    grain=8_000,
    step=4_000,
    factory=lambda _options, engine: Captions(engine),
    needs_engine=True,
    kinds=("caption",),
    resource="gpu",
    needs="picture",
)
