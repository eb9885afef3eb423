"""Write the notes on videos as one text in time order, with shots as headings.

Runs no analyzers. If the text exceeds the token budget, notes are dropped by a rule that the text
states.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.places import telling
from analyzer_agent.evidence.rendering import CHARS_PER_TOKEN, fold_repeats, whole_line
from analyzer_agent.toolbox import SessionVideo, Toolbox

_SPOKEN_KINDS = ("speech", "subtitle")
"""Kinds that are dropped last, because speech seldom repeats itself."""

_ANSWER_KINDS = ("look", "moment")
"""Kinds that answer a single question."""

_HALVINGS_BEFORE_SPEECH = 6
"""Number of times that other kinds are halved before `_SPOKEN_KINDS`."""


@dataclass(frozen=True, slots=True)
class DescriptionLine:
    """A finding with its repetitions in the shot; `heads` marks the line of a shot."""

    runs: tuple[MergedNote, ...]
    text: str
    heads: bool = False

    @property
    def id(self) -> int:
        """The id of the note by which the line is cited."""
        return self.runs[0].id


@dataclass(frozen=True, slots=True)
class Description:
    """A description of videos; `thinned` states which notes were dropped, or ""."""

    lines: tuple[DescriptionLine, ...]
    thinned: str = ""

    @property
    def text(self) -> str:
        """The lines, with an empty line before each shot."""
        return "\n".join(f"\n{line.text}" if line.heads and at else line.text for at, line in enumerate(self.lines))


def describe(
    toolbox: Toolbox,
    analyzers: Collection[str] | None = None,
    tokens: int | None = None,
    *,
    covered: bool = False,
    brief: bool = False,
) -> Description:
    """Return a description of the videos from their notes.

    Without `covered`, only notes of full runs with default options are used, so the text does not
    depend on earlier questions.

    Args:
        toolbox: the toolbox with the videos.
        analyzers: the analyzers whose notes to use; None means all that can run here.
        tokens: the token budget of the text.
        covered: use the stored notes of every analyzer, except answers to single questions.
        brief: leave out notes that say little, see `telling`.
    """
    by_offer = {}
    for session_video in toolbox.session_videos.values():
        runs = _covered(toolbox, session_video, analyzers) if covered else _found(toolbox, session_video, analyzers)
        by_offer[session_video.name] = sorted(telling(runs) if brief else runs, key=lambda run: (run.span.start, run.id))
    return _fit_to_budget(by_offer, tokens)


def _found(toolbox: Toolbox, session_video: SessionVideo, analyzers: Collection[str] | None) -> list[MergedNote]:
    tools = [tool for tool in toolbox.usable_without_query if analyzers is None or tool.spec.name in analyzers]
    return [run for tool in tools if not session_video.missing_input(tool.spec) for run in toolbox.known(tool, session_video)]


def _covered(toolbox: Toolbox, session_video: SessionVideo, analyzers: Collection[str] | None) -> list[MergedNote]:
    runs = toolbox.reader.merged_notes(session_video.video.id, session_video.scope)
    return [run for run in runs if run.kind not in _ANSWER_KINDS and (analyzers is None or run.notes[0].analyzer in analyzers)]


# --- lines ----------------------------------------------------------------------------------------------------------


def _lines(by_offer: Mapping[str, Sequence[MergedNote]]) -> list[DescriptionLine]:
    several = len(by_offer) > 1
    return [line for name, runs in by_offer.items() for line in _lines_of(runs, name if several else "")]


def _lines_of(runs: Sequence[MergedNote], name: str) -> Iterator[DescriptionLine]:
    """Yield the lines of one video; a finding is listed under the shot in which it starts."""
    shots = [run for run in runs if run.kind == "scene"]
    starts = [shot.span.start for shot in shots]
    within: list[list[MergedNote]] = [[] for _ in range(len(shots) + 1)]
    for run in runs:
        if run.kind != "scene":
            within[bisect_right(starts, run.span.start)].append(run)
    for at, inside in enumerate(within):
        if at:
            yield DescriptionLine((shots[at - 1],), whole_line([shots[at - 1]], name), heads=True)
        yield from (DescriptionLine(tuple(group), whole_line(group, name)) for group in fold_repeats(inside))


# --- room -----------------------------------------------------------------------------------------------------------


def _fit_to_budget(by_offer: Mapping[str, Sequence[MergedNote]], tokens: int | None) -> Description:
    """Return a description of at most `tokens`; drop few notes, and keep one of each kind."""
    for details, words in _levels():
        thin = {name: _thinned(runs, details, words) for name, runs in by_offer.items()}
        told = Description(tuple(_lines(thin)), _thinning_note(details, words))
        fits = tokens is None or len(told.text) <= tokens * CHARS_PER_TOKEN
        if fits or all(len({run.kind for run in runs}) == len(runs) for runs in thin.values()):
            break
    return told


def _levels() -> Iterator[tuple[int, int]]:
    """Yield pairs (n, m): use every n-th note of other kinds and every m-th of `_SPOKEN_KINDS`."""
    for n in count():
        yield 2**n, 2 ** max(0, n - _HALVINGS_BEFORE_SPEECH)


def _thinned(runs: Sequence[MergedNote], details: int, words: int) -> list[MergedNote]:
    kinds: dict[str, list[MergedNote]] = {}
    for run in runs:
        kinds.setdefault(run.kind, []).append(run)
    kept = []
    for kind, alike in kinds.items():
        each = words if kind in _SPOKEN_KINDS else details
        kept += [max(alike[at : at + each], key=lambda run: run.score or 0.0) for at in range(0, len(alike), each)]
    return sorted(kept, key=lambda run: (run.span.start, run.id))


def _thinning_note(details: int, words: int) -> str:
    if details == 1:
        return ""
    said = f"one of each {words} is" if words > 1 else "all are"
    return (
        f"Thinned to fit: of each {details} neighbouring notes of a kind the one with the highest score is told; "
        f"of speech and subtitles {said} told"
    )
