"""Time against brute force: every range is small enough to be checked millisecond by millisecond."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.timeline import (
    FINEST_STEP,
    TimeRange,
    clock,
    first_instant,
    grid_step,
    instants,
    known_instants,
    merge,
    parse,
    sample_end,
    seconds,
    total,
)

LIMIT = 60


@st.composite
def spans(draw: st.DrawFn, limit: int = LIMIT) -> TimeRange:
    start, end = sorted((draw(st.integers(0, limit)), draw(st.integers(0, limit))))
    return TimeRange(start, end)


many = st.lists(spans(), max_size=6)
steps = st.integers(0, 9).map(lambda n: FINEST_STEP * 2**n)


def points(*ranges: TimeRange) -> set[int]:
    return {t for r in ranges for t in range(r.start, r.end)}


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4)])
def test_a_range_does_not_run_backwards_or_start_before_zero(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not a time range"):
        TimeRange(start, end)


@given(spans(), spans())
def test_within_and_overlaps(a: TimeRange, b: TimeRange) -> None:
    part = a.within(b)
    assert points(part) == points(a) & points(b) if part else not points(a) & points(b)
    if a.length and b.length:
        assert a.overlaps(b) == bool(points(a) & points(b))


@given(spans(), many)
def test_minus_is_what_is_left_in_order_and_without_touching_parts(whole: TimeRange, covered: list[TimeRange]) -> None:
    gaps = whole.minus(covered)
    assert points(*gaps) == points(whole) - points(*covered)
    assert all(gap.length for gap in gaps) and gaps == sorted(gaps)
    assert sum(gap.length for gap in gaps) == len(points(*gaps))


@given(many, st.integers(0, 5))
def test_merge_is_the_union_with_small_gaps_closed(ranges: list[TimeRange], gap: int) -> None:
    merged = merge(ranges, gap)
    assert all(right.start - left.end > gap for left, right in pairwise(merged))
    extra = points(*merged) - points(*ranges)
    assert points(*ranges) <= points(*merged) and (gap or not extra)
    assert all(any(0 < hole.length <= gap and t in points(hole) for r in merged for hole in r.minus(ranges)) for t in extra)
    assert total(ranges) == len(points(*ranges))


@given(spans(), st.integers(1, 13), st.integers(0, LIMIT))
def test_grains_are_the_cells_that_a_range_touches(span: TimeRange, size: int, limit: int) -> None:
    grains = span.grains(size, limit)
    cells = {t // size for t in points(span) if t < limit}
    assert [g.start // size for g in grains] == sorted(cells)
    assert all(g.start % size == 0 and g.end == min(g.start + size, limit) for g in grains)


def test_no_grains_in_nothing() -> None:
    assert TimeRange(0, 0).grains(0, 0) == []


# --- clocks -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 400_000_000))
def test_clocks_and_seconds_come_back_as_they_went(ms: int) -> None:
    assert parse(clock(ms)) == ms
    assert parse(seconds(ms)) == ms
    assert parse(f"{seconds(ms)}s") == ms == parse(f" {clock(ms)} ")


@pytest.mark.parametrize(
    ("given_", "ms"),
    [
        *((64.2, 64_200), ("64.2", 64_200), ("1:04.2", 64_200), ("1:02:03", 3_723_000), ("90:00", 5_400_000), (".5", 500)),
        *((7, 7_000), ("100", 100_000), ("2.", 2_000), ("0:00", 0), ("1:2.5", 62_500)),
    ],
)
def test_forms_of_a_time(given_: float | str, ms: int) -> None:
    assert parse(given_) == ms


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "soon",
        "1:60",
        "1:60:00",
        "1:2:3:4",
        "-1",
        -1,
        "1:-2",
        "1.5:00",
        math.nan,
        math.inf,
        None,
        True,
        [1],
        "1e3",
        "1:",
        ":5",
        "٠x",
        "9" * 400,
        "9" * 5000 + ":00",
    ],
)
def test_what_is_not_a_time_is_refused_with_the_forms_that_are(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a time; give seconds \(64.2\) or a clock"):
        parse(wrong)


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        assert parse(text) >= 0
    except ValueError as refusal:
        assert "is not a time" in str(refusal)


@pytest.mark.parametrize(("ms", "text"), [(0, "0:00"), (64_200, "1:04.2"), (3_603_250, "1:00:03.25"), (7, "0:00.007"), (600_000, "10:00")])
def test_clock_leaves_needless_zeros_out(ms: int, text: str) -> None:
    assert clock(ms) == text


# --- the grid ---------------------------------------------------------------------------------------------------------


@given(st.floats(0.01, 500))
def test_a_step_is_the_next_finer_one_of_the_grid(every: float) -> None:
    step = grid_step(every)
    assert math.log2(step / FINEST_STEP).is_integer()
    assert step == FINEST_STEP or step <= every * 1000 + 1e-6
    assert step * 2 > every * 1000


@pytest.mark.parametrize("every", [0, -1, math.nan, math.inf, 1e9])
def test_an_impossible_step_is_refused(every: float) -> None:
    with pytest.raises(ValueError, match="give a positive number"):
        grid_step(every)


pictures = st.builds(lambda start, length: TimeRange(start, start + length), st.integers(0, 20_000), st.integers(1, 60_000))


@given(pictures, steps, steps)
def test_a_coarser_grid_is_a_subset_of_a_finer_one(picture: TimeRange, one: int, other: int) -> None:
    whole = TimeRange(0, picture.end)
    fine, coarse = instants(whole, min(one, other), picture), instants(whole, max(one, other), picture)
    assert set(coarse) <= set(fine) and fine == sorted(set(fine))


@given(pictures, steps)
def test_instants_are_the_multiples_with_a_picture_and_the_first_frame(picture: TimeRange, step: int) -> None:
    found = instants(TimeRange(0, picture.end), step, picture)
    multiples = [t for t in range(0, picture.end, step) if t >= picture.start]
    assert set(found) == {*multiples, first_instant(picture)}
    assert found[0] <= picture.start or found[0] == first_instant(picture)


@given(pictures, steps, st.integers(0, 9).map(lambda n: 1000 * 2**n))
def test_grains_share_the_instants_out_without_rest(picture: TimeRange, step: int, size: int) -> None:
    whole = TimeRange(0, picture.end)
    grain = max(size, step)
    pieces = [t for piece in whole.grains(grain, picture.end) for t in instants(piece, step, picture)]
    assert pieces == instants(whole, step, picture)


@given(pictures, steps)
def test_samples_lie_side_by_side_and_end_with_the_picture(picture: TimeRange, step: int) -> None:
    found = instants(TimeRange(0, picture.end), step, picture)
    ends = [sample_end(t, step, picture.end) for t in found]
    assert ends == [*found[1:], picture.end]


@given(pictures, steps, st.lists(st.tuples(spans(limit=80_000), steps), max_size=4))
def test_known_instants_are_those_sampled_before(picture: TimeRange, step: int, passes: list[tuple[TimeRange, int]]) -> None:
    whole, root = TimeRange(0, picture.end), first_instant(picture)
    asked = instants(whole, step, picture)
    cells = [(piece, every) for span, every in passes for piece in span.grains(max(8_000, every), picture.end)]
    looked = {t for piece, every in cells for t in instants(piece, every, picture)}
    assert known_instants(asked, cells, root) == looked & set(asked)
