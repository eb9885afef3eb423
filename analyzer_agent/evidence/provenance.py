"""Cache keys: the identity of an analyzer's results, and the keys that may serve a request."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from analyzer_agent.protocols import Analyzer, Engine, Spec, Video
from analyzer_agent.records import JSON, Provenance

IMPORTED = "imported "
"""The prefix of `weights` in the provenance of imported notes."""


@dataclass(frozen=True, slots=True)
class BoundAnalyzer:
    """A bound analyzer with its provenance.

    If `pinned`, only notes with exactly this key serve a request, else those of better engines too.
    """

    spec: Spec
    analyzer: Analyzer
    provenance: Provenance
    pinned: bool = False
    engine: Engine | None = None

    @property
    def grain(self) -> int:
        """The grain in ms; 0 for the whole video."""
        return self.analyzer.grain or self.spec.grain

    @property
    def device(self) -> str:
        """The device it runs on; before its engine is loaded, the expected one."""
        return self.engine.device if self.engine else "cpu"


def make_provenance(
    spec: Spec, analyzer: Analyzer, video: Video, *, tier: int = 0, weights: str = "", uncertain: bool = False
) -> Provenance:
    """Return the provenance, with the cache key, of the notes of `analyzer` on `video`."""
    params: Mapping[str, JSON] = {**analyzer.params, **analyzer.inputs(video)}
    identity = [spec.name, analyzer.version, analyzer.engine, weights, analyzer.lane, params]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return Provenance(
        f"{spec.name}:{digest}", spec.name, analyzer.version, analyzer.engine, tier, weights, analyzer.lane, params, uncertain
    )


def superseded_keys(spec: Spec, video: Video, known: Iterable[Provenance]) -> list[str]:
    """Return the keys among `known` whose files beside the video are not those that lie there now.

    Args:
        spec: the spec of an analyzer that needs no engine.
        video: the video, as it was just opened.
        known: the provenances of the analyzer's notes on the video.
    """
    analyzer = spec.bind({})
    now = dict(analyzer.inputs(video))
    return [
        other.key
        for other in known
        if not other.weights.startswith(IMPORTED)
        and {name: value for name, value in other.params.items() if name not in analyzer.params} != now
    ]


def search_provenance(provenance: Provenance, wanted: Mapping[str, JSON]) -> Provenance:
    """Return the provenance of the results of a search for `wanted` in the samples of `provenance`.

    Each search is a separate lane.
    """
    lane = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    digest = hashlib.sha256(f"{provenance.key} {lane}".encode()).hexdigest()[:12]
    return replace(provenance, key=f"{provenance.analyzer}:{digest}", lane=lane, params={**provenance.params, **wanted})


def serving_keys(wanted: Provenance, known: Iterable[Provenance], pinned: bool) -> list[str]:
    """Return the keys whose coverage serves a request for `wanted`.

    These are its own and, unless `pinned`, those of engines of the same or a better tier.
    """
    if pinned:
        return [wanted.key]
    return [wanted.key] + [
        other.key
        for other in known
        if other.key != wanted.key
        and other.tier <= wanted.tier
        and (other.analyzer, other.version, other.lane, dict(other.params))
        == (wanted.analyzer, wanted.version, wanted.lane, dict(wanted.params))
    ]
