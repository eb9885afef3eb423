"""Gathering against brute force: what is stored depends on what was looked at, never on how it was asked for."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.protocols import Grain
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange, first_instant
from gap_runner_kit import EVENTS, GRAIN, Desk, brute_force, numbers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store") / "s.db") as opened:
        yield opened


steps = st.sampled_from([250, 1_000, 2_000, 8_000, 16_000, 32_000])


@st.composite
def requests(draw: st.DrawFn, sampled: bool) -> tuple[list[tuple[int, int]], int, bool]:
    pairs = st.tuples(st.integers(0, 61_000), st.integers(1, 30_000)).map(lambda p: (p[0], min(61_000, p[0] + p[1])))
    spans = draw(st.lists(pairs.filter(lambda p: p[0] < p[1]), min_size=1, max_size=2))
    return spans, draw(steps) if sampled else 0, draw(st.sampled_from([False, False, False, True]))


@settings(max_examples=60, deadline=None)
@given(st.lists(requests(sampled=True), min_size=1, max_size=5), st.sampled_from([0, 130, 4_500, 9_001]), st.randoms())
def test_samples_do_not_depend_on_the_order_of_requests(
    store: Store, asked: list[tuple[list[tuple[int, int]], int, bool]], start: int, random: Random
) -> None:
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
def test_pieces_do_not_depend_on_the_order_of_requests(
    store: Store, asked: list[tuple[list[tuple[int, int]], int, bool]], random: Random
) -> None:
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
def test_reused_and_analyzed_add_up_and_nothing_is_paid_twice(store: Store, asked: list[tuple[list[tuple[int, int]], int, bool]]) -> None:
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


def test_coarser_after_finer_costs_nothing(store: Store) -> None:
    desk = Desk(store, step=1_000)
    desk.ask((0, 16_000), step=250)
    count = len(desk.looked_at())
    for step in (500, 1_000, 8_000, 16_000):
        assert desk.ask((0, 16_000), step=step).analyzed_ms == 0
    assert len(desk.looked_at()) == count


def test_finer_after_coarser_looks_at_the_new_instants_only(store: Store) -> None:
    desk = Desk(store, step=2_000)
    desk.ask((0, 8_000))
    outcome = desk.ask((0, 8_000), step=1_000)
    assert desk.analyzer.analyzed[-1].instants == (1_000, 3_000, 5_000, 7_000)
    assert (outcome.reused_ms, outcome.analyzed_ms) == (4_000, 4_000)


def test_a_step_longer_than_the_grain_stays_open_to_refinement_in_any_order(store: Store) -> None:
    """An 8 s request after a 16 s one finds its only instant known; it must leave the same note as the other way round."""
    rows = []
    for order in ((16_000, 8_000), (8_000, 16_000)):
        desk = Desk(store, step=1_000)
        for step in order:
            desk.ask((0, 8_000), step=step)
        rows.append(desk.stored())
    assert rows[0] == rows[1] != []


def test_a_forced_coarser_pass_does_not_stretch_the_samples_of_a_finer_one(store: Store) -> None:
    desk = Desk(store, step=1_000)
    desk.ask((0, 8_000), step=1_000)
    before = desk.stored()
    desk.ask((0, 8_000), step=4_000, force=True)
    assert desk.stored() == before


def test_the_first_frame_of_a_late_picture_is_sampled_at_every_step(store: Store) -> None:
    desk = Desk(store, step=1_000, start=4_500, analyzer=FakeAnalyzer([(TimeRange(4_500, 4_600), "title")], params={"late": 1}))
    desk.ask(step=8_000)
    assert desk.stored()[0][:2] == (4_500, 8_000)
    desk.ask(step=1_000)
    assert desk.stored()[0][:2] == (4_500, 5_000)
    assert desk.video.picture and desk.looked_at().count(first_instant(desk.video.picture)) == 1


def test_requests_are_clipped_at_the_end_of_the_video(store: Store) -> None:
    desk = Desk(store)
    outcome = desk.ask((58_000, 90_000))
    assert desk.analyzer.analyzed == [Grain(TimeRange(56_000, 61_000))]
    assert outcome.analyzed_ms == 5_000
    assert desk.ask((70_000, 90_000)).analyzed_ms == 0


def test_a_grain_of_zero_is_the_whole_video(store: Store) -> None:
    desk = Desk(store, grain=0)
    desk.ask((5_000, 6_000))
    assert desk.analyzer.analyzed == [Grain(TimeRange(0, 61_000))]


def test_nothing_to_sample_without_a_picture(store: Store) -> None:
    desk = Desk(store, step=1_000)
    desk.video.picture = None
    outcome = desk.ask()
    assert (outcome.analyzed_ms, outcome.reused_ms, desk.analyzer.analyzed) == (0, 0, [])


def test_looked_and_found_nothing_is_not_unseen(store: Store) -> None:
    desk = Desk(store, analyzer=FakeAnalyzer([], params={"empty": 1}))
    desk.ask((0, 10_000))
    assert desk.stored() == []
    assert [c.span for c in desk.covered()] == [TimeRange(0, 8_000), TimeRange(8_000, 16_000)]
    assert desk.ask((0, 16_000)).reused_ms == 16_000
    assert desk.ask((0, 24_000)).analyzed_ms == 8_000


def test_what_is_not_looked_at_again_keeps_its_note_ids(store: Store) -> None:
    desk = Desk(store, step=2_000)
    desk.ask()
    before = {n.span.start: n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))}
    desk.ask(step=500)
    after = {n.span.start: n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))}
    assert before.items() <= after.items()


def test_note_ids_are_never_used_again(store: Store) -> None:
    desk = Desk(store)
    desk.ask()
    before = {n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))}
    desk.ask(force=True)
    assert before.isdisjoint({n.id for n in store.notes.read(desk.video.id, TimeRange(0, 61_000))})


# --- engines and tiers ------------------------------------------------------------------------------------------------


def engines(store: Store, **tiers: Any) -> dict[str, Desk]:
    """Return desks for one video whose engines have these tiers, the same analyzer and parameters."""
    video = FakeVideo(61_000, video_id=f"v{next(numbers)}")
    made = {}
    for name, tier in tiers.items():
        analyzer = FakeAnalyzer([(TimeRange(0, 61_000), name)], engine=name, params={"of": video.id})
        made[name] = Desk(store, analyzer=analyzer, video=video, tier=tier)
    return made


def test_better_coverage_serves_a_weaker_request(store: Store) -> None:
    desks = engines(store, strong=0, weak=1)
    desks["strong"].ask((0, 16_000))
    outcome = desks["weak"].ask((0, 24_000))
    assert (outcome.reused_ms, outcome.analyzed_ms) == (16_000, 8_000)
    assert set(outcome.keys) == {desks["strong"].key, desks["weak"].key}


def test_weaker_coverage_serves_only_while_nothing_better_can_run(store: Store) -> None:
    desks = engines(store, strong=0, weak=1)
    desks["weak"].ask((0, 16_000))
    assert desks["weak"].ask((0, 16_000)).analyzed_ms == 0
    outcome = desks["strong"].ask((0, 16_000))
    assert (outcome.reused_ms, outcome.analyzed_ms, outcome.keys) == (0, 16_000, [desks["strong"].key])


def test_equals_serve_each_other_and_a_pin_asks_for_its_own(store: Store) -> None:
    desks = engines(store, one=0, other=0)
    desks["one"].ask((0, 8_000))
    assert desks["other"].ask((0, 8_000)).reused_ms == 8_000
    desks["other"].job = BoundAnalyzer(desks["other"].spec, desks["other"].analyzer, desks["other"].job.provenance, pinned=True)
    assert desks["other"].ask((0, 8_000)).analyzed_ms == 8_000


@pytest.mark.parametrize("change", [{"params": {"p": 2}}, {"version": "2"}, {"lane": "track 2"}])
def test_other_parameters_versions_and_lanes_are_not_reused(store: Store, change: dict[str, Any]) -> None:
    video = FakeVideo(61_000, video_id=f"v{next(numbers)}")
    one, other = FakeAnalyzer(EVENTS, params={"p": 1}), FakeAnalyzer(EVENTS, params={"p": 1})
    for name, value in change.items():
        setattr(other, name, value)
    Desk(store, analyzer=one, video=video).ask((0, 8_000))
    assert Desk(store, analyzer=other, video=video).ask((0, 8_000)).analyzed_ms == 8_000


def test_other_weights_have_another_key(store: Store) -> None:
    desk = Desk(store)
    keys = {make_provenance(desk.spec, desk.analyzer, desk.video, weights=weights).key for weights in ("a@1", "a@2", "")}
    assert len(keys) == 3


def test_a_sampling_is_not_pieced_together_from_several_engines(store: Store) -> None:
    """What the strong engine saw every 4 s does not spare the weak one those instants: its coverage says that it looked there."""
    desks = engines(store, strong=0, weak=1)
    for desk in desks.values():
        desk.spec = fake_spec(desk.analyzer, step=1_000, grain=GRAIN)
        desk.job = BoundAnalyzer(desk.spec, desk.analyzer, desk.job.provenance, desk.job.pinned)
    desks["strong"].ask((0, 8_000), step=4_000)
    desks["weak"].ask((0, 8_000), step=2_000)
    assert desks["weak"].looked_at() == [0, 2_000, 4_000, 6_000]
    assert json.dumps([row[0] for row in desks["weak"].stored()]) == "[0, 2000, 4000, 6000]"
