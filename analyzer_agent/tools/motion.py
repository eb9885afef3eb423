"""Motion: when something moves, how much of the picture, and where.

Compares small pictures, eight per second, with their neighbours in time and with the background,
the median of the seconds around them. All decisions depend on a fixed reach, so the notes of a
grain do not depend on the requested range. A moving camera counts as motion everywhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from analyzer_agent.prefetch import prefetch
from analyzer_agent.protocols import Analyzer, Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import FINEST_STEP, TimeRange, instants, merge, sample_end
from analyzer_agent.tools.engines.opencv import FoundRegion, OpenCV, SmallPicture
from analyzer_agent.tools.support.sampling import adjoining_runs

COMPARISON_LAG_MS = 2 * FINEST_STEP
"""Time between compared pictures, in ms; longer only if the frame interval is longer."""
STILL_PICTURE_MS = 2000
"""A frame shown for longer than this, in ms, is a still picture; the change after it is a cut."""
BACKGROUND_WINDOW_MS = 8000
"""The background is the median of this many ms before and after the current second."""
MAX_FLICKER_MS, MIN_MOTION_MS, MAX_BRIDGED_GAP_MS = 2 * FINEST_STEP, 300, 1000
"""In ms, applied in this order: gaps up to the first are ignored, motion shorter than the second
is dropped, and gaps shorter than the third are bridged."""
_SECOND_MS = 1000
_REACH_MS = BACKGROUND_WINDOW_MS + _SECOND_MS
_MARGIN_MS = 2000
"""Motion further than this from a grain, in ms, cannot change the grain's notes."""
CONTEXT_MS = _REACH_MS + _MARGIN_MS
_PREFETCHED_FRAMES = 4
_FULL_STRENGTH_SHARE = 0.25
"""Share of the picture (0 to 1) that counts as full strength."""
_EVERYWHERE_SHARE = 0.5


class Motion(Analyzer):
    """Find when and where something moves; adjacent grains share one decoding pass."""

    version = "1"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.name
        self.params: Mapping[str, JSON] = {}
        self._engine = engine

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the times of motion in it.

        The score is the strength, 0 to 1. The detail holds, as shares of the picture: `area`, the
        mean moving share; `peak`, its maximum; and `box`, `[x, y, w, h]` around all motion; and
        `continues` if the motion began before the grain.
        """
        for run in adjoining_runs(grains):
            yield from self._run(video, run)

    def _run(self, video: Video, run: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Decode once over the run and its context; yield each grain as soon as it is decided."""
        picture = video.picture
        whole = picture and TimeRange(run[0].span.start, run[-1].span.end).within(picture)
        if picture is None or whole is None:
            yield from ((grain, ()) for grain in run)
            return
        wanted = instants(TimeRange(max(0, whole.start - CONTEXT_MS), whole.end + CONTEXT_MS), FINEST_STEP, picture)
        frames = video.frames(TimeRange(wanted[0], wanted[-1] + 1), instants=wanted, order="bgr")
        moments: list[_Moment] = []
        waiting = list(run)
        with closing(prefetch(frames, _PREFETCHED_FRAMES)) as coming:
            for moment in _MotionDetector(self._engine.get(), picture).moments(coming):
                moments.append(moment)
                while waiting and moment.span.end >= waiting[0].span.end + _MARGIN_MS:
                    yield waiting[0], _pieces(waiting[0].span, moments)
                    moments = [kept for kept in moments if kept.span.end > waiting[0].span.end - _MARGIN_MS]
                    waiting.pop(0)
        yield from ((grain, _pieces(grain.span, moments)) for grain in waiting)


@dataclass(frozen=True, slots=True)
class _Moment:
    """The motion at one instant of the grid, if any."""

    span: TimeRange
    region: FoundRegion | None


@dataclass(frozen=True, slots=True)
class _Sample:
    """A small picture with its sampling time `t` and its frame's time `pts`, in ms."""

    t: int
    pts: int
    image: SmallPicture


@dataclass(slots=True)
class _MotionDetector:
    """Turn frames into moments; holds only the frames within `_REACH_MS`."""

    engine: OpenCV
    picture: TimeRange
    samples: list[_Sample] = field(default_factory=list)
    background: tuple[int, SmallPicture | None] = (-1, None)

    def moments(self, frames: Iterator[Frame]) -> Iterator[_Moment]:
        at = 0
        for frame in frames:
            last = self.samples[-1] if self.samples else None
            image = last.image if last and last.pts == frame.pts else self.engine.small(frame.image)
            self.samples.append(_Sample(frame.t, frame.pts, image))
            while self.samples[at].t + _REACH_MS <= frame.t:
                yield self._moment(at)
                at += 1
            passed = sum(sample.t < self.samples[at].t - _REACH_MS for sample in self.samples[:at])
            del self.samples[:passed]
            at -= passed
        yield from (self._moment(i) for i in range(at, len(self.samples)))

    def _moment(self, at: int) -> _Moment:
        now = self.samples[at]
        span = TimeRange(max(now.t, self.picture.start), sample_end(now.t, FINEST_STEP, self.picture.end))
        before = self._other(reversed(self.samples[:at]), now, now.pts == self.picture.start)
        after = self._other(iter(self.samples[at + 1 :]), now, self.picture.end - now.t <= STILL_PICTURE_MS)
        if before is None or after is None:
            return _Moment(span, None)
        others = [sample.image for sample in (*before, *after)]
        mask = self.engine.stirred(now.image, others) if others else None
        return _Moment(span, None if mask is None else self.engine.moving(mask, now.image, self._background(now.t)))

    def _other(self, others: Iterator[_Sample], now: _Sample, at_end: bool) -> list[_Sample] | None:
        """Return the frame to compare with on one side.

        Empty at the end of the picture; None if the frame there is a still picture.
        """
        found: list[_Sample] = []
        for sample in others:
            distance = abs(sample.t - now.t)
            if distance > (STILL_PICTURE_MS if not found else COMPARISON_LAG_MS):
                break
            if sample.pts != now.pts:
                found = [sample]
                if distance >= COMPARISON_LAG_MS:
                    break
        return found if found or at_end else None

    def _background(self, t: int) -> SmallPicture:
        """Return the background of the second that contains `t` (ms)."""
        second = t // _SECOND_MS * _SECOND_MS
        known, background = self.background
        if background is None or known != second:
            near = TimeRange(max(0, second - BACKGROUND_WINDOW_MS), second + BACKGROUND_WINDOW_MS + 1)
            grid = [s.image for s in self.samples if near.start <= s.t < near.end and (s.t % _SECOND_MS == 0 or s.t <= self.picture.start)]
            background = self.engine.background(grid)
            self.background = second, background
        return background


def _pieces(grain: TimeRange, moments: Sequence[_Moment]) -> list[Observation]:
    """Return the times of motion in a grain, from the moments in it and `_MARGIN_MS` around it."""
    near = TimeRange(max(0, grain.start - _MARGIN_MS), grain.end + _MARGIN_MS)
    close = [moment for moment in moments if moment.region and moment.span.overlaps(near)]
    lasting = [span for span in merge((moment.span for moment in close), MAX_FLICKER_MS) if span.length >= MIN_MOTION_MS]
    found = []
    for motion in merge(lasting, MAX_BRIDGED_GAP_MS - 1):
        span = motion.within(grain)
        regions = [moment.region for moment in close if span and moment.region and moment.span.overlaps(span)]
        if span and regions:
            found.append(_observation(span, regions, motion.start < grain.start))
    return found


def _observation(span: TimeRange, regions: Sequence[FoundRegion], continues: bool) -> Observation:
    shares = [region.share for region in regions]
    area, peak = sum(shares) / len(shares), max(shares)
    percent = f"{round(peak * 100)}%" if peak >= 0.01 else "under 1%"
    detail: dict[str, JSON] = {"area": round(area, 4), "peak": round(peak, 4), "box": _box(regions)}
    if continues:
        detail["continues"] = True
    text = f"motion {_where(regions, area)}, {percent} of the picture"
    return Observation(span, "motion", text, score=round(min(1.0, peak / _FULL_STRENGTH_SHARE), 3), detail=detail)


def _box(regions: Sequence[FoundRegion]) -> list[float]:
    """Return the box `[x, y, w, h]` around all regions."""
    left, top = min(r.box[0] for r in regions), min(r.box[1] for r in regions)
    right, bottom = max(r.box[0] + r.box[2] for r in regions), max(r.box[1] + r.box[3] for r in regions)
    return [round(value, 3) for value in (left, top, right - left, bottom - top)]


def _where(regions: Sequence[FoundRegion], area: float) -> str:
    """Describe where most of the motion is: one of nine places, or everywhere."""
    if area >= _EVERYWHERE_SHARE:
        return "everywhere"
    weight = sum(region.share for region in regions)
    middle: Callable[[int], float] = lambda axis: sum(r.share * r.centre[axis] for r in regions) / weight  # noqa: E731
    column = ("left", "", "right")[min(2, int(middle(0) * 3))]
    row = ("top", "", "bottom")[min(2, int(middle(1) * 3))]
    return "at " + (f"{row} {column}".strip() or "centre")


SPEC = Spec(
    name="motion",
    tool="find_motion",
    description="Find when and where something moves, not what. Cheap; for cameras that stand still.",
    grain=60_000,
    factory=lambda _options, engine: Motion(engine),
    needs_engine=True,
    kinds=("motion",),
    filters_schema={"min_score": {"type": "number", "minimum": 0, "maximum": 1, "description": "leave out weaker"}},
    context=CONTEXT_MS,
    needs="picture",
)
