"""Gathering by several at once: claims are waited for, taken over, renewed and given back; nothing is doubled."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import Event, Progress, Waiting, discard
from analyzer_agent.evidence import gap_runner
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.provenance import BoundAnalyzer
from analyzer_agent.protocols import Grain, Video
from analyzer_agent.records import Observation
from analyzer_agent.storage import Ledger, Store
from analyzer_agent.testing import FakeAnalyzer, fake_spec
from analyzer_agent.timeline import TimeRange
from gap_runner_kit import EVENTS, GRAIN, Desk, Slow, brute_force
from patience import PATIENCE_S, wait_for


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store") / "s.db") as opened:
        yield opened


def rival(desk: Desk, span: TimeRange, *, pid: int | None = None, host: str | None = None, expires: float = 60.0) -> Ledger:
    """Claim a span as another process would."""
    other = Ledger(desk.store.connections)
    other.claim(desk.video.id, desk.key, [span])
    with desk.store.connections.write() as db:
        db.execute("UPDATE claims SET expires = ? WHERE owner = ?", [time.time() + expires, other.owner])
        if pid is not None:
            db.execute("UPDATE claims SET pid = ? WHERE owner = ?", [pid, other.owner])
        if host is not None:
            db.execute("UPDATE claims SET host = ? WHERE owner = ?", [host, other.owner])
    return other


def once_waiting(desk: Desk, then: Callable[[], object]) -> None:
    """Do something elsewhere once the desk waits for another's claim."""

    def work() -> None:
        wait_for(lambda: any(isinstance(event, Waiting) for event in desk.events))
        then()

    threading.Thread(target=work, daemon=True).start()


def dead_pid() -> int:
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_dead_process_is_taken_over_at_once(store: Store) -> None:
    desk = Desk(store)
    rival(desk, TimeRange(8_000, 16_000), pid=dead_pid())
    assert desk.ask().analyzed_ms == 61_000
    assert not any(isinstance(e, Waiting) for e in desk.events)


def test_a_claim_that_ran_out_is_taken_over(store: Store) -> None:
    desk = Desk(store)
    rival(desk, TimeRange(8_000, 16_000), host="elsewhere", expires=-1)
    assert desk.ask().analyzed_ms == 61_000


def test_a_dead_pid_on_another_host_says_nothing(store: Store) -> None:
    desk, cancel = Desk(store), threading.Event()
    rival(desk, TimeRange(8_000, 16_000), host="elsewhere", pid=dead_pid())
    once_waiting(desk, cancel.set)
    with pytest.raises(Cancelled):
        desk.ask(cancel=cancel)
    assert len(desk.covered()) == 7
    assert [e.span for e in desk.events if isinstance(e, Waiting)] == [TimeRange(8_000, 16_000)]


def test_a_live_claim_is_waited_for_and_its_result_used(store: Store) -> None:
    desk = Desk(store)
    other = rival(desk, TimeRange(8_000, 16_000), host="elsewhere")
    found = [Observation(TimeRange(9_000, 10_000), "text", "theirs")]
    once_waiting(desk, lambda: other.commit(desk.video.id, desk.key, TimeRange(8_000, 16_000), 0, (), found, 5))
    outcome = desk.ask()
    assert (outcome.reused_ms, outcome.analyzed_ms) == (8_000, 53_000)
    assert any(isinstance(e, Waiting) for e in desk.events)
    assert TimeRange(8_000, 16_000) not in [g.span for g in desk.analyzer.analyzed]
    assert "theirs" in [row[3] for row in desk.stored()]


def test_a_part_that_another_finishes_meanwhile_counts_as_reused(store: Store) -> None:
    desk = Desk(store, step=1_000)
    gap_runner = GapRunner(store, desk.video, desk.job)
    plan = gap_runner.plan([TimeRange(0, 16_000)], 1_000)
    desk.ask((0, 8_000), step=2_000)
    desk.ask((8_000, 16_000), step=500)
    desk.analyzer.analyzed.clear()
    outcome = gap_runner.run(plan, "call", discard)
    assert (outcome.reused_ms, outcome.analyzed_ms) == (12_000, 4_000)
    assert desk.looked_at() == [1_000, 3_000, 5_000, 7_000]


def test_a_lost_claim_doubles_nothing_and_is_not_counted(store: Store) -> None:
    """Our lease runs out while we are slow, another process does the grain, then our result comes."""
    desk = Desk(store)

    class Overtaken(FakeAnalyzer):
        def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
            for grain in grains:
                if grain.span.start == 8_000:
                    with store.connections.write() as db:
                        db.execute("UPDATE claims SET expires = 0 WHERE video = ? AND start_ms = 8000", [video.id])
                    other = Ledger(store.connections)
                    assert other.claim(video.id, desk.key, [grain.span]) == [grain.span]
                    (piece,) = super().analyze(video, [grain])
                    other.commit(video.id, desk.key, grain.span, 0, (), piece[1], 5)
                yield from super().analyze(video, [grain])

    desk.analyzer = Overtaken(EVENTS, params=desk.analyzer.params)
    desk.job = BoundAnalyzer(fake_spec(desk.analyzer, grain=GRAIN), desk.analyzer, desk.job.provenance)
    outcome = desk.ask()
    assert (outcome.analyzed_ms, outcome.reused_ms, outcome.unexamined) == (53_000, 8_000, [])
    assert desk.stored() == brute_force(desk.video, [([(0, 61_000)], 0, False)])
    assert desk.claims() == []


def test_a_slow_grain_keeps_its_claim(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def expires() -> float:
        with store.connections.read() as db:
            return float(db.execute("SELECT max(expires) FROM claims WHERE video = ?", [one.video.id]).fetchone()[0])

    monkeypatch.setattr(gap_runner, "LEASE_S", 0.3)  # renewed that often
    done = threading.Event()
    slow = Slow(done)
    one = Desk(store, analyzer=slow)
    other = Desk(store, video=one.video, analyzer=Slow(0, engine="fake"))
    other.job = BoundAnalyzer(other.spec, other.analyzer, one.job.provenance)
    thread = threading.Thread(target=one.ask, args=[(0, 8_000)])
    thread.start()
    assert slow.begun.wait(PATIENCE_S)
    first = expires()
    wait_for(lambda: expires() > first)
    once_waiting(other, done.set)
    outcome = other.ask((0, 8_000))
    thread.join()
    assert (outcome.reused_ms, other.analyzer.analyzed, len(one.analyzer.analyzed)) == (8_000, [], 1)


def test_threads_on_one_store_share_the_work(store: Store) -> None:
    analyzer = Slow(0.01)
    desks = [Desk(store, analyzer=analyzer)]
    desks += [Desk(store, analyzer=analyzer, video=desks[0].video) for _ in range(3)]
    outcomes = []
    threads = [threading.Thread(target=lambda desk=desk: outcomes.append(desk.ask())) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(o.analyzed_ms for o in outcomes) == 61_000 and len(analyzer.analyzed) == 8
    assert all(o.analyzed_ms + o.reused_ms == 61_000 for o in outcomes)
    assert desks[0].stored() == brute_force(desks[0].video, [([(0, 61_000)], 0, False)])


def test_giving_back_does_not_touch_what_another_call_of_this_process_claimed(store: Store) -> None:
    desk = Desk(store)
    gap_runner = GapRunner(store, desk.video, desk.job)
    forced = GapRunner(store, desk.video, desk.job)
    claimed = []

    def end_after_the_first_grain(event: Event) -> None:
        claimed.extend(forced.ledger.claim(desk.video.id, desk.key, [TimeRange(0, 8_000)]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gap_runner.run(gap_runner.plan([TimeRange(0, 16_000)]), "call", end_after_the_first_grain)
    assert claimed and len(desk.claims()) == 1
    forced.ledger.release()
    events: list[Event] = []
    forced.run(forced.plan([TimeRange(0, 8_000)], force=True), "other", events.append)
    assert sum(isinstance(e, Progress) for e in events) == 1
