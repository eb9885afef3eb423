"""Tags: the scene, action and activity that a frame resembles, from a replaceable vocabulary.

Yields one observation per label with a sufficient score. Scores are a softmax over the labels of a
group, so a picture that fits none of them gives low scores to several.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support import vocabulary
from analyzer_agent.tools.support.sampling import min_score_filter, names_filter, observe_grains, too_small_text

STORED_SCORE = 0.05
"""Labels below this score (0 to 1) are not stored."""
STORED_LABELS = 5
"""Maximum number of labels stored per group and frame."""
SHOWN_SCORE = 0.2
"""Default of `min_score`."""


class Tagger(Protocol):
    """Interface of a zero-shot tagging engine."""

    batch: int
    """Preferred number of images per call."""

    def probabilities(self, images: Sequence[NDArray[np.uint8]], groups: Sequence[Sequence[str]]) -> Sequence[Sequence[Sequence[float]]]:
        """Return the probabilities of the texts of each group, for each image.

        Args:
            images: H x W x 3, uint8, BGR. The result of one does not depend on the others.
            groups: the texts of each group.

        Returns:
            Per image and group, one probability per text; they sum to 1.
        """


class Tags(Analyzer):
    """Compare sampled frames of a video with the labels of a vocabulary."""

    version = "1"

    def __init__(self, engine: Engine, groups: tuple[vocabulary.Group, ...]) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {"vocabulary": vocabulary.vocabulary_digest(groups)}
        self._engine, self._groups = engine, groups
        self._prompts = [group.prompts() for group in groups]

    def facts(self) -> Mapping[str, JSON]:
        """Return the vocabulary as `{"groups": {group: [label, ...]}}`, without loading weights."""
        return {"groups": {group.name: list(group.labels) for group in self._groups}}

    def limits(self, video: Video) -> str:
        """Return how small things are not seen: a CLIP shrinks pictures by their shorter side."""
        return too_small_text("things", min(video.size), self._engine.input_side)

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the best labels at its instants, highest score of a group first."""
        return observe_grains(video, grains, self._engine.get, self._look, self._observe)

    def _look(self, tagger: Tagger, images: Sequence[NDArray[np.uint8]]) -> Sequence[Sequence[Sequence[float]]]:
        return tagger.probabilities(images, self._prompts)

    def _observe(self, span: TimeRange, frame: Frame, fits: Sequence[Sequence[float]]) -> Iterator[Observation]:
        for group, scores in zip(self._groups, fits, strict=True):
            rated = sorted((-round(float(score), 3), label) for score, label in zip(scores, group.labels, strict=True))
            for score, label in rated[:STORED_LABELS]:
                if -score >= STORED_SCORE:
                    yield Observation(span, "tag", label, -score, {"group": group.name, "pts": frame.pts})


def selected(observation: Observation, filters: Mapping[str, Any]) -> Observation | None:
    """Return the observation if it passes the filters `groups` and `min_score`, else None."""
    groups = {str(name).casefold() for name in filters.get("groups") or ()}
    if groups and str(observation.detail.get("group")).casefold() not in groups:
        return None
    return observation if observation.score is None or observation.score >= filters.get("min_score", SHOWN_SCORE) else None


def make(options: Mapping[str, Any], engine: Engine) -> Tags:
    """Return the analyzer, with the user's vocabulary if one is configured.

    Raises:
        AgentError: the user's vocabulary cannot be read or is invalid.
    """
    return Tags(engine, vocabulary.read_vocabulary(engine.config.vocabulary))


SPEC = Spec(
    name="tags",
    tool="tag_frames",
    description="Label sampled frames with the scene, action and activity they look most like. Cheap; likeness is no proof.",
    grain=8_000,
    step=2_000,
    factory=make,
    needs_engine=True,
    kinds=("tag",),
    filters_schema={
        "groups": names_filter("only these: scene, action, activity, unless the user has others"),
        "min_score": min_score_filter(SHOWN_SCORE, "only labels at least this likely, from 0.05; default 0.2"),
    },
    resource="gpu",
    needs="picture",
    select=selected,
)
