"""Shots: joined over grains, with PySceneDetect's own rules for the minimum length."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import scenedetect
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.evidence.shots import MIN_SCENE_MS, Shot, join_shots
from analyzer_agent.records import Note, Observation
from analyzer_agent.timeline import TimeRange

MIN_S = (MIN_SCENE_MS - 0.5) / 1000
"""The minimum length in seconds, safe from rounding, since times are whole ms."""


def pieces_of(times: Sequence[int], above: Sequence[bool], rate: Fraction, end: int, edges: Sequence[int] = ()) -> list[Note]:
    """Return what would be stored for frames at `times` (ms), cut at `edges` as grains would."""
    cuts = {t for t, is_cut in zip(times, above, strict=True) if is_cut}
    starts = sorted({times[0], *cuts, *(edge for edge in edges if times[0] < edge < end)})
    found: list[Note] = []
    for start, stop in itertools.pairwise([*starts, end]):
        inside = [t for t in times if start <= t < stop]
        detail: dict[str, Any] = {"continues": True}
        if start in cuts or start == times[0]:
            detail = {"cut": True, "pts": start, "frame": 0, "rate": str(rate)}
        detail |= {"until": inside[-1]} if inside else {}
        detail |= {"first": True} if start == times[0] else {}
        detail |= {"last": True} if stop == end else {}
        found.append(Note(len(found) + 1, "v", "scenes", "k", Observation(TimeRange(start, stop), "scene", "shot", detail=detail)))
    return found


def library_cuts(times: Sequence[int], above: Sequence[bool], rate: Fraction, detector: str) -> list[int]:
    """Return the cuts that PySceneDetect's own rules let through, fed frame by frame."""
    codes = [scenedetect.FrameTimecode(scenedetect.common.Timecode(t, Fraction(1, 1000)), rate) for t in times]
    if detector == "content":
        keep = scenedetect.detector.FlashFilter(scenedetect.detector.FlashFilter.Mode.MERGE, MIN_S)
        return [cut.pts for code, is_cut in zip(codes, above, strict=True) for cut in keep.filter(code, is_cut)]

    class Fed(scenedetect.AdaptiveDetector):  # type: ignore[misc]
        """The real rule of the adaptive detector, on given scores instead of pictures."""

        def _calculate_frame_score(self, timecode: Any, frame_img: Any) -> float:
            return float(frame_img)

    fed = Fed(min_scene_len=MIN_S, window_width=1, adaptive_threshold=0.0, min_content_val=15.0)
    padded = [*codes, codes[-1] + 1]
    scores = [100.0 if is_cut else 0.0 for is_cut in [*above, False]]
    return [cut.pts for code, score in zip(padded, scores, strict=True) for cut in fed.process_frame(code, score)]


@st.composite
def footage(draw: st.DrawFn) -> tuple[list[int], list[bool], Fraction, list[int]]:
    rate = draw(st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(10), Fraction(1000, 41)]))
    count = draw(st.integers(3, 120))
    if draw(st.booleans()):
        steps = draw(st.lists(st.integers(1, 160), min_size=count - 1, max_size=count - 1))
        times = list(itertools.accumulate([draw(st.integers(0, 3000)), *steps]))
    else:
        times = [-(-i * 1000 * rate.denominator // rate.numerator) for i in range(count)]
    dense = draw(st.integers(1, 30))
    above = [False, *(draw(st.integers(0, dense)) == 0 for _ in times[1:])]
    edges = draw(st.lists(st.integers(0, times[-1] + 40), max_size=6))
    return times, above, rate, edges


@settings(max_examples=400, deadline=None)
@given(footage(), st.sampled_from(["adaptive", "content"]))
def test_the_minimum_length_equals_the_library_fed_frame_by_frame(clip: Any, detector: str) -> None:
    times, above, rate, edges = clip
    notes = pieces_of(times, above, rate, times[-1] + 40, edges)
    shots = join_shots(notes, detector, True)
    assert [shot.span.start for shot in shots] == [times[0], *library_cuts(times, above, rate, detector)]
    assert [shot.ordinal for shot in shots] == list(range(1, len(shots) + 1))
    assert [i for shot in shots for i in shot.ids] == [note.id for note in notes]
    assert not any(shot.open_start or shot.open_end for shot in shots)
    assert [shot.span.end for shot in shots] == [*(shot.span.start for shot in shots[1:]), times[-1] + 40]


def simple(edges: Sequence[int] = (4000, 8000)) -> list[Note]:
    """Return ten seconds at 25 frames per second with cuts at 2 s and 6 s, in grains that end at `edges`."""
    times = list(range(0, 10_000, 40))
    return pieces_of(times, [t in (2000, 6000) for t in times], Fraction(25), 10_000, edges)


def test_shots_are_joined_over_grains_and_numbered() -> None:
    assert join_shots(simple(), "adaptive", True) == [
        Shot(TimeRange(0, 2000), (1,), 1, False, False),
        Shot(TimeRange(2000, 6000), (2, 3), 2, False, False),
        Shot(TimeRange(6000, 10_000), (4, 5), 3, False, False),
    ]


def test_after_a_hole_nothing_is_numbered_and_ends_are_open() -> None:
    notes = [note for note in simple() if note.span.start != 4000]
    assert join_shots(notes, "content", True) == [
        Shot(TimeRange(0, 2000), (1,), 1, False, False),
        Shot(TimeRange(2000, 4000), (2,), 2, False, True),
        Shot(TimeRange(6000, 10_000), (4, 5), None, False, False),
    ]
    assert join_shots(simple()[2:3], "content", False) == [Shot(TimeRange(4000, 6000), (3,), None, True, True)]
    assert [shot.ordinal for shot in join_shots(simple(), "adaptive", False)] == [None, None, None]
    assert [shot.ordinal for shot in join_shots(simple()[1:], "adaptive", True)] == [None, None]
    assert join_shots([], "adaptive", True) == []


def test_a_frame_shown_for_longer_than_a_grain_is_one_shot() -> None:
    notes = pieces_of([0, 40, 80], [False] * 3, Fraction(25), 200_000, [60_000, 120_000, 180_000])
    assert join_shots(notes, "content", True) == [Shot(TimeRange(0, 200_000), (1, 2, 3, 4), 1, False, False)]
