"""Look only where nobody has looked: coverage, then the gaps, then the analyzer, then the record.

Knows nothing of models or tools. What was found is read back with `reading`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from analyzer_agent.errors import AgentError, Cancelled, MediaError, ToolRefusal
from analyzer_agent.events import Progress, Waiting
from analyzer_agent.evidence.recipe import Job, accepted
from analyzer_agent.protocols import Grain, Video
from analyzer_agent.records import Observation, Reason, Unexamined
from analyzer_agent.storage import LEASE_S, ClaimLost, Covered, Store
from analyzer_agent.timeline import TimeRange, first_instant, instants, known_instants

MAX_ATTEMPTS = 3
"""How often a grain that fails is tried, one question at a time, before it is left alone."""

_GIVE_UP_AFTER = 2
"""Grains that fail in a row before the rest of a call is left for later."""

_POLL_S = 0.05

log = logging.getLogger(__name__)


@dataclass
class Plan:
    """What a request comes to: grains still to be analyzed, and how much media time is there already."""

    todo: list[Grain] = field(default_factory=list)
    asked: list[Grain] = field(default_factory=list)
    share: dict[TimeRange, int] = field(default_factory=dict)
    """New media time of each grain, in ms: less than the grain where only some instants are new."""
    reused_ms: int = 0
    given_up: list[Unexamined] = field(default_factory=list)

    @property
    def new_ms(self) -> int:
        return sum(self.share[grain.span] for grain in self.todo)


@dataclass
class Outcome:
    """What a request came to. `keys` are the recipes whose notes answer it."""

    keys: list[str]
    reused_ms: int = 0
    analyzed_ms: int = 0
    wall_ms: int = 0
    unexamined: list[Unexamined] = field(default_factory=list)


class Gatherer:
    """Fills the gaps that a request leaves in one analyzer's coverage of one video."""

    def __init__(self, store: Store, video: Video, job: Job) -> None:
        self.store, self.video, self.job = store, video, job
        self.key = job.recipe.key
        self.forced = False
        store.notes.add_key(job.recipe)
        self.keys = accepted(job.recipe, store.notes.recipes(video=video.id, analyzer=job.spec.name), job.pinned)

    def plan(self, spans: Sequence[TimeRange], step: int = 0, *, force: bool = False) -> Plan:
        """Tell what `spans`, grown to whole grains, would take. With `force`, everything is new."""
        plan = Plan(asked=self._grains(spans, step))
        if not plan.asked:
            return plan
        self.forced = force
        whole = TimeRange(plan.asked[0].span.start, plan.asked[-1].span.end)
        covered = [] if force else self.store.ledger.covered(self.video.id, self.keys, whole)
        failed = {} if force else {f.span: f for f in self.store.ledger.failures(self.video.id, [self.key], whole)}
        for grain in plan.asked:
            rest = self._missing(grain, covered)
            plan.share[grain.span] = self._share(rest, grain)
            plan.reused_ms += grain.span.length - plan.share[grain.span]
            failure = failed.get(grain.span)
            if rest and failure and failure.attempts >= MAX_ATTEMPTS:
                plan.given_up.append(self._unexamined(grain.span, "failed", failure.error))
            elif rest:
                plan.todo.append(rest)
        return plan

    def run(
        self, plan: Plan, call_id: str, *, budget_ms: int | None = None, cancel: threading.Event | None = None
    ) -> Generator[Progress | Waiting, None, Outcome]:
        """Analyze what the plan leaves to do; yields progress and returns the outcome.

        Raises:
            AgentError: the analyzer cannot run at all. What was finished before is kept.
            Cancelled: `cancel` was set; what was finished is kept.
        """
        outcome = Outcome(self.keys, plan.reused_ms, unexamined=list(plan.given_up))
        pending = list(plan.todo)
        while pending:
            claimed = set(self.store.ledger.claim(self.video.id, self.key, [g.span for g in pending]))
            with self._held(claimed):
                # Between planning and claiming another process may have finished a grain; now nobody else can.
                pending = self._still_missing(pending, outcome)
                mine = [g for g in pending if g.span in claimed]
                if mine:
                    lost = yield from self._analyze(mine, _Pass(plan, outcome, call_id, budget_ms, cancel))
                    pending = [g for g in pending if g.span not in claimed or g in lost]
                    if budget_ms is not None and outcome.wall_ms >= budget_ms:
                        outcome.unexamined += [self._unexamined(g.span, "budget") for g in pending]
                        break
            if pending and not mine:
                yield Waiting(call_id, self.job.spec.tool, pending[0].span)
                self._wait(cancel)
        return outcome

    def _analyze(self, grains: Sequence[Grain], this: "_Pass") -> Generator[Progress, None, list[Grain]]:
        """Analyze claimed grains, committing each as it comes; returns those that were taken over by another process."""
        queue, lost, streak = deque(grains), list[Grain](), 0
        while queue and not this.exhausted():
            before = len(queue)
            try:
                yield from self._stream(queue, lost, this)
            except (AgentError, ToolRefusal, Cancelled) as stop:
                if not isinstance(stop, MediaError):
                    raise
                self._record_failure(queue.popleft(), stop, this.outcome)
            except Exception as error:
                log.warning("%s failed on %s", self.job.spec.name, queue[0].span, exc_info=True)
                self._record_failure(queue.popleft(), error, this.outcome)
            else:
                continue
            streak = streak + 1 if len(queue) == before - 1 else 1
            if streak >= _GIVE_UP_AFTER:
                break
        reason: Reason = "budget" if this.exhausted() else "unseen"
        this.outcome.unexamined += [self._unexamined(g.span, reason) for g in queue]
        return lost

    def _stream(self, queue: deque[Grain], lost: list[Grain], this: "_Pass") -> Iterator[Progress]:
        """Run the analyzer over `queue`, taking each grain off it once it is stored."""
        started = time.monotonic()
        with closing(_generator(self.job.analyzer.analyze(self.video, tuple(queue)))) as results:
            for grain, found in results:
                self._check(grain, queue[0], found)
                wall_ms = round((time.monotonic() - started) * 1000)
                try:
                    place = (self.video.id, self.key, grain.span, grain.step, grain.instants)
                    self.store.ledger.commit(*place, found, wall_ms)
                except ClaimLost:
                    lost.append(grain)
                queue.popleft()
                yield self._progress(grain, len(found), wall_ms, this)
                if this.cancel is not None and this.cancel.is_set():
                    raise Cancelled
                if this.exhausted():
                    return
                started = time.monotonic()
        if queue:
            raise RuntimeError(f"the analyzer {self.job.spec.name!r} left out {queue[0].span}")

    def _progress(self, grain: Grain, found: int, wall_ms: int, this: "_Pass") -> Progress:
        media_ms = this.share[grain.span]
        this.outcome.analyzed_ms += media_ms
        this.outcome.wall_ms += wall_ms
        recipe = self.job.recipe
        self.store.history.add_speed(recipe.analyzer, recipe.engine, self.job.device, media_ms, wall_ms)
        return Progress(this.call_id, self.job.spec.tool, grain.span, this.outcome.analyzed_ms, this.plan.new_ms, found)

    def _check(self, grain: Grain, expected: Grain, found: Sequence[Observation]) -> None:
        if grain != expected:
            raise RuntimeError(f"the analyzer {self.job.spec.name!r} yielded {grain.span} when {expected.span} was due")
        for o in found:
            if o.span.start < grain.span.start or o.span.end > grain.span.end:
                raise RuntimeError(f"the analyzer {self.job.spec.name!r} found {o.text!r} at {o.span}, outside of its grain {grain.span}")

    def _record_failure(self, grain: Grain, error: Exception, outcome: Outcome) -> None:
        told = str(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {error}"
        with suppress(ClaimLost):
            self.store.ledger.fail(self.video.id, self.key, grain.span, grain.step, told)
        outcome.unexamined.append(self._unexamined(grain.span, "failed", told))

    @contextmanager
    def _held(self, claimed: set[TimeRange]) -> Iterator[None]:
        """Keep the claims alive while the block runs, and give back what it leaves of them."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 3):
                self.store.ledger.renew()

        keeper = threading.Thread(target=renew, name="claims", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()
            self.store.ledger.release(self.video.id, self.key, claimed)

    def _wait(self, cancel: threading.Event | None) -> None:
        if cancel is None:
            time.sleep(_POLL_S)
        elif cancel.wait(_POLL_S):
            raise Cancelled

    # --- which grains ---------------------------------------------------------------------------------------------

    def _grains(self, spans: Sequence[TimeRange], step: int) -> list[Grain]:
        size = max(self.job.spec.grain or self.video.duration, step)
        pieces = sorted({piece for span in spans for piece in span.grains(size, self.video.duration)})
        if not self.job.spec.step:
            return [Grain(piece) for piece in pieces]
        picture = self.video.picture
        if picture is None:
            return []
        sampled = [Grain(piece, step, tuple(instants(piece, step, picture))) for piece in pieces]
        return [grain for grain in sampled if grain.instants]

    def _missing(self, grain: Grain, covered: Sequence[Covered]) -> Grain | None:
        if not grain.step:
            done = any(c.span.start <= grain.span.start and grain.span.end <= c.span.end for c in covered)
            return None if done else grain
        assert self.video.picture is not None
        root = first_instant(self.video.picture)
        known = known_instants(grain.instants, [(c.span, c.step) for c in covered if c.span.overlaps(grain.span)], root)
        rest = tuple(t for t in grain.instants if t not in known)
        return Grain(grain.span, grain.step, rest) if rest else None

    def _share(self, rest: Grain | None, grain: Grain) -> int:
        if rest is None:
            return 0
        return grain.span.length * len(rest.instants) // len(grain.instants) if grain.instants else grain.span.length

    def _still_missing(self, pending: Sequence[Grain], outcome: Outcome) -> list[Grain]:
        """Drop what another process has finished meanwhile; it counts as reused."""
        whole = TimeRange(min(g.span.start for g in pending), max(g.span.end for g in pending))
        covered = [] if self.forced else self.store.ledger.covered(self.video.id, self.keys, whole)
        left = []
        for grain in pending:
            rest = self._missing(grain, covered)
            if rest is None:
                outcome.reused_ms += grain.span.length
            else:
                left.append(rest)
        return left

    def _unexamined(self, span: TimeRange, reason: Reason, detail: str = "") -> Unexamined:
        return Unexamined(self.job.spec.name, span, reason, detail, self.video.id)


@dataclass(frozen=True)
class _Pass:
    """One run over a plan: its limits and where its figures go."""

    plan: Plan
    outcome: Outcome
    call_id: str
    budget_ms: int | None
    cancel: threading.Event | None

    @property
    def share(self) -> Mapping[TimeRange, int]:
        return self.plan.share

    def exhausted(self) -> bool:
        return self.budget_ms is not None and self.outcome.wall_ms >= self.budget_ms


def _generator(results: Iterator[tuple[Grain, Sequence[Observation]]]) -> Generator[tuple[Grain, Sequence[Observation]], None, None]:
    yield from results
