"""Moments: the ranges of a video that best match a description.

Stores one embedding per sampled frame, so further descriptions need no decoding. Similarity is
relative: some frame is always the most similar, even if nothing matches.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation, Sample
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.sampling import observe_grains

MAX_LIKENESS_DROP = 0.02
"""Maximum difference in similarity between a moment's best sample and its other samples."""

DEFAULT_LIMIT = 5
"""Default of `limit`."""


class Embedder(Protocol):
    """Interface of an engine that embeds images and texts as comparable, L2-normalised vectors."""

    batch: int
    """Preferred number of images per call."""

    def image_features(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        """Return a vector (float32[D]) for each image.

        Args:
            images: H x W x 3, uint8, BGR. The vector of one does not depend on the others.
        """

    def text_features(self, texts: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        """Return a vector (float32[D]) for each text."""


class Moments(Analyzer):
    """Store embeddings of sampled frames, and compare them with descriptions."""

    version = "1"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {}
        self._engine = engine

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with a sample per instant; its vector is float16[D], L2-normalised."""
        return observe_grains(video, grains, self._engine.get, _look, _observe)

    def search(self, samples: Sequence[Sample], filters: Mapping[str, Any]) -> Iterator[Observation]:
        """Yield the moments that match `filters["description"]`, best first.

        Args:
            samples: stored samples of this analyzer, in time order.
            filters: without a `description`, nothing is yielded.

        Raises:
            ToolRefusal: the description is empty.
        """
        if not samples or "description" not in filters:
            return
        description = filters["description"]
        if not description.strip():
            raise ToolRefusal("'description' is empty. Say what the picture shows: a red ferry at a pier.")
        embedder: Embedder = self._engine.get()
        (wanted,) = embedder.text_features([description])
        vectors = np.frombuffer(b"".join(sample.vector for sample in samples), np.float16).reshape(len(samples), -1)
        likeness = [float(one) for one in vectors.astype(np.float32) @ wanted]
        for span, peak in peaks([sample.span for sample in samples], likeness):
            detail: Mapping[str, JSON] = {"description": description, "peak": samples[peak].span.start}
            yield Observation(span, "moment", f'looks like "{description}"', round(max(0.0, likeness[peak]), 4), detail)


def peaks(spans: Sequence[TimeRange], scores: Sequence[float]) -> Iterator[tuple[TimeRange, int]]:
    """Yield ranges around the local maxima of the scores, best first, with the best sample's index.

    A range extends over adjacent samples that score at most `MAX_LIKENESS_DROP` less. A sample next
    to a better one starts no range.

    Args:
        spans: the samples' spans, in time order.
        scores: one per sample.
    """
    taken: set[int] = set()
    for peak in sorted(range(len(spans)), key=lambda n: (-scores[n], n)):
        beside = [n for n in (peak - 1, peak + 1) if _are_adjacent(spans, peak, n)]
        if peak in taken or any(scores[n] > scores[peak] for n in beside):
            continue
        ends = []
        for towards in (-1, 1):
            at = peak
            while (
                _are_adjacent(spans, at, beyond := at + towards)
                and beyond not in taken
                and 0 <= scores[peak] - scores[beyond] <= MAX_LIKENESS_DROP
            ):
                at = beyond
            ends.append(at)
        taken.update(range(ends[0], ends[1] + 1))
        yield TimeRange(spans[ends[0]].start, spans[ends[1]].end), peak


def _are_adjacent(spans: Sequence[TimeRange], one: int, other: int) -> bool:
    first, last = sorted((one, other))
    return first >= 0 and last < len(spans) and spans[first].end == spans[last].start


def _look(embedder: Embedder, images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
    return embedder.image_features(images)


def _observe(span: TimeRange, frame: Frame, vector: NDArray[np.float32]) -> list[Observation]:
    return [Sample(span, "moment", "", vector=vector.astype("float16").tobytes())]


SPEC = Spec(
    name="moments",
    tool="find_moments",
    description=(
        "Find the moments whose picture looks most like a description, best first. Once a range has been searched, another search of it is "
        "nearly free. Something is always the most alike, also where nothing fits: confirm with another tool."
    ),
    grain=8_000,
    step=2_000,
    factory=lambda _options, engine: Moments(engine),
    needs_engine=True,
    kinds=("moment",),
    filters_schema={
        "description": {"type": "string", "description": "what the picture shows, as one would caption it, in English"},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "default": DEFAULT_LIMIT,
            "description": f"how many moments at most, default {DEFAULT_LIMIT}",
        },
    },
    resource="gpu",
    needs="picture",
    required=("description",),
    searched=True,
    like=("tags", 1.0),
)
