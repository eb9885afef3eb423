"""Evidence: hand-worked cases, and a second way of measuring that counts milliseconds one by one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.evals.score.evidence import best_overlap, certificate, certificates, evidence, iou_and_iop, moment, union_overlap
from analyzer_agent.timeline import TimeRange
from score_kit import gold, joined, line, rows_of


def spans(*pairs: tuple[int, int]) -> tuple[TimeRange, ...]:
    return tuple(TimeRange(start, end) for start, end in pairs)


SPAN = st.tuples(st.integers(0, 40), st.integers(0, 20)).map(lambda pair: TimeRange(pair[0], pair[0] + pair[1]))


@pytest.mark.parametrize(
    ("right", "given", "iou", "iop"),
    [
        ((10, 20), (10, 20), 1.0, 1.0),
        ((10, 20), (15, 25), 5 / 15, 5 / 10),
        ((10, 20), (12, 14), 2 / 10, 1.0),
        ((10, 20), (0, 40), 10 / 40, 10 / 40),
        ((10, 20), (30, 35), -10 / 25, -10 / 5),
        ((10, 20), (20, 20), 0.0, 1.0),
        ((10, 20), (21, 21), 0.0, 0.0),
    ],
)
def test_overlap_by_hand(right: tuple[int, int], given: tuple[int, int], iou: float, iop: float) -> None:
    assert iou_and_iop(TimeRange(*right), TimeRange(*given)) == pytest.approx((iou, iop))


def test_at_a_threshold_the_rounding_is_that_of_the_script() -> None:
    # The script subtracts seconds: (4.1 - 1.1) / (11.1 - 1.1) is 0.29999999999999993, so IoU@0.3 is missed.
    assert iou_and_iop(TimeRange(1100, 11_100), TimeRange(1100, 4100))[0] < 0.3
    assert iou_and_iop(TimeRange(0, 10_000), TimeRange(0, 3000))[0] == 0.3


def test_the_best_of_several_gold_spans_counts_each_by_itself() -> None:
    # Against (0, 100): IoU 10/100, IoP 1; against (8, 12): IoU 2/12, IoP 2/10.
    assert best_overlap(spans((0, 100), (8, 12)), TimeRange(0, 10)) == pytest.approx((2 / 12, 1.0))
    assert best_overlap(spans((50, 60)), TimeRange(0, 10)) == (0.0, 0.0)


@given(st.lists(SPAN, min_size=1, max_size=4), st.lists(SPAN, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_union_counts_each_millisecond_once(golds: list[TimeRange], cited: list[TimeRange]) -> None:
    ours, theirs = ({ms for span in found for ms in range(span.start, span.end)} for found in (cited, golds))
    iou = len(ours & theirs) / len(ours | theirs) if ours | theirs else 0.0
    assert union_overlap(golds, cited) == pytest.approx((iou, len(ours & theirs) / len(ours) if ours else 0.0))


@given(SPAN, SPAN)
@settings(deadline=None)
def test_one_span_against_one_is_the_same_either_way_where_they_meet(right: TimeRange, given: TimeRange) -> None:
    if given.length and right.length:
        assert best_overlap([right], given) == pytest.approx(union_overlap([right], [given]))


def test_the_moment_is_the_first_citation_with_what_touches_it() -> None:
    assert moment(spans((10, 12), (50, 60), (12, 15), (8, 10))) == TimeRange(8, 15)
    assert moment(spans((50, 60), (10, 12))) == TimeRange(50, 60)
    assert moment(spans((7, 7), (50, 60))) == TimeRange(7, 7)


@pytest.mark.parametrize(
    ("pairs", "length"),
    [
        ([(0, 0)], 100),
        ([(0, 30)], 100),
        ([(0, 1000)], 1000),
        ([(0, 1000), (5999, 7000)], 7000),
        ([(0, 1000), (6000, 7000)], 2000),
        ([(0, 1000), (500, 700)], 1000),
        # The shortest part is made longer first, so the gap shrinks below 5 s.
        ([(0, 0), (5099, 6000)], 6000),
        ([], 0),
    ],
)
def test_certificates_by_hand(pairs: list[tuple[int, int]], length: int) -> None:
    assert certificate(spans(*pairs)) == length


def test_the_table_by_hand(tmp_path: Path) -> None:
    right = gold(1, evidence=[[10, 20]])
    items = joined(
        tmp_path,
        line("a", "B", right, cites=[(10, 20)]),  # IoU 1, IoP 1, right
        line("b", "A", right, cites=[(12, 16)]),  # IoU 0.4, IoP 1, wrong
        line("c", "B", right, cites=[(15, 30), (10, 14)]),  # first: IoU 5/20, IoP 1/3; all: both 9 of 20, of 19
        line("d", "B", right),  # nothing cited
        line("e", "B", gold(1), cites=[(0, 5)]),  # no gold span
    )
    found = rows_of(evidence(items))
    iops = (1 + 1 + 1 / 3) * 100
    assert found["mIoP"] == pytest.approx((iops / 3, iops / 4, (2 + 9 / 19) * 25))
    assert found["IoP@0.3"] == pytest.approx((100, 75, 75)) and found["IoP@0.5"] == pytest.approx((200 / 3, 50, 50))
    assert found["mIoU"] == pytest.approx((165 / 3, 165 / 4, (1 + 0.4 + 9 / 20) * 25))
    assert found["IoU@0.3 (R@1)"] == pytest.approx((200 / 3, 50, 75))
    assert found["IoU@0.5 (R@1)"] == found["IoU@0.7 (R@1)"] == pytest.approx((100 / 3, 25, 25))
    assert found["Acc@GQA"] == pytest.approx((100 / 3, 25, 25))
    assert rows_of(certificates(items)) == {"cited": (4, pytest.approx((10 + 4 + 20 + 5) / 4), 7.5, 20.0), "gold": (4, 10.0, 10.0, 10.0)}


def test_without_gold_spans_or_citations_there_is_nothing_to_tell(tmp_path: Path) -> None:
    items = joined(tmp_path, line("a", "B", gold(1)))
    assert evidence(items) is None and certificates(items) is None
    nothing_cited = joined(tmp_path, line("a", None, gold(None, evidence=[[1, 2]]), finished="not_found"))
    assert rows_of(evidence(nothing_cited))["mIoP"] == (None, 0.0, 0.0) and "Acc@GQA" not in rows_of(evidence(nothing_cited))
