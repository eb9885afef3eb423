"""What the ledger says of a video, as lanes: the best result counts, and what nobody looked at stays so."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.page.coverage import Looked, Segment, segments, unlooked
from analyzer_agent.records import Unexamined
from analyzer_agent.storage import GrainState
from analyzer_agent.timeline import TimeRange, merge

END = 100


def grain(start: int, end: int, step: int = 0, error: str = "") -> GrainState:
    return GrainState("k", TimeRange(start, end), step, not error, error)


def parts(found: list[Segment]) -> list[tuple[int, int, str, int]]:
    return [(s.span.start, s.span.end, s.state, s.step) for s in found]


def test_found_empty_and_failed_differ_and_neighbours_are_one() -> None:
    found = segments([grain(0, 10), grain(10, 20), grain(20, 30), grain(40, 50, error="out of memory")], [TimeRange(5, 12)])
    assert parts(found) == [(0, 20, "found", 0), (20, 30, "empty", 0), (40, 50, "failed", 0)]
    assert found[-1].why == "out of memory"


def test_the_finest_step_counts_where_several_looked() -> None:
    rows = [grain(0, 40, step=8000), grain(10, 20, step=1000)]
    assert parts(segments(rows, [])) == [(0, 10, "empty", 8000), (10, 20, "empty", 1000), (20, 40, "empty", 8000)]


def test_a_success_hides_the_failure_before_it() -> None:
    assert parts(segments([grain(0, 10, error="x"), grain(0, 10)], [])) == [(0, 10, "empty", 0)]


def test_what_could_not_be_decoded_is_not_told_as_empty() -> None:
    lost = Unexamined("text", TimeRange(5, 10), "undecodable")
    assert parts(segments([grain(0, 20)], [], [lost])) == [(0, 5, "empty", 0), (5, 10, "unread", 0), (10, 20, "empty", 0)]
    small = Unexamined("text", TimeRange(5, 10), "too_small")
    assert parts(segments([grain(0, 20)], [], [small])) == [(0, 20, "empty", 0)]


def test_cuts_and_motion_say_nothing_of_what_is_in_the_picture() -> None:
    cuts = Looked("picture", False, [Segment(TimeRange(0, END), "found")])
    text = Looked("picture", True, [Segment(TimeRange(0, 50), "found", 8000), Segment(TimeRange(10, 20), "found", 1000)])
    rows = unlooked([cuts, text], END, {"picture", "audio"})
    assert [(row.what, row.step, list(row.spans)) for row in rows] == [
        ("any", None, []),
        ("picture", None, [TimeRange(50, END)]),
        ("picture", 1000, [TimeRange(0, 10), TimeRange(20, END)]),
        ("audio", None, [TimeRange(0, END)]),
    ]


def test_of_steps_that_leave_the_same_parts_the_finest_is_told() -> None:
    steps = [Segment(TimeRange(0, 50), "found", step) for step in (1000, 2000, 4000)] + [Segment(TimeRange(50, 80), "empty", 8000)]
    rows = unlooked([Looked("picture", True, steps)], END, {"picture"})
    assert [(row.step, list(row.spans)) for row in rows[1:]] == [(None, [TimeRange(80, END)]), (1000, [TimeRange(50, END)])]


def test_a_failure_is_not_a_look() -> None:
    failed = Looked("audio", False, [Segment(TimeRange(0, END), "failed")])
    assert [list(row.spans) for row in unlooked([failed], END, {"audio"})] == [[TimeRange(0, END)]] * 2


spans = st.tuples(st.integers(0, END - 1), st.integers(1, 30)).map(lambda at: TimeRange(at[0], min(END, at[0] + at[1])))
grains = st.builds(GrainState, st.just("k"), spans, st.sampled_from([0, 125, 1000]), st.booleans(), st.just(""))


@given(st.lists(grains, max_size=12), st.lists(spans, max_size=4), st.lists(spans, max_size=3))
def test_segments_are_the_union_of_the_rows_in_order_and_never_overlap(
    rows: list[GrainState], notes: list[TimeRange], lost: list[TimeRange]
) -> None:
    found = segments(rows, notes, [Unexamined("x", span, "undecodable") for span in lost])
    assert merge(s.span for s in found) == merge([*(row.span for row in rows), *lost])
    assert all(a.span.end <= b.span.start for a, b in pairwise(found))
    for at in range(END):
        here = [row for row in rows if row.span.start <= at < row.span.end]
        state = next((s.state for s in found if s.span.start <= at < s.span.end), "never")
        if any(span.start <= at < span.end for span in lost):
            assert state == "unread"
        elif done := [row for row in here if row.done]:
            assert state == ("found" if any(row.span.overlaps(note) for row in done for note in notes) else "empty")
        else:
            assert state == ("failed" if here else "never")
