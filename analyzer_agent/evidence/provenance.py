"""The identity of what an analyzer stores: its cache key, and which stored coverage may serve a request.

Knows nothing of engines beyond their names and tiers.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from analyzer_agent.protocols import Analyzer, Engine, Spec, Video
from analyzer_agent.records import JSON, Provenance

IMPORTED = "imported "
"""How the weights begin that stand for notes which were made elsewhere."""


@dataclass(frozen=True, slots=True)
class BoundAnalyzer:
    """A bound analyzer with the identity of what it stores. `pinned` asks for exactly this key, else a better engine's notes serve too."""

    spec: Spec
    analyzer: Analyzer
    provenance: Provenance
    pinned: bool = False
    engine: Engine | None = None

    @property
    def grain(self) -> int:
        """The unit of analysis, in ms; 0 is the whole video."""
        return self.analyzer.grain or self.spec.grain

    @property
    def device(self) -> str:
        """Where it runs: known for sure once its engine is loaded."""
        return self.engine.device if self.engine else "cpu"


def make_provenance(
    spec: Spec, analyzer: Analyzer, video: Video, *, tier: int = 0, weights: str = "", uncertain: bool = False
) -> Provenance:
    """Return where the notes of `analyzer` on `video` come from, with the digest that is their key."""
    params: Mapping[str, JSON] = {**analyzer.params, **analyzer.inputs(video)}
    identity = [spec.name, analyzer.version, analyzer.engine, weights, analyzer.lane, params]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return Provenance(
        f"{spec.name}:{digest}", spec.name, analyzer.version, analyzer.engine, tier, weights, analyzer.lane, params, uncertain
    )


def search_provenance(provenance: Provenance, wanted: Mapping[str, JSON]) -> Provenance:
    """Return where notes come from that were found by searching what `provenance` stores for `wanted`; each search is a lane of its own."""
    lane = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    digest = hashlib.sha256(f"{provenance.key} {lane}".encode()).hexdigest()[:12]
    return replace(provenance, key=f"{provenance.analyzer}:{digest}", lane=lane, params={**provenance.params, **wanted})


def serving_keys(wanted: Provenance, known: Iterable[Provenance], pinned: bool) -> list[str]:
    """Return the keys whose coverage serves a request for `wanted`: its own and, unless pinned, those of engines as good or better."""
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
