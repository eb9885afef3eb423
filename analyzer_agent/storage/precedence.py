"""Precedence: which notes hide which, where several engines cover the same time."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from analyzer_agent.records import JSON, Provenance
from analyzer_agent.storage.ledger import Covered, Ledger
from analyzer_agent.timeline import TimeRange, merge

_COVERAGE_MARGIN_MS = 60_000


class Precedence:
    """The order of engines: the user's options first, then the better tier, then the newer one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._given: Mapping[str, Mapping[str, JSON]] = {}
        self._usual: Mapping[str, Mapping[str, JSON]] = {}

    def prefer(self, given: Mapping[str, Mapping[str, JSON]], usual: Mapping[str, Mapping[str, JSON]] | None = None) -> None:
        """Prefer notes made with the user's options to those of better tiers, newer or other lanes.

        Args:
            given: the options that the user chose, by analyzer.
            usual: the default options, by analyzer.
        """
        self._given, self._usual = given, usual or {}

    def rivals(self, provenances: Sequence[Provenance]) -> dict[str, list[str]]:
        """Return, by key, the keys of the better provenances of the same analyzer and lane.

        One that is closer to the user's options also beats other lanes, because options may select
        a lane, such as audio track 2. `provenances` is sorted oldest first.
        """
        ranks = [(self._distance(provenance), provenance.tier, -n) for n, provenance in enumerate(provenances)]
        return {
            mine.key: [
                other.key
                for other, better in zip(provenances, ranks, strict=True)
                if other.analyzer == mine.analyzer and better < rank and (other.lane == mine.lane or better[0] < rank[0])
            ]
            for mine, rank in zip(provenances, ranks, strict=True)
        }

    def _distance(self, provenance: Provenance) -> int:
        """Rank a provenance by its options.

        0: the user's options and defaults for the rest; 1: the user's options; 2: the defaults;
        3: others.
        """
        given, usual = self._given.get(provenance.analyzer, {}), self._usual.get(provenance.analyzer, {})
        closest = ({**usual, **given}, given if given else None, usual)
        return next((n for n, options in enumerate(closest) if options is not None and _made_with(provenance, options)), len(closest))

    def hidden(self, video: str, places: Sequence[tuple[str, int]], rivals: Mapping[str, Sequence[str]]) -> list[bool]:
        """Return for each (key, instant) whether a better key covers the instant."""
        asked = [(at, key) for mine, at in places for key in rivals.get(mine, ())]
        if not asked:
            return [False] * len(places)
        looked = {}
        for key in {key for _, key in asked}:
            spans = merge((TimeRange(at, at + 1) for at, other in asked if other == key), _COVERAGE_MARGIN_MS)
            looked[key] = _CoverageLookup(part for span in spans for part in self._ledger.covered(video, [key], span))
        return [any(looked[key].at(at) for key in rivals.get(mine, ())) for mine, at in places]


def _made_with(provenance: Provenance, options: Mapping[str, JSON]) -> bool:
    return all(provenance.params.get(name, value) == value for name, value in options.items())


class _CoverageLookup:
    """The coverage of a key as merged ranges by step, for many lookups."""

    def __init__(self, covered: Iterable[Covered]) -> None:
        by_step: dict[int, list[TimeRange]] = {}
        for part in covered:
            by_step.setdefault(part.step, []).append(part.span)
        self._ranges = {step: merge(spans) for step, spans in by_step.items()}

    def at(self, instant: int) -> bool:
        return any(_holds(ranges, instant) for step, ranges in self._ranges.items() if not step or instant % step == 0)


def _holds(ranges: Sequence[TimeRange], instant: int) -> bool:
    n = bisect_right(ranges, instant, key=lambda r: r.start)
    return n > 0 and instant < ranges[n - 1].end
