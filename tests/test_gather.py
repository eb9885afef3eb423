"""Gathering against brute force: what is stored depends on what was looked at, never on how it was asked for."""

import itertools
import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.errors import AgentError, Cancelled, MediaError, StoreError, Unavailable
from analyzer_agent.events import Progress, Waiting
from analyzer_agent.evidence import gather
from analyzer_agent.evidence.gather import Gatherer
from analyzer_agent.evidence.recipe import Job, make_recipe
from analyzer_agent.protocols import Grain
from analyzer_agent.records import Observation
from analyzer_agent.storage import Ledger, Store, ledger
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange, first_instant, instants, sample_end

GRAIN = 8_000
EVENTS = [(TimeRange(0, 3_000), "a"), (TimeRange(2_500, 21_000), "b"), (TimeRange(30_000, 30_100), "c"), (TimeRange(24_000, 48_000), "d")]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("store") / "s.db") as opened:
        yield opened


class Desk:
    """One fake video with one fake analyzer, asked again and again."""

    def __init__(self, store, *, step=0, analyzer=None, name=None, pinned=False, tier=0, video=None, grain=GRAIN, **about):
        self.store = store
        self.video = video or FakeVideo(**{"duration": 61_000, "video_id": f"v{next(_numbers)}"} | about)
        store.notes.add_video(self.video.id, self.video.name, str(self.video.path), self.video.duration)
        self.analyzer = analyzer or FakeAnalyzer(EVENTS, params={"desk": name or self.video.id})
        self.spec = fake_spec(self.analyzer, step=step, grain=grain)
        self.job = Job(self.spec, self.analyzer, make_recipe(self.spec, self.analyzer, self.video, tier=tier), pinned)
        self.step = step
        self.events = []

    @property
    def key(self):
        return self.job.recipe.key

    def ask(self, *spans, step=None, force=False, **limits):
        """Ask once; spans are pairs of ms, the whole video if there are none."""
        gatherer = Gatherer(self.store, self.video, self.job)
        ranges = [TimeRange(*pair) for pair in spans] or [TimeRange(0, self.video.duration)]
        plan = gatherer.plan(ranges, self.step if step is None else step, force=force)
        running = gatherer.run(plan, "call", **limits)
        while True:
            try:
                self.events.append(next(running))
            except StopIteration as end:
                return end.value

    def stored(self):
        """Return the notes as they lie in the store, in time order, without their ids."""
        with self.store.connections.read() as db:
            rows = db.execute(
                "SELECT start_ms, end_ms, kind, text, score, detail FROM notes WHERE video = ? AND key = ?", [self.video.id, self.key]
            ).fetchall()
        return sorted(rows)

    def looked_at(self):
        """Return all instants that the analyzer was given, with repeats."""
        return [t for grain in self.analyzer.analyzed for t in grain.instants]

    def claims(self):
        with self.store.connections.read() as db:
            return db.execute("SELECT * FROM claims WHERE video = ?", [self.video.id]).fetchall()

    def covered(self):
        return self.store.ledger.covered(self.video.id, [self.key], TimeRange(0, self.video.duration))

    def failures(self):
        return self.store.ledger.failures(self.video.id, self.key, TimeRange(0, self.video.duration))


# --- order does not matter --------------------------------------------------------------------------------------------

steps = st.sampled_from([250, 1_000, 2_000, 8_000, 16_000, 32_000])


@st.composite
def requests(draw, sampled):
    pairs = st.tuples(st.integers(0, 61_000), st.integers(1, 30_000)).map(lambda p: (p[0], min(61_000, p[0] + p[1])))
    spans = draw(st.lists(pairs.filter(lambda p: p[0] < p[1]), min_size=1, max_size=2))
    return spans, draw(steps) if sampled else 0, draw(st.sampled_from([False, False, False, True]))


def brute_force(video, asked, events=EVENTS):
    """Return the rows that these requests must leave, computed instant by instant."""
    end = video.picture.end
    cells = {(piece, step) for spans, step, _ in asked for pair in spans for piece in TimeRange(*pair).grains(max(GRAIN, step), end)}
    if not any(step for _, step, _ in asked):
        pieces = [(event.within(cell), event, text) for cell, _ in cells for event, text in events]
        return sorted(
            (p.start, p.end, "text", text, 1.0, '{"continues":true}' if p.start > event.start else "{}") for p, event, text in pieces if p
        )
    ends = {}
    for cell, step in cells:
        for t in instants(cell, step, video.picture):
            ends[t] = min(ends.get(t, end), sample_end(t, step, end), (t // GRAIN + 1) * GRAIN)
    for t in ends:
        ends[t] = min([ends[t], *(sample_end(t, step, end) for cell, step in cells if cell.start <= t < cell.end)])
    return sorted((t, e, "text", text, 1.0, "{}") for t, e in ends.items() for event, text in events if event.start <= t < event.end)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests(sampled=True), min_size=1, max_size=5), st.sampled_from([0, 130, 4_500, 9_001]), st.randoms())
def test_samples_do_not_depend_on_the_order_of_requests(store, asked, start, random):
    one, other = Desk(store, step=1_000, start=start), Desk(store, step=1_000, start=start)
    for spans, step, force in asked:
        one.ask(*spans, step=step, force=force)
    random.shuffle(shuffled := list(asked))
    for spans, step, force in shuffled:
        other.ask(*spans, step=step, force=force)
    assert one.stored() == other.stored() == brute_force(one.video, asked)
    if not any(force for *_, force in asked):
        assert len(one.looked_at()) == len(set(one.looked_at())), "an instant was looked at twice"
        assert set(one.looked_at()) == set(other.looked_at())
    assert one.claims() == []


@settings(max_examples=40, deadline=None)
@given(st.lists(requests(sampled=False), min_size=1, max_size=5), st.randoms())
def test_pieces_do_not_depend_on_the_order_of_requests(store, asked, random):
    one, other = Desk(store), Desk(store)
    for spans, _, force in asked:
        one.ask(*spans, force=force)
    random.shuffle(shuffled := list(asked))
    for spans, _, force in shuffled:
        other.ask(*spans, force=force)
    assert one.stored() == other.stored() == brute_force(one.video, asked)
    if not any(force for *_, force in asked):
        assert len(one.analyzer.analyzed) == len(set(one.analyzer.analyzed)), "a grain was analyzed twice"


@settings(max_examples=40, deadline=None)
@given(st.lists(requests(sampled=True), min_size=1, max_size=4))
def test_reused_and_analyzed_add_up_and_nothing_is_paid_twice(store, asked):
    desk = Desk(store, step=1_000)
    for spans, step, force in asked:
        whole = {piece for pair in spans for piece in TimeRange(*pair).grains(max(GRAIN, step), 61_000)}
        before = len(desk.looked_at())
        outcome = desk.ask(*spans, step=step, force=force)
        assert outcome.reused_ms + outcome.analyzed_ms == sum(piece.length for piece in whole)
        assert (outcome.analyzed_ms > 0) == (len(desk.looked_at()) > before)
        if force:
            assert outcome.reused_ms == 0
        again = desk.ask(*spans, step=step)
        assert (again.analyzed_ms, again.reused_ms) == (0, sum(piece.length for piece in whole))


def test_coarser_after_finer_costs_nothing(store):
    desk = Desk(store, step=1_000)
    desk.ask((0, 16_000), step=250)
    count = len(desk.looked_at())
    for step in (500, 1_000, 8_000, 16_000):
        assert desk.ask((0, 16_000), step=step).analyzed_ms == 0
    assert len(desk.looked_at()) == count


def test_finer_after_coarser_looks_at_the_new_instants_only(store):
    desk = Desk(store, step=2_000)
    desk.ask((0, 8_000))
    outcome = desk.ask((0, 8_000), step=1_000)
    assert desk.analyzer.analyzed[-1].instants == (1_000, 3_000, 5_000, 7_000)
    assert (outcome.reused_ms, outcome.analyzed_ms) == (4_000, 4_000)


def test_a_step_longer_than_the_grain_stays_open_to_refinement_in_any_order(store):
    """An 8 s request after a 16 s one finds its only instant known; it must leave the same note as the other way round."""
    rows = []
    for order in ((16_000, 8_000), (8_000, 16_000)):
        desk = Desk(store, step=1_000)
        for step in order:
            desk.ask((0, 8_000), step=step)
        rows.append(desk.stored())
    assert rows[0] == rows[1] != []


def test_a_forced_coarser_pass_does_not_stretch_the_samples_of_a_finer_one(store):
    desk = Desk(store, step=1_000)
    desk.ask((0, 8_000), step=1_000)
    before = desk.stored()
    desk.ask((0, 8_000), step=4_000, force=True)
    assert desk.stored() == before


def test_the_first_frame_of_a_late_picture_is_sampled_at_every_step(store):
    desk = Desk(store, step=1_000, start=4_500, analyzer=FakeAnalyzer([(TimeRange(4_500, 4_600), "title")], params={"late": 1}))
    desk.ask(step=8_000)
    assert desk.stored()[0][:2] == (4_500, 8_000)
    desk.ask(step=1_000)
    assert desk.stored()[0][:2] == (4_500, 5_000)
    assert desk.looked_at().count(first_instant(desk.video.picture)) == 1


def test_requests_are_clipped_at_the_end_of_the_video(store):
    desk = Desk(store)
    outcome = desk.ask((58_000, 90_000))
    assert desk.analyzer.analyzed == [Grain(TimeRange(56_000, 61_000))]
    assert outcome.analyzed_ms == 5_000
    assert desk.ask((70_000, 90_000)).analyzed_ms == 0


def test_a_grain_of_zero_is_the_whole_video(store):
    desk = Desk(store, grain=0)
    desk.ask((5_000, 6_000))
    assert desk.analyzer.analyzed == [Grain(TimeRange(0, 61_000))]


def test_nothing_to_sample_without_a_picture(store):
    desk = Desk(store, step=1_000)
    desk.video.picture = None
    outcome = desk.ask()
    assert (outcome.analyzed_ms, outcome.reused_ms, desk.analyzer.analyzed) == (0, 0, [])


def test_looked_and_found_nothing_is_not_unseen(store):
    desk = Desk(store, analyzer=FakeAnalyzer([], params={"empty": 1}))
    desk.ask((0, 10_000))
    assert desk.stored() == []
    assert [c.span for c in desk.covered()] == [TimeRange(0, 8_000), TimeRange(8_000, 16_000)]
    assert desk.ask((0, 16_000)).reused_ms == 16_000
    assert desk.ask((0, 24_000)).analyzed_ms == 8_000


def test_what_is_not_looked_at_again_keeps_its_note_ids(store):
    desk = Desk(store, step=2_000)
    desk.ask()
    before = {n.span.start: n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))}
    desk.ask(step=500)
    after = {n.span.start: n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))}
    assert before.items() <= after.items()


def test_note_ids_are_never_used_again(store):
    desk = Desk(store)
    desk.ask()
    before = {n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))}
    desk.ask(force=True)
    assert before.isdisjoint({n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))})


# --- failures ---------------------------------------------------------------------------------------------------------


class Troubled(FakeAnalyzer):
    """Raises `error` on the grains that begin at `bad`."""

    def __init__(self, *bad, error=None, **more):
        super().__init__(EVENTS, params={"troubled": next(_numbers)}, **more)
        self.bad, self.error = set(bad), error or ValueError("no idea")

    def analyze(self, video, grains):
        for grain in grains:
            if grain.span.start in self.bad:
                self.analyzed.append(grain)
                raise self.error
            yield from super().analyze(video, [grain])


def test_a_failed_grain_is_recorded_and_leaves_the_others_alone(store):
    desk = Desk(store, analyzer=Troubled(16_000))
    outcome = desk.ask()
    assert [(u.span, u.reason, u.detail) for u in outcome.unexamined] == [(TimeRange(16_000, 24_000), "failed", "ValueError: no idea")]
    assert TimeRange(16_000, 24_000) not in [c.span for c in desk.covered()] and len(desk.covered()) == 7
    assert outcome.analyzed_ms == 61_000 - 8_000
    assert desk.claims() == []


def test_a_broken_file_is_a_failure_with_its_own_words(store):
    desk = Desk(store, analyzer=Troubled(0, error=MediaError("'x.mp4' is damaged at 0:03.")))
    assert desk.ask().unexamined[0].detail == "'x.mp4' is damaged at 0:03."


def test_a_failed_grain_is_tried_three_times_unless_forced(store):
    desk = Desk(store, analyzer=Troubled(16_000))
    for attempt in (1, 2, 3):
        desk.ask()
        assert desk.failures()[0].attempts == attempt
    tries = len(desk.analyzer.analyzed)
    outcome = desk.ask()
    assert len(desk.analyzer.analyzed) == tries
    assert outcome.unexamined[0].reason == "failed" and outcome.unexamined[0].detail == "ValueError: no idea"
    desk.analyzer.bad.clear()
    assert desk.ask().unexamined != []
    assert desk.ask((16_000, 24_000), force=True).unexamined == []
    assert desk.failures() == [] and desk.ask().reused_ms == 61_000


def test_a_later_question_heals_a_failure(store):
    desk = Desk(store, analyzer=Troubled(16_000))
    desk.ask()
    desk.analyzer.bad.clear()
    outcome = desk.ask()
    assert (outcome.reused_ms, outcome.analyzed_ms, outcome.unexamined, desk.failures()) == (53_000, 8_000, [], [])
    assert desk.stored() == brute_force(desk.video, [([(0, 61_000)], 0, False)])


def test_attempts_at_other_steps_count_too(store):
    desk = Desk(store, step=1_000, analyzer=Troubled(16_000))
    for step in (1_000, 2_000, 4_000):
        desk.ask((16_000, 24_000), step=step)
    tries = len(desk.analyzer.analyzed)
    assert desk.ask((16_000, 24_000), step=500).unexamined[0].reason == "failed"
    assert len(desk.analyzer.analyzed) == tries == 3


def test_two_failures_in_a_row_end_the_call_and_the_rest_is_unseen(store):
    desk = Desk(store, analyzer=Troubled(8_000, 16_000))
    outcome = desk.ask()
    assert [(u.reason, u.span.start) for u in outcome.unexamined[:3]] == [("failed", 8_000), ("failed", 16_000), ("unseen", 24_000)]
    assert [c.span.start for c in desk.covered()] == [0]
    assert desk.claims() == []


def test_failures_apart_do_not_end_the_call(store):
    desk = Desk(store, analyzer=Troubled(8_000, 24_000, 40_000))
    outcome = desk.ask()
    assert [u.span.start for u in outcome.unexamined] == [8_000, 24_000, 40_000]
    assert len(desk.covered()) == 5


def test_a_failure_does_not_unmake_an_earlier_success(store):
    desk = Desk(store, analyzer=Troubled())
    desk.ask()
    before = desk.stored()
    desk.analyzer.bad.add(16_000)
    assert desk.ask((16_000, 24_000), force=True).unexamined[0].reason == "failed"
    assert desk.stored() == before and desk.ask().reused_ms == 61_000


@pytest.mark.parametrize("stop", [Unavailable("no weights"), AgentError("no key"), Cancelled(), KeyboardInterrupt()])
def test_what_stops_the_question_keeps_earlier_grains_and_gives_claims_back(store, stop):
    desk = Desk(store, analyzer=Troubled(16_000, error=stop))
    with pytest.raises(type(stop)):
        desk.ask()
    assert [c.span.start for c in desk.covered()] == [0, 8_000]
    assert desk.claims() == [] and desk.failures() == []


def test_the_store_failing_is_not_the_analyzers_failure(store, monkeypatch):
    desk = Desk(store)

    def full(*_):
        raise StoreError("The store: the disk is full.", hint="Free some space.")

    monkeypatch.setattr(Ledger, "commit", full)
    with pytest.raises(StoreError, match="disk is full"):
        desk.ask()
    assert desk.failures() == [] and desk.claims() == []


# --- limits -----------------------------------------------------------------------------------------------------------


class Slow(FakeAnalyzer):
    """Takes `pause` seconds for each grain, and says when it begins one."""

    def __init__(self, pause=0.03, **more):
        super().__init__(EVENTS, params={"slow": next(_numbers)}, **more)
        self.pause, self.begun = pause, threading.Event()

    def analyze(self, video, grains):
        for grain in grains:
            self.begun.set()
            time.sleep(self.pause)
            yield from super().analyze(video, [grain])


def test_the_budget_stops_between_grains_and_is_given_as_the_reason(store):
    desk = Desk(store, analyzer=Slow())
    outcome = desk.ask(budget_ms=50)
    done = len(desk.covered())
    assert 1 <= done < 8 and outcome.analyzed_ms == done * 8_000 and outcome.wall_ms >= 50
    assert {u.reason for u in outcome.unexamined} == {"budget"}
    assert [u.span.start for u in outcome.unexamined] == list(range(done * 8_000, 61_000, 8_000))
    assert desk.claims() == []
    assert desk.ask().reused_ms == done * 8_000


def test_no_budget_at_all_looks_at_nothing_and_still_reuses(store):
    desk = Desk(store)
    desk.ask((0, 8_000))
    outcome = desk.ask((0, 16_000), budget_ms=0)
    assert (outcome.reused_ms, outcome.analyzed_ms, [u.reason for u in outcome.unexamined]) == (8_000, 0, ["budget"])
    assert len(desk.analyzer.analyzed) == 1


def test_failing_spends_the_budget_too(store):
    class SlowFailure(Slow):
        def analyze(self, video, grains):
            if grains[0].span.start % 16_000 == 0:
                time.sleep(0.06)
                raise ValueError("too hard")
            yield from super().analyze(video, grains)

    outcome = Desk(store, analyzer=SlowFailure(0)).ask(budget_ms=50)
    assert [u.reason for u in outcome.unexamined] == ["failed"] + ["budget"] * 7


def test_cancel_stops_after_the_running_grain(store):
    desk, cancel = Desk(store, analyzer=Slow(0)), threading.Event()
    gatherer = Gatherer(store, desk.video, desk.job)
    running = gatherer.run(gatherer.plan([TimeRange(0, 61_000)]), "call", cancel=cancel)
    assert isinstance(next(running), Progress)
    cancel.set()
    with pytest.raises(Cancelled):
        next(running)
    assert [c.span.start for c in desk.covered()] == [0] and desk.claims() == []


def test_cancelled_beforehand_does_nothing(store):
    desk, cancel = Desk(store), threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        desk.ask(cancel=cancel)
    assert desk.analyzer.analyzed == []


def test_an_abandoned_call_gives_its_claims_back(store):
    desk = Desk(store)
    gatherer = Gatherer(store, desk.video, desk.job)
    running = gatherer.run(gatherer.plan([TimeRange(0, 61_000)]), "call")
    next(running)
    assert len(desk.claims()) == 7
    running.close()
    assert desk.claims() == [] and len(desk.covered()) == 1


def test_progress_adds_up(store):
    desk = Desk(store)
    desk.ask((0, 8_000))
    desk.events.clear()
    desk.ask()
    assert [e.done_ms for e in desk.events] == [*range(8_000, 53_000, 8_000), 53_000]
    assert {e.total_ms for e in desk.events} == {53_000} and [e.found for e in desk.events] == [1, 1, 2, 1, 1, 0, 0]


def test_speeds_are_measured(store):
    desk = Desk(store, analyzer=Slow(0.02, engine="tortoise"))
    desk.ask((0, 16_000))
    assert 50 < store.history.speed("fake", "tortoise", "cpu") <= 400


# --- bugs of analyzers are loud ---------------------------------------------------------------------------------------


def broken(how):
    class Broken(FakeAnalyzer):
        def analyze(self, video, grains):
            return iter(how(list(grains)))

    return Broken([], params={"broken": next(_numbers)})


def at(start, end):
    return Observation(TimeRange(start, end), "text", "x")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda grains: [(g, [at(g.span.start, g.span.end + 1)]) for g in grains], "outside of its grain"),
        (lambda grains: [(g, [at(g.span.start - 1, g.span.end)]) for g in grains[1:]], "yielded 0:08-0:16 when 0:00-0:08 was due"),
        (lambda grains: [(g, []) for g in reversed(grains)], "was due"),
        (lambda grains: [(g, []) for g in grains[:3]], "left out 0:24-0:32"),
        (lambda grains: [(g, []) for g in [*grains, grains[0]]], "when nothing was due"),
    ],
)
def test_an_analyzer_that_breaks_its_contract_is_an_error_not_a_failure(store, how, words):
    desk = Desk(store, analyzer=broken(how))
    with pytest.raises(RuntimeError, match=words):
        desk.ask()
    assert desk.failures() == [] and desk.claims() == []


def test_a_sample_must_start_at_an_instant_that_was_asked_for(store):
    desk = Desk(store, step=1_000, analyzer=broken(lambda grains: [(g, [at(g.span.start + 3, g.span.start + 4)]) for g in grains]))
    with pytest.raises(RuntimeError, match="does not start at an instant"):
        desk.ask()


# --- several at once --------------------------------------------------------------------------------------------------


def rival(desk, span, *, pid=None, host=None, expires=60.0):
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


def dead_pid():
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_dead_process_is_taken_over_at_once(store):
    desk = Desk(store)
    rival(desk, TimeRange(8_000, 16_000), pid=dead_pid())
    started = time.monotonic()
    assert desk.ask().analyzed_ms == 61_000
    assert time.monotonic() - started < 5 and not any(isinstance(e, Waiting) for e in desk.events)


def test_a_claim_that_ran_out_is_taken_over(store):
    desk = Desk(store)
    rival(desk, TimeRange(8_000, 16_000), host="elsewhere", expires=-1)
    assert desk.ask().analyzed_ms == 61_000


def test_a_dead_pid_on_another_host_says_nothing(store):
    desk, cancel = Desk(store), threading.Event()
    rival(desk, TimeRange(8_000, 16_000), host="elsewhere", pid=dead_pid())
    threading.Timer(0.4, cancel.set).start()
    with pytest.raises(Cancelled):
        desk.ask(cancel=cancel)
    assert len(desk.covered()) == 7
    assert [e.span for e in desk.events if isinstance(e, Waiting)] == [TimeRange(8_000, 16_000)]


def test_a_live_claim_is_waited_for_and_its_result_used(store):
    desk = Desk(store)
    other = rival(desk, TimeRange(8_000, 16_000), host="elsewhere")
    found = [Observation(TimeRange(9_000, 10_000), "text", "theirs")]
    threading.Timer(0.3, other.commit, [desk.video.id, desk.key, TimeRange(8_000, 16_000), 0, (), found, 5]).start()
    outcome = desk.ask()
    assert (outcome.reused_ms, outcome.analyzed_ms) == (8_000, 53_000)
    assert any(isinstance(e, Waiting) for e in desk.events)
    assert TimeRange(8_000, 16_000) not in [g.span for g in desk.analyzer.analyzed]
    assert "theirs" in [row[3] for row in desk.stored()]


def test_a_part_that_another_finishes_meanwhile_counts_as_reused(store):
    desk = Desk(store, step=1_000)
    gatherer = Gatherer(store, desk.video, desk.job)
    plan = gatherer.plan([TimeRange(0, 16_000)], 1_000)
    desk.ask((0, 8_000), step=2_000)
    desk.ask((8_000, 16_000), step=500)
    desk.analyzer.analyzed.clear()
    with pytest.raises(StopIteration) as end:
        running = gatherer.run(plan, "call")
        while True:
            next(running)
    assert (end.value.value.reused_ms, end.value.value.analyzed_ms) == (12_000, 4_000)
    assert desk.looked_at() == [1_000, 3_000, 5_000, 7_000]


def test_a_lost_claim_doubles_nothing_and_is_not_counted(store):
    """Our lease runs out while we are slow, another process does the grain, then our result comes."""
    desk = Desk(store)

    class Overtaken(FakeAnalyzer):
        def analyze(self, video, grains):
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
    desk.job = Job(fake_spec(desk.analyzer, grain=GRAIN), desk.analyzer, desk.job.recipe)
    outcome = desk.ask()
    assert (outcome.analyzed_ms, outcome.reused_ms, outcome.unexamined) == (53_000, 8_000, [])
    assert desk.stored() == brute_force(desk.video, [([(0, 61_000)], 0, False)])
    assert desk.claims() == []


def test_a_slow_grain_keeps_its_claim(store, monkeypatch):
    monkeypatch.setattr(ledger, "LEASE_S", 0.3)
    monkeypatch.setattr(gather, "LEASE_S", 0.3)
    one = Desk(store, analyzer=Slow(1.0))
    other = Desk(store, video=one.video, analyzer=Slow(0, engine="fake"))
    other.job = Job(other.spec, other.analyzer, one.job.recipe)
    thread = threading.Thread(target=one.ask, args=[(0, 8_000)])
    thread.start()
    assert one.analyzer.begun.wait(5)
    outcome = other.ask((0, 8_000))
    thread.join()
    assert (outcome.reused_ms, other.analyzer.analyzed, len(one.analyzer.analyzed)) == (8_000, [], 1)


def test_threads_on_one_store_share_the_work(store):
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


def test_giving_back_does_not_touch_what_another_call_of_this_process_claimed(store):
    desk = Desk(store)
    gatherer = Gatherer(store, desk.video, desk.job)
    running = gatherer.run(gatherer.plan([TimeRange(0, 16_000)]), "call")
    next(running)
    forced = Gatherer(store, desk.video, desk.job)
    again = forced.run(forced.plan([TimeRange(0, 8_000)], force=True), "other")
    claimed = forced.ledger.claim(desk.video.id, desk.key, [TimeRange(0, 8_000)])
    running.close()
    assert claimed and len(desk.claims()) == 1
    forced.ledger.release()
    assert sum(isinstance(e, Progress) for e in again) == 1


# --- engines and tiers ------------------------------------------------------------------------------------------------


def engines(store, **tiers):
    """Return desks for one video whose engines have these tiers, the same analyzer and parameters."""
    video = FakeVideo(61_000, video_id=f"v{next(_numbers)}")
    made = {}
    for name, tier in tiers.items():
        analyzer = FakeAnalyzer([(TimeRange(0, 61_000), name)], engine=name, params={"of": video.id})
        made[name] = Desk(store, analyzer=analyzer, video=video, tier=tier)
    return made


def test_better_coverage_serves_a_weaker_request(store):
    desks = engines(store, strong=0, weak=1)
    desks["strong"].ask((0, 16_000))
    outcome = desks["weak"].ask((0, 24_000))
    assert (outcome.reused_ms, outcome.analyzed_ms) == (16_000, 8_000)
    assert set(outcome.keys) == {desks["strong"].key, desks["weak"].key}


def test_weaker_coverage_serves_only_while_nothing_better_can_run(store):
    desks = engines(store, strong=0, weak=1)
    desks["weak"].ask((0, 16_000))
    assert desks["weak"].ask((0, 16_000)).analyzed_ms == 0
    outcome = desks["strong"].ask((0, 16_000))
    assert (outcome.reused_ms, outcome.analyzed_ms, outcome.keys) == (0, 16_000, [desks["strong"].key])


def test_equals_serve_each_other_and_a_pin_asks_for_its_own(store):
    desks = engines(store, one=0, other=0)
    desks["one"].ask((0, 8_000))
    assert desks["other"].ask((0, 8_000)).reused_ms == 8_000
    desks["other"].job = Job(desks["other"].spec, desks["other"].analyzer, desks["other"].job.recipe, pinned=True)
    assert desks["other"].ask((0, 8_000)).analyzed_ms == 8_000


@pytest.mark.parametrize("change", [{"params": {"p": 2}}, {"version": "2"}, {"lane": "track 2"}])
def test_other_parameters_versions_and_lanes_are_not_reused(store, change):
    video = FakeVideo(61_000, video_id=f"v{next(_numbers)}")
    one, other = FakeAnalyzer(EVENTS, params={"p": 1}), FakeAnalyzer(EVENTS, params={"p": 1})
    for name, value in change.items():
        setattr(other, name, value)
    Desk(store, analyzer=one, video=video).ask((0, 8_000))
    assert Desk(store, analyzer=other, video=video).ask((0, 8_000)).analyzed_ms == 8_000


def test_other_weights_have_another_key(store):
    desk = Desk(store)
    keys = {make_recipe(desk.spec, desk.analyzer, desk.video, weights=weights).key for weights in ("a@1", "a@2", "")}
    assert len(keys) == 3


def test_a_sampling_is_not_pieced_together_from_several_engines(store):
    """What the strong engine saw every 4 s does not spare the weak one those instants: its coverage says that it looked there."""
    desks = engines(store, strong=0, weak=1)
    for desk in desks.values():
        desk.spec = fake_spec(desk.analyzer, step=1_000, grain=GRAIN)
        desk.job = Job(desk.spec, desk.analyzer, desk.job.recipe, desk.job.pinned)
    desks["strong"].ask((0, 8_000), step=4_000)
    desks["weak"].ask((0, 8_000), step=2_000)
    assert desks["weak"].looked_at() == [0, 2_000, 4_000, 6_000]
    assert json.dumps([row[0] for row in desks["weak"].stored()]) == "[0, 2000, 4000, 6000]"
