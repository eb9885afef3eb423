"""Which grains a request comes to, and what of them nobody has looked at yet.

Pure functions over spans and coverage. Knows nothing of the store, nor of running analyzers.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from analyzer_agent.protocols import Grain, Spec, Video
from analyzer_agent.records import Observation, Unexamined
from analyzer_agent.storage import Covered
from analyzer_agent.timeline import TimeRange, first_instant, instants, known_instants


@dataclass
class Plan:
    """What a request comes to: the grains `asked` for, what is still `todo` of them, and how much media time is there already."""

    asked: list[Grain] = field(default_factory=list)
    todo: list[Grain] = field(default_factory=list)
    share: dict[TimeRange, int] = field(default_factory=dict)
    """New media time of each grain, in ms: less than the grain where only some instants are new."""
    reused_ms: int = 0
    given_up: list[Unexamined] = field(default_factory=list)
    forced: bool = False

    def withhold(self, analyzer: str, video: str, why: str) -> None:
        """Leave what is to do undone, because the analyzer cannot look at this video."""
        self.given_up += [Unexamined(analyzer, grain.span, "unavailable", why, video) for grain in self.todo]
        self.todo.clear()

    @property
    def new_ms(self) -> int:
        return sum(self.share[grain.span] for grain in self.todo)


class CoverageIndex:
    """What was looked at, ready to be compared with grains.

    A grain is served by one key alone, so that a sampling is never pieced together from several engines.

    Args:
        covered: of all keys that may serve.
        own: the key under which new results are stored.
        root: the instant that stands for the first frame.
    """

    def __init__(self, covered: Iterable[Covered], own: str, root: int = 0) -> None:
        self._own, self._root = own, root
        self._parts: dict[str, list[Covered]] = {own: []}
        for part in sorted(covered):
            self._parts.setdefault(part.key, []).append(part)
        self._longest = max((part.span.length for parts in self._parts.values() for part in parts), default=0)

    def missing(self, grain: Grain) -> Grain | None:
        """Return the grain with the instants that are still to be looked at, or None if there are none."""
        near = {key: self._near(parts, grain.span) for key, parts in self._parts.items()}
        if not grain.step:
            done = any(not grain.span.minus(c.span for c in parts) for parts in near.values())
            return None if done else grain
        known = {key: known_instants(grain.instants, [(c.span, c.step) for c in parts], self._root) for key, parts in near.items()}
        if any(len(found) == len(grain.instants) for found in known.values()):
            return None
        return replace(grain, instants=tuple(t for t in grain.instants if t not in known[self._own]))

    def _near(self, parts: Sequence[Covered], span: TimeRange) -> Sequence[Covered]:
        first = bisect_left(parts, span.start - self._longest, key=lambda c: c.span.start)
        return parts[first : bisect_left(parts, span.end, key=lambda c: c.span.start)]


def grains_of(spec: Spec, video: Video, spans: Iterable[TimeRange], step: int = 0, size: int | None = None) -> list[Grain]:
    """Return the whole grains that `spans` touch, in order; for analyzers that sample, only those with an instant to look at.

    A grain is `size` ms long, by default what the spec says; as long as the step where `step` is longer.
    """
    size = max((spec.grain if size is None else size) or video.duration, step)
    pieces = sorted({piece for span in spans for piece in span.grains(size, video.duration)})
    if not spec.step:
        return [Grain(piece) for piece in pieces]
    if video.picture is None:
        return []
    sampled = [Grain(piece, step, tuple(instants(piece, step, video.picture))) for piece in pieces]
    return [grain for grain in sampled if grain.instants]


def root_of(video: Video) -> int:
    """Return the instant that stands for the first frame; 0 without a picture."""
    return first_instant(video.picture) if video.picture else 0


def new_share_ms(rest: Grain | None, grain: Grain) -> int:
    """Return how much of a grain's media time `rest` is, in ms."""
    if rest is None:
        return 0
    return grain.span.length * len(rest.instants) // len(grain.instants) if grain.instants else grain.span.length


def grain_work_ms(spec: Spec, grain: Grain) -> int:
    """Return how much media time a grain counts for where speed is measured, in ms.

    What sampling costs depends on the samples, so each counts for the default step: looking twice as closely takes twice as long.
    """
    return len(grain.instants) * spec.step if spec.step else grain.span.length


def cut_to_grain(found: Observation, size: int) -> Observation:
    """Return an observation that ends with the grain of `size` ms that it starts in.

    A sample that stands for longer than a grain is stored this short; a read that asks for its step shows it in full. So what is
    stored does not depend on whether a finer step was asked for before.
    """
    edge = (found.span.start // size + 1) * size
    return found if found.span.end <= edge else replace(found, span=TimeRange(found.span.start, edge))
