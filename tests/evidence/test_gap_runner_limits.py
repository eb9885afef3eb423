"""Gathering within limits: budgets, cancelling, abandoning, and what is told meanwhile."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import Event
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.protocols import Grain, Video
from analyzer_agent.records import Observation
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from gap_runner_kit import Desk, Slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store") / "s.db") as opened:
        yield opened


def test_the_budget_stops_between_grains_and_is_given_as_the_reason(store: Store) -> None:
    desk = Desk(store, analyzer=Slow())
    outcome = desk.ask(budget_ms=50)
    done = len(desk.covered())
    assert 1 <= done < 8 and outcome.analyzed_ms == done * 8_000 and outcome.wall_ms >= 50
    assert {u.reason for u in outcome.unexamined} == {"budget"}
    assert [u.span.start for u in outcome.unexamined] == list(range(done * 8_000, 61_000, 8_000))
    assert desk.claims() == []
    assert desk.ask().reused_ms == done * 8_000


def test_no_budget_at_all_looks_at_nothing_and_still_reuses(store: Store) -> None:
    desk = Desk(store)
    desk.ask((0, 8_000))
    outcome = desk.ask((0, 16_000), budget_ms=0)
    assert (outcome.reused_ms, outcome.analyzed_ms, [u.reason for u in outcome.unexamined]) == (8_000, 0, ["budget"])
    assert len(desk.analyzer.analyzed) == 1


def test_failing_spends_the_budget_too(store: Store) -> None:
    class SlowFailure(Slow):
        def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
            if grains[0].span.start % 16_000 == 0:
                time.sleep(0.06)
                raise ValueError("too hard")
            yield from super().analyze(video, grains)

    outcome = Desk(store, analyzer=SlowFailure(0)).ask(budget_ms=50)
    assert [u.reason for u in outcome.unexamined] == ["failed"] + ["budget"] * 7


def test_cancel_stops_after_the_running_grain(store: Store) -> None:
    desk, cancel = Desk(store, analyzer=Slow(0)), threading.Event()
    gap_runner = GapRunner(store, desk.video, desk.job)
    with pytest.raises(Cancelled):
        gap_runner.run(gap_runner.plan([TimeRange(0, 61_000)]), "call", lambda event: cancel.set(), cancel=cancel)
    assert [c.span.start for c in desk.covered()] == [0] and desk.claims() == []


def test_cancelled_beforehand_does_nothing(store: Store) -> None:
    desk, cancel = Desk(store), threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        desk.ask(cancel=cancel)
    assert desk.analyzer.analyzed == []


def test_an_abandoned_call_gives_its_claims_back(store: Store) -> None:
    desk = Desk(store)
    gap_runner = GapRunner(store, desk.video, desk.job)
    claims = []

    def end_after_the_first_grain(event: Event) -> None:
        claims.extend(desk.claims())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gap_runner.run(gap_runner.plan([TimeRange(0, 61_000)]), "call", end_after_the_first_grain)
    assert len(claims) == 7
    assert desk.claims() == [] and len(desk.covered()) == 1


def test_progress_adds_up(store: Store) -> None:
    desk = Desk(store)
    desk.ask((0, 8_000))
    desk.events.clear()
    desk.ask()
    assert [e.done_ms for e in desk.events] == [*range(8_000, 53_000, 8_000), 53_000]
    assert {e.total_ms for e in desk.events} == {53_000} and [e.found for e in desk.events] == [1, 1, 2, 1, 1, 0, 0]


def test_speeds_are_measured(store: Store) -> None:
    desk = Desk(store, analyzer=Slow(0.02, engine="tortoise"))
    desk.ask((0, 16_000))
    speed = store.history.speed("fake", "tortoise", "cpu")
    assert speed is not None and 50 < speed <= 400
