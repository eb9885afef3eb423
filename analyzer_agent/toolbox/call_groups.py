"""Grouping of a turn's calls: which share a decoding pass, and which may run in parallel.

`scheduler` runs the groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer_agent.protocols import Engine, Video
from analyzer_agent.timeline import TimeRange


@dataclass(frozen=True)
class DecodeRequest:
    """A call that needs the picture of one video: analyzer, engine and requested ranges."""

    analyzer: str
    video: Video
    ranges: Sequence[TimeRange]
    engine: Engine | None

    def shares(self, other: "DecodeRequest") -> bool:
        """Return whether both overlap in at least half of the shorter one.

        With less overlap, one pass is not faster than two. Two calls of the same analyzer never
        share: the second waits for the grains of the first, and sharing would deadlock.
        """
        if self.video.id != other.video.id or self.analyzer == other.analyzer:
            return False
        common = sum(part.length for one in self.ranges for two in other.ranges if (part := one.within(two)))
        return 2 * common >= min(sum(span.length for span in watch.ranges) for watch in (self, other))


@dataclass(frozen=True)
class CallGroup:
    """Calls that run together, as indices.

    `video` is set if there are several: they share one decoding pass over it.
    """

    calls: tuple[int, ...]
    resources: frozenset[str]
    video: Video | None = None


def group_calls(resources: Sequence[str], watches: Sequence[DecodeRequest | None]) -> list[CallGroup]:
    """Group calls that can share a decoding pass.

    Args:
        resources: the resource of each call.
        watches: the decode request of each call, None for those that cannot share.
    """
    parties: list[list[int]] = []
    for at, watch in enumerate(watches):
        joined = next((group for group in parties if watch and _may_join(watch, [watches[other] for other in group])), None)
        if joined is None:
            parties.append([at])
        else:
            joined.append(at)
    return [_group(group, resources, watches) for group in parties]


def parallel_rows(units: Sequence[CallGroup]) -> list[list[CallGroup]]:
    """Return parallel rows; groups with a common resource are in one row, in order."""
    found: list[list[CallGroup]] = []
    for unit in units:
        touched = [row for row in found if any(unit.resources & other.resources for other in row)]
        found = [row for row in found if row not in touched] + [[*(other for row in touched for other in row), unit]]
    return found


def _may_join(watch: DecodeRequest, group: Sequence[DecodeRequest | None]) -> bool:
    others = [other for other in group if other is not None]
    if len(others) < len(group) or not all(watch.shares(other) for other in others):
        return False
    return watch.engine is None or watch.engine.fits_beside([other.engine for other in others if other.engine is not None])


def _group(group: Sequence[int], resources: Sequence[str], watches: Sequence[DecodeRequest | None]) -> CallGroup:
    first = watches[group[0]]
    return CallGroup(tuple(group), frozenset(resources[at] for at in group), first.video if first and len(group) > 1 else None)
