"""Plan a request: its grains, and which of them are not covered yet.

Pure functions over spans and coverage; `gap_runner` reads the store and runs analyzers.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from analyzer_agent.protocols import Grain, Spec, Video
from analyzer_agent.records import Note, Observation, Unexamined
from analyzer_agent.storage import Covered
from analyzer_agent.timeline import TimeRange, first_instant, instants, known_instants, sample_end

REQUEST_WORK_MS = 5_000
"""Media time in ms for which a request of an exact analyzer counts, whatever range it covers."""


@dataclass
class Plan:
    """The plan of a request: the grains `asked` for and the part of them `todo`."""

    asked: list[Grain] = field(default_factory=list)
    todo: list[Grain] = field(default_factory=list)
    share: dict[TimeRange, int] = field(default_factory=dict)
    """New media time of each grain in ms: less than the grain's if only some instants are new."""
    reused_ms: int = 0
    given_up: list[Unexamined] = field(default_factory=list)
    forced: bool = False

    def withhold(self, analyzer: str, video: str, why: str) -> None:
        """Mark all pending grains as unavailable, because the analyzer cannot read this video."""
        self.given_up += [Unexamined(analyzer, grain.span, "unavailable", why, video) for grain in self.todo]
        self.todo.clear()

    @property
    def new_ms(self) -> int:
        return sum(self.share[grain.span] for grain in self.todo)


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """The instants of a request: multiples of `step` and the first frame's `root`, to `end`; ms."""

    step: int
    root: int
    end: int

    def holds(self, instant: int) -> bool:
        """Return whether `instant` is on the grid."""
        return instant % self.step == 0 or instant == self.root

    def falls_in(self, span: TimeRange) -> bool:
        """Return whether `span` contains an instant of the grid."""
        return -(-span.start // self.step) * self.step < span.end or span.start <= self.root < span.end

    def widen(self, note: Note) -> Note:
        """Return the note with the span of its sample on this grid, regardless of finer samples."""
        span = TimeRange(note.span.start, sample_end(note.span.start, self.step, self.end))
        return replace(note, observation=replace(note.observation, span=span))


class CoverageIndex:
    """Coverage, indexed for comparison with grains.

    A grain is served by a single key, so that samples of several engines are never mixed.

    Args:
        covered: the coverage of all keys that may serve.
        own: the key under which new results are stored.
        root: the instant of the first frame, in ms.
    """

    def __init__(self, covered: Iterable[Covered], own: str, root: int = 0) -> None:
        self._own, self._root = own, root
        self._parts: dict[str, list[Covered]] = {own: []}
        for part in sorted(covered):
            self._parts.setdefault(part.key, []).append(part)
        self._longest = max((part.span.length for parts in self._parts.values() for part in parts), default=0)

    def missing(self, grain: Grain) -> Grain | None:
        """Return the grain with its missing instants only, or None if it is covered."""
        near = {key: self._near(parts, grain.span) for key, parts in self._parts.items()}
        if not grain.step:
            done = any(not any(span.minus(c.span for c in parts) for span in grain.examined) for parts in near.values())
            return None if done else grain
        known = {key: known_instants(grain.instants, [(c.span, c.step) for c in parts], self._root) for key, parts in near.items()}
        if any(len(found) == len(grain.instants) for found in known.values()):
            return None
        return replace(grain, instants=tuple(t for t in grain.instants if t not in known[self._own]))

    def _near(self, parts: Sequence[Covered], span: TimeRange) -> Sequence[Covered]:
        first = bisect_left(parts, span.start - self._longest, key=lambda c: c.span.start)
        return parts[first : bisect_left(parts, span.end, key=lambda c: c.span.start)]


def grains_of(spec: Spec, video: Video, spans: Iterable[TimeRange], step: int = 0, size: int | None = None) -> list[Grain]:
    """Return the whole grains that `spans` touch, in order.

    For sampling analyzers, grains without an instant are left out.

    Args:
        spec: the analyzer's spec.
        video: the video.
        spans: the requested ranges.
        step: the sampling step in ms; 0 if not sampled. A longer step lengthens the grains.
        size: the grain in ms, 0 for the whole video; None for the spec's.
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
    """Return the instant (ms) of the first frame; 0 without a picture."""
    return first_instant(video.picture) if video.picture else 0


def new_share_ms(rest: Grain | None, grain: Grain) -> int:
    """Return the media time (ms) of `rest`, the missing part of `grain`."""
    if rest is None:
        return 0
    return grain.media_ms * len(rest.instants) // len(grain.instants) if grain.instants else grain.media_ms


def grain_work_ms(spec: Spec, grain: Grain, effort: float = 1.0) -> int:
    """Return the media time (ms) that a grain counts for in speed measurements.

    The cost of sampling depends on the number of samples, so each counts as one default step, and
    each request to a model as `REQUEST_WORK_MS`. `effort` is `Analyzer.effort` for the video.
    """
    if spec.exact:
        return REQUEST_WORK_MS
    work = len(grain.instants) * spec.step if spec.step else grain.span.length
    return round(work * effort)


def cut_to_grain(found: Observation, size: int) -> Observation:
    """Return an observation cut at the end of the grain of `size` ms in which it starts.

    Samples with a step longer than the grain are stored this short, so that stored notes do not
    depend on earlier requests with a finer step; reads with that step widen them again.
    """
    edge = (found.span.start // size + 1) * size
    return found if found.span.end <= edge else replace(found, span=TimeRange(found.span.start, edge))
