"""Join stored pieces into shots and apply the minimum scene length of PySceneDetect's command.

Cuts are stored as candidates and selected here, on reading, so that stored notes do not depend on
earlier requests. Pure functions over notes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from analyzer_agent.records import Note
from analyzer_agent.timeline import TimeRange

MIN_SCENE_MS = 600
"""Minimum scene length in ms: a time, because frames may be seconds apart. At 25 frames per second it is 15 frames."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot.

    Attributes:
        ids: the note ids of its pieces, in time order.
        ordinal: its number from 1; None if the shots before it are not all known.
        open_start: coverage begins there, the shot may have begun earlier.
        open_end: coverage ends there, the shot may continue.
    """

    span: TimeRange
    ids: tuple[int, ...]
    ordinal: int | None
    open_start: bool
    open_end: bool


@dataclass(frozen=True, slots=True)
class CutCandidate:
    """A candidate cut: the pts of its first frame and of the frame before it, in ms."""

    at: int
    previous: int | None


def far_enough(earlier: int, later: int) -> bool:
    """Return whether two presentation times (ms) are at least the minimum scene length apart."""
    return later - earlier >= MIN_SCENE_MS


def adaptive_cuts(candidates: Sequence[CutCandidate], first: int | None) -> list[int]:
    """Return the cuts (ms) of `AdaptiveDetector`: those far enough from the previous cut.

    Args:
        candidates: in time order.
        first: pts (ms) of the video's first frame, which counts as a cut; None if the candidates
            begin later.
    """
    cuts: list[int] = []
    last = first
    for step in candidates:
        if last is None or far_enough(last, step.at):
            cuts.append(step.at)
            last = step.at
    return cuts


def content_cuts(candidates: Sequence[CutCandidate], first: int | None, end: int | None) -> list[int]:
    """Return the cuts (ms) of `ContentDetector`: PySceneDetect's `FlashFilter` in MERGE mode.

    Cuts in close succession are merged into the last of them, which counts once a frame without a
    cut is far enough from it: the frame before the next candidate, or `end`.

    Args:
        candidates: in time order.
        first: pts (ms) of the video's first frame, which counts as a cut; None if the candidates
            begin later.
        end: pts (ms) of the last analyzed frame.
    """
    cuts: list[int] = []
    last, began = first, None
    for step in candidates:
        if began is not None and last is not None and _merge_ends_in_cut(began, last, step.previous):
            cuts.append(last)
            began = None
        if began is None:
            if last is None or far_enough(last, step.at):
                cuts.append(step.at)
            elif cuts:
                began = step.at
        last = step.at
    if began is not None and last is not None and _merge_ends_in_cut(began, last, end):
        cuts.append(last)
    return cuts


def _merge_ends_in_cut(began: int, last: int, quiet: int | None) -> bool:
    """Return whether merging `began` to `last` gives a cut; `quiet`: last frame without a cut."""
    return quiet is not None and far_enough(began, last) and far_enough(last, quiet)


def cut_starts(notes: Iterable[Note]) -> list[int]:
    """Return the times (ms) of all candidate cuts among the stored pieces, in order."""
    return sorted(note.span.start for note in notes if _has_flag(note, "cut"))


def shot_starts(pieces: Iterable[Note], detector: Callable[[str], str]) -> list[int]:
    """Return when shots begin (ms) after a cut, in order.

    Args:
        pieces: the stored pieces of any keys, in time order.
        detector: returns the detector that made the pieces of a key.
    """
    by_key: dict[str, list[Note]] = {}
    for note in pieces:
        by_key.setdefault(note.key, []).append(note)
    shots = [shot for key, own in by_key.items() for shot in join_shots(own, detector(key), whole_from_zero=False)]
    return sorted({shot.span.start for shot in shots if not shot.open_start})


def join_shots(notes: Sequence[Note], detector: str, whole_from_zero: bool) -> list[Shot]:
    """Join stored pieces into shots.

    After a gap, and if the notes do not begin with the video, the first candidate is a cut.

    Args:
        notes: the pieces of one key in time order, possibly with gaps.
        detector: the detector that found them: "adaptive" or "content".
        whole_from_zero: coverage begins at 0, so shots up to the first gap can be numbered.

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
    """Split the pieces at gaps in coverage."""
    run: list[Note] = []
    for note in notes:
        if run and run[-1].span.end != note.span.start:
            yield run
            run = []
        run.append(note)
    if run:
        yield run


def _shots(run: Sequence[Note], detector: str, counted: bool) -> list[Shot]:
    """Join contiguous pieces into shots."""
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
    """Return the cuts (ms) in contiguous pieces."""
    first = run[0].span.start if _has_flag(run[0], "first") else None
    candidates, seen = [], None
    for note in run:
        detail = note.observation.detail
        if _has_flag(note, "cut") and not _has_flag(note, "first"):
            candidates.append(CutCandidate(note.span.start, seen))
        until = detail.get("until")
        seen = until if isinstance(until, int) else seen
    if not any("frame" in note.observation.detail for note in run):  # imported: decided by somebody else
        return {candidate.at for candidate in candidates}
    if detector == "adaptive":
        return set(adaptive_cuts(candidates, first))
    return set(content_cuts(candidates, first, seen))


def _has_flag(note: Note, mark: str) -> bool:
    return note.observation.detail.get(mark) is True
