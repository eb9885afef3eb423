"""Gathering when analyzers fail: what is recorded, what is tried again, what stops the question, and which errors are bugs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, Cancelled, MediaError, StoreError, Unavailable
from analyzer_agent.protocols import Grain, Video
from analyzer_agent.records import Observation
from analyzer_agent.storage import Ledger, Store
from analyzer_agent.testing import FakeAnalyzer
from analyzer_agent.timeline import TimeRange
from gap_runner_kit import EVENTS, Desk, brute_force, numbers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store") / "s.db") as opened:
        yield opened


class Troubled(FakeAnalyzer):
    """Raises `error` on the grains that begin at `bad`."""

    def __init__(self, *bad: int, error: Exception | None = None, **more: Any) -> None:
        super().__init__(EVENTS, params={"troubled": next(numbers)}, **more)
        self.bad, self.error = set(bad), error or ValueError("no idea")

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        for grain in grains:
            if grain.span.start in self.bad:
                self.analyzed.append(grain)
                raise self.error
            yield from super().analyze(video, [grain])


def test_a_failed_grain_is_recorded_and_leaves_the_others_alone(store: Store) -> None:
    desk = Desk(store, analyzer=Troubled(16_000))
    outcome = desk.ask()
    assert [(u.span, u.reason, u.detail) for u in outcome.unexamined] == [(TimeRange(16_000, 24_000), "failed", "ValueError: no idea")]
    assert TimeRange(16_000, 24_000) not in [c.span for c in desk.covered()] and len(desk.covered()) == 7
    assert outcome.analyzed_ms == 61_000 - 8_000
    assert desk.claims() == []


def test_a_broken_file_is_a_failure_with_its_own_words(store: Store) -> None:
    desk = Desk(store, analyzer=Troubled(0, error=MediaError("'x.mp4' is damaged at 0:03.")))
    assert desk.ask().unexamined[0].detail == "'x.mp4' is damaged at 0:03."


def test_a_failed_grain_is_tried_three_times_unless_forced(store: Store) -> None:
    troubled = Troubled(16_000)
    desk = Desk(store, analyzer=troubled)
    for attempt in (1, 2, 3):
        desk.ask()
        assert desk.failures()[0].attempts == attempt
    tries = len(desk.analyzer.analyzed)
    outcome = desk.ask()
    assert len(desk.analyzer.analyzed) == tries
    assert outcome.unexamined[0].reason == "failed" and outcome.unexamined[0].detail == "ValueError: no idea"
    troubled.bad.clear()
    assert desk.ask().unexamined != []
    assert desk.ask((16_000, 24_000), force=True).unexamined == []
    assert desk.failures() == [] and desk.ask().reused_ms == 61_000


def test_a_later_question_heals_a_failure(store: Store) -> None:
    troubled = Troubled(16_000)
    desk = Desk(store, analyzer=troubled)
    desk.ask()
    troubled.bad.clear()
    outcome = desk.ask()
    assert (outcome.reused_ms, outcome.analyzed_ms, outcome.unexamined, desk.failures()) == (53_000, 8_000, [], [])
    assert desk.stored() == brute_force(desk.video, [([(0, 61_000)], 0, False)])


def test_attempts_at_other_steps_count_too(store: Store) -> None:
    desk = Desk(store, step=1_000, analyzer=Troubled(16_000))
    for step in (1_000, 2_000, 4_000):
        desk.ask((16_000, 24_000), step=step)
    tries = len(desk.analyzer.analyzed)
    assert desk.ask((16_000, 24_000), step=500).unexamined[0].reason == "failed"
    assert len(desk.analyzer.analyzed) == tries == 3


def test_two_failures_in_a_row_end_the_call_and_the_rest_is_unseen(store: Store) -> None:
    desk = Desk(store, analyzer=Troubled(8_000, 16_000))
    outcome = desk.ask()
    assert [(u.reason, u.span.start) for u in outcome.unexamined[:3]] == [("failed", 8_000), ("failed", 16_000), ("unseen", 24_000)]
    assert [c.span.start for c in desk.covered()] == [0]
    assert desk.claims() == []


def test_failures_apart_do_not_end_the_call(store: Store) -> None:
    desk = Desk(store, analyzer=Troubled(8_000, 24_000, 40_000))
    outcome = desk.ask()
    assert [u.span.start for u in outcome.unexamined] == [8_000, 24_000, 40_000]
    assert len(desk.covered()) == 5


def test_a_failure_does_not_unmake_an_earlier_success(store: Store) -> None:
    troubled = Troubled()
    desk = Desk(store, analyzer=troubled)
    desk.ask()
    before = desk.stored()
    troubled.bad.add(16_000)
    assert desk.ask((16_000, 24_000), force=True).unexamined[0].reason == "failed"
    assert desk.stored() == before and desk.ask().reused_ms == 61_000


@pytest.mark.parametrize("stop", [Unavailable("no weights"), AgentError("no key"), Cancelled(), KeyboardInterrupt()])
def test_what_stops_the_question_keeps_earlier_grains_and_gives_claims_back(store: Store, stop: Any) -> None:
    desk = Desk(store, analyzer=Troubled(16_000, error=stop))
    with pytest.raises(type(stop)):
        desk.ask()
    assert [c.span.start for c in desk.covered()] == [0, 8_000]
    assert desk.claims() == [] and desk.failures() == []


def test_the_store_failing_is_not_the_analyzers_failure(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(store)

    def full(*_: object) -> None:
        raise StoreError("The store: the disk is full.", hint="Free some space.")

    monkeypatch.setattr(Ledger, "commit", full)
    with pytest.raises(StoreError, match="disk is full"):
        desk.ask()
    assert desk.failures() == [] and desk.claims() == []


# --- bugs of analyzers are loud ---------------------------------------------------------------------------------------

Broken = Callable[[list[Grain]], Sequence[tuple[Grain, Sequence[Observation]]]]
"""What an analyzer makes of the grains that it is given."""


def broken(how: Broken) -> FakeAnalyzer:
    class Unruly(FakeAnalyzer):
        def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
            return iter(how(list(grains)))

    return Unruly([], params={"broken": next(numbers)})


def at(start: int, end: int) -> Observation:
    return Observation(TimeRange(start, end), "text", "x")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda grains: [(g, [at(g.span.start, g.span.end + 1)]) for g in grains], "lies outside of"),
        (lambda grains: [(g, [at(g.span.start - 1, g.span.end)]) for g in grains[1:]], "0:00-0:08 was left out before 0:08-0:16"),
        (lambda grains: [(g, []) for g in reversed(grains)], "0:00-0:08 was left out before 0:56-1:01"),
        (lambda grains: [(g, []) for g in grains[:3]], "0:24-0:32 was left out"),
        (lambda grains: [(g, []) for g in [*grains, grains[0]]], "when nothing was due"),
    ],
)
def test_an_analyzer_that_breaks_its_contract_is_an_error_not_a_failure(store: Store, how: Broken, words: str) -> None:
    desk = Desk(store, analyzer=broken(how))
    with pytest.raises(RuntimeError, match=words):
        desk.ask()
    assert desk.failures() == [] and desk.claims() == []


def test_a_sample_must_start_at_an_instant_that_was_asked_for(store: Store) -> None:
    desk = Desk(store, step=1_000, analyzer=broken(lambda grains: [(g, [at(g.span.start + 3, g.span.start + 4)]) for g in grains]))
    with pytest.raises(RuntimeError, match="must start at an instant"):
        desk.ask()
