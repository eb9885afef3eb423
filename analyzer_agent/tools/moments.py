"""Moments: which stretches of a video look most like a description in words.

Samples are kept as vectors, one per frame, so that any number of descriptions can be compared with them without decoding a frame again.
A likeness is relative: something is always the most alike, also where nothing fits. Knows neither the model nor where vectors lie.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.installing import VISION, install_extra
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation, Sample
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.sampling import observe_grains

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_LIKENESS_DROP = 0.02
"""How far the likeness of neighbours may lie below the best of a moment that they belong to."""

DEFAULT_LIMIT = 5
"""The default of `limit`."""


class Embedder(Protocol):
    """What an engine that compares pictures with texts can do; all vectors have length 1."""

    batch: int
    """How many pictures it takes best at once."""

    def image_features(self, images: "Sequence[NDArray[np.uint8]]") -> "Sequence[NDArray[np.float32]]":
        """Return a vector for each BGR picture; it does not depend on the others."""
        ...

    def text_features(self, texts: Sequence[str]) -> "Sequence[NDArray[np.float32]]":
        """Return a vector for each text."""
        ...


class Moments(Analyzer):
    """Keeps sampled frames of a video as vectors, and compares them with descriptions."""

    version = "1"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {}
        self._engine = engine

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with a sample per instant: its vector as 16-bit floats."""
        return observe_grains(video, grains, self._engine.get, _look, _observe)

    def search(self, samples: Sequence[Sample], filters: Mapping[str, Any]) -> Iterator[Observation]:
        """Yield the moments that look like `filters["description"]`, best first; nothing without one.

        Raises:
            ToolRefusal: the description is empty.
        """
        if not samples or "description" not in filters:
            return
        import numpy as np

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
    """Yield stretches around the highest scores, best first, each with the index of its best sample.

    A stretch goes on over neighbours that touch and score at most `MAX_LIKENESS_DROP` less. A sample beside a better one begins none.

    Args:
        spans: of the samples, in time order.
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


def _look(embedder: Embedder, images: "Sequence[NDArray[np.uint8]]") -> "Sequence[NDArray[np.float32]]":
    return embedder.image_features(images)


def _observe(span: TimeRange, frame: Frame, vector: "NDArray[np.float32]") -> list[Observation]:
    return [Sample(span, "moment", "", vector=vector.astype("float16").tobytes())]


def make(options: Mapping[str, Any], engine: Engine | None) -> Moments:
    """Return the analyzer.

    Raises:
        Unavailable: no engine was given.
    """
    if engine is None:
        raise Unavailable("Finding moments needs an engine.", hint=install_extra(VISION))
    return Moments(engine)


SPEC = Spec(
    name="moments",
    tool="find_moments",
    description=(
        "Find the moments whose picture looks most like a description in words, best first: a red ferry at a pier, two people "
        "shaking hands. Good for learning where to look in a long video; after the first search of a range, each further one is"
        " nearly free. What comes back is likeness, not proof: something is always the most alike, also where nothing fits. "
        "Confirm with another tool before you answer. Likenesses of the same description compare across videos."
    ),
    grain=8_000,
    step=2_000,
    factory=make,
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
