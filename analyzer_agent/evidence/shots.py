"""Shots from stored pieces: joins what was cut at grains' edges and applies PySceneDetect's minimum scene length on reading.

Pure functions over notes. Knows nothing of pictures, detectors or the store: cuts are stored as candidates, and which of them
count is decided here, so that what is stored never depends on what was asked before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from analyzer_agent.records import JSON, Note
from analyzer_agent.timeline import TimeRange

MIN_SCENE_LEN = 15
"""The shortest scene, in frames at the average rate (the default of PySceneDetect's detectors)."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot: its pieces' note ids in time order, its number (from 1; None where the shots before it are not all known).

    `open_start` and `open_end` tell that the coverage ends there, while the shot may go on.
    """

    span: TimeRange
    ids: tuple[int, ...]
    ordinal: int | None
    open_start: bool
    open_end: bool


@dataclass(frozen=True, slots=True)
class CutCandidate:
    """A candidate cut as the minimum length sees it: when it appears, and when the frame before it did (ms)."""

    at: int
    previous: int | None


def far_enough(earlier: int, later: int, rate: Fraction) -> bool:
    """Tell whether two presentation times (ms) are at least `MIN_SCENE_LEN` frames apart, counted as PySceneDetect counts.

    Source: `FrameTimecode.__sub__` and `frame_num` of PySceneDetect 0.7: the difference in seconds times the rate, rounded half to even.
    """
    return round((later - earlier) / 1000 * float(rate)) >= MIN_SCENE_LEN


def adaptive_cuts(candidates: Sequence[CutCandidate], first: int | None, rate: Fraction) -> list[int]:
    """Return the times (ms) of the cuts that count for `AdaptiveDetector`: each far enough from the one before it.

    `first` is the video's first frame, which counts as the cut before the first; None if the candidates begin later.
    """
    cuts: list[int] = []
    last = first
    for step in candidates:
        if last is None or far_enough(last, step.at, rate):
            cuts.append(step.at)
            last = step.at
    return cuts


def content_cuts(candidates: Sequence[CutCandidate], first: int | None, end: int | None, rate: Fraction) -> list[int]:
    """Return the times (ms) of the cuts that count for `ContentDetector`: `FlashFilter` in its MERGE mode.

    Cuts that follow each other too fast are merged into the last of them, and that one counts as soon as a frame without a cut
    is far enough from it: the frame before the next candidate, or `end`, the last frame that was seen (ms).
    """
    cuts: list[int] = []
    last, began = first, None
    for step in candidates:
        if began is not None and last is not None and _merge_ends_in_cut(began, last, step.previous, rate):
            cuts.append(last)
            began = None
        if began is None:
            if last is None or far_enough(last, step.at, rate):
                cuts.append(step.at)
            elif cuts:
                began = step.at
        last = step.at
    if began is not None and last is not None and _merge_ends_in_cut(began, last, end, rate):
        cuts.append(last)
    return cuts


def _merge_ends_in_cut(began: int, last: int, quiet: int | None, rate: Fraction) -> bool:
    """Tell whether a merge that began at `began` ends with a cut at `last`, when `quiet` is the last frame without a cut after it."""
    return quiet is not None and far_enough(began, last, rate) and far_enough(last, quiet, rate)


def join_shots(notes: Sequence[Note], detector: str, whole_from_zero: bool) -> list[Shot]:
    """Join stored pieces into shots.

    `notes` are the pieces of one key in time order, with or without holes; `detector` is the one that found them ("adaptive" or
    "content"). Ordinals are given up to the first hole, and only with `whole_from_zero` and the video's first piece among the notes.
    Where the notes begin later, or after a hole, the minimum length starts afresh: the first candidate counts.

    Raises:
        ValueError: `detector` is unknown.
    """
    if detector not in ("adaptive", "content"):
        raise ValueError(f"unknown detector {detector!r}; known are 'adaptive' and 'content'")
    shots: list[Shot] = []
    for run in _runs(notes):
        counted = whole_from_zero and not shots and _has_flag(run[0], "first")
        shots += _shots(run, detector, counted)
    return shots


def _runs(notes: Sequence[Note]) -> Iterator[list[Note]]:
    """Split the pieces at holes in the coverage."""
    run: list[Note] = []
    for note in notes:
        if run and run[-1].span.end != note.span.start:
            yield run
            run = []
        run.append(note)
    if run:
        yield run


def _shots(run: Sequence[Note], detector: str, counted: bool) -> list[Shot]:
    """Join the pieces of one run without holes."""
    cuts = _cuts(run, detector)
    groups: list[list[Note]] = [[run[0]]]
    for note in run[1:]:
        if _has_flag(note, "cut") and note.span.start in cuts:
            groups.append([])
        groups[-1].append(note)
    whole_start = _has_flag(run[0], "cut") and (_has_flag(run[0], "first") or run[0].span.start in cuts)
    return [
        Shot(
            span=TimeRange(group[0].span.start, group[-1].span.end),
            ids=tuple(note.id for note in group),
            ordinal=number if counted else None,
            open_start=number == 1 and not whole_start,
            open_end=number == len(groups) and not _has_flag(group[-1], "last"),
        )
        for number, group in enumerate(groups, 1)
    ]


def _cuts(run: Sequence[Note], detector: str) -> set[int]:
    """Return the times (ms) of the cuts of one run that count."""
    first = run[0].span.start if _has_flag(run[0], "first") else None
    candidates, seen, rate = [], None, Fraction(1)
    for note in run:
        detail = note.observation.detail
        if _has_flag(note, "cut") and not _has_flag(note, "first"):
            rate = _rate(detail)
            candidates.append(CutCandidate(note.span.start, seen))
        until = detail.get("until")
        seen = until if isinstance(until, int) else seen
    if detector == "adaptive":
        return set(adaptive_cuts(candidates, first, rate))
    return set(content_cuts(candidates, first, seen, rate))


def _has_flag(note: Note, mark: str) -> bool:
    return note.observation.detail.get(mark) is True


def _rate(detail: Mapping[str, JSON]) -> Fraction:
    """Return the average frame rate that a cut was stored with."""
    return Fraction(str(detail["rate"]))
