"""What analyzers have looked at in the videos of a session, and how closely: as ranges, and as text for a model."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer_agent.evidence.coverage_steps import finest_steps
from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.rendering import spans_text
from analyzer_agent.fencing import quoted
from analyzer_agent.protocols import Spec
from analyzer_agent.records import FEW_VIDEOS, GAP, LOST, Examined, ShownPicture
from analyzer_agent.storage import Covered, Store
from analyzer_agent.timeline import TimeRange, merge, seconds, total
from analyzer_agent.toolbox.library_coverage import library_coverage, library_lines

if TYPE_CHECKING:
    from analyzer_agent.toolbox.session_video import SessionVideo


_ANSWERS_TOLD, _WIDE_SHARE, _QUESTION_CHARS = 4, 0.25, 90
"""How many answered questions are told, the latest; the share of a video that they have looked at at least; their longest text."""


def asking(specs: Mapping[str, Spec]) -> set[str]:
    """Return the analyzers that answer one question each: what they have looked at says nothing for most others."""
    return {name for name, spec in specs.items() if spec.required and spec.exact}


def answered_widely(reader: NoteReader, session_video: "SessionVideo", within: TimeRange | None = None) -> list[str]:
    """Return what analyzers were asked about much of a video, a clause each: `look "Which objects fly past?" all of it every 2 s`.

    Their notes may answer another question as well, and to ask again is dear.
    """
    limit = within or session_video.scope
    asked = asked_questions(reader, session_video, limit, asking(reader.specs))
    wide = [one for one in asked if total(one.seen) >= _WIDE_SHARE * limit.length]
    return [f"{one.analyzer} {quoted(one.question, _QUESTION_CHARS)} {one.told}" for one in wide][-_ANSWERS_TOLD:]


@dataclass(frozen=True)
class AskedQuestion:
    """A question that an analyzer was asked about a video: where, in ms, by which cache keys, and how closely in words."""

    analyzer: str
    question: str
    keys: list[str]
    seen: list[TimeRange]
    told: str


def asked_questions(reader: NoteReader, session_video: "SessionVideo", limit: TimeRange, among: Collection[str]) -> list[AskedQuestion]:
    """Return what analyzers of `among` were asked about a video within `limit`, without what the managing model saw itself."""
    keys: dict[tuple[str, str], list[str]] = {}
    for made in reader.store.notes.provenances(video=session_video.video.id):
        # What the managing model saw itself, it saw for its own question.
        if made.analyzer in among and "view" not in made.params and (reader.only is None or made.analyzer in reader.only):
            keys.setdefault((made.analyzer, str(made.params.get("question", ""))), []).append(made.key)
    found = []
    for (analyzer, question), own in keys.items():
        parts = reader.store.ledger.covered(session_video.video.id, own, limit)
        if seen := merge(part for done in parts if (part := done.span.within(limit))):
            found.append(AskedQuestion(analyzer, question, own, seen, _closely(parts, seen, limit)))
    return found


def covered(
    store: Store, session_video: "SessionVideo", within: TimeRange | None = None, only: Collection[str] | None = None
) -> dict[str, list[TimeRange]]:
    """Return the ranges of a video that each analyzer has covered, with what it could not read there.

    Args:
        store: the store with the coverage ledger.
        session_video: the video.
        within: the part to report on; by default the video's scope.
        only: the analyzers to report on; None means all.
    """
    limit = within or session_video.scope
    done = _parts(store, session_video, limit, only)
    return {analyzer: merge(part for c in parts if (part := c.span.within(limit))) for analyzer, parts in done.items() if parts}


def _parts(store: Store, session_video: "SessionVideo", limit: TimeRange, only: Collection[str] | None) -> dict[str, list[Covered]]:
    done: dict[str, list[Covered]] = {}
    for provenance in store.notes.provenances(video=session_video.video.id):
        partial = "region" in provenance.params  # a part of the picture is not the picture
        if not partial and (only is None or provenance.analyzer in only):
            done.setdefault(provenance.analyzer, []).extend(store.ledger.covered(session_video.video.id, [provenance.key], limit))
    return done


def coverage_by_analyzer(
    store: Store, session_video: "SessionVideo", within: TimeRange | None = None, only: Collection[str] | None = None
) -> dict[str, str]:
    """Return what each analyzer has examined, and how closely: `all of it every 8 s, 0:10-0:20 every 1 s`; see `covered`.

    Each part is told once, at its finest step; the coarsest step is that of the rest where all was examined.
    """
    limit = within or session_video.scope
    seen = examined(store, session_video, limit, only)
    told = {name: _closely(parts, seen.get(name, ()), limit) for name, parts in _parts(store, session_video, limit, only).items()}
    return {name: text for name, text in told.items() if text}


def examined_parts(store: Store, session_video: "SessionVideo", specs: Mapping[str, Spec]) -> list[Examined]:
    """Return what the analyzers of `specs` have examined of a video within its scope, each part once at its finest step."""
    only = set(specs) - asking(specs)
    seen = examined(store, session_video, only=only)
    name = session_video.title or session_video.name
    return [
        Examined(analyzer, step, span, name)
        for analyzer, parts in _parts(store, session_video, session_video.scope, only).items()
        for step, spans in _by_step(parts, seen.get(analyzer, ()), session_video.scope).items()
        for span in spans
    ]


def _by_step(parts: Iterable[Covered], seen: Iterable[TimeRange], limit: TimeRange) -> dict[int, list[TimeRange]]:
    """Return the examined ranges by their finest step in ms, the coarsest first."""
    whole, found = merge(seen), dict[int, list[TimeRange]]()
    for step, span in finest_steps(parts, limit):
        found.setdefault(step, []).extend(part for done in whole if (part := done.within(span)))
    return {step: merge(found[step]) for step in sorted(found, reverse=True) if found[step]}


def _closely(parts: Iterable[Covered], seen: Iterable[TimeRange], limit: TimeRange) -> str:
    all_of_it = merge(seen) == [limit]
    return ", ".join(
        f"{'all of it' if not n and all_of_it else spans_text(spans)}{f' every {seconds(step):g} s' if step else ''}"
        for n, (step, spans) in enumerate(_by_step(parts, seen, limit).items())
    )


def examined(
    store: Store, session_video: "SessionVideo", within: TimeRange | None = None, only: Collection[str] | None = None
) -> dict[str, list[TimeRange]]:
    """Return the ranges of a video that each analyzer has covered, without what could not be read; see `covered`."""
    limit, video = within or session_video.scope, session_video.video.id
    lost: dict[str, list[TimeRange]] = {}
    for note in store.notes.read(video, limit, kinds=[GAP]):
        if note.observation.detail.get("reason") in LOST:
            lost.setdefault(note.analyzer, []).append(note.span)
    done = covered(store, session_video, limit, only)
    seen = {name: [part for span in spans for part in span.minus(lost.get(name, []))] for name, spans in done.items()}
    return {name: spans for name, spans in seen.items() if spans}


def coverage_sentence(
    reader: NoteReader, session_videos: Iterable["SessionVideo"], span: TimeRange | None = None, among: Collection[str] | None = None
) -> str:
    """Return a sentence on the coverage by some analyzers: an empty result does not mean that nothing is there.

    By default these are all but those that answer one question each, of which the questions are told. Of a library its length does not
    depend on the number of videos.
    """
    parts, several = list[str](), [*session_videos]
    if len(several) > FEW_VIDEOS:
        return f"Analyzed so far: {'. '.join(library_lines(library_coverage(reader, several, among, span))) or 'nothing yet'}."
    questions = asking(reader.specs)
    wanted, left_out = (reader.only, questions) if among is None else (among, set[str]())
    for session_video in several:
        limit = session_video.scope if span is None else span.within(session_video.scope)
        done = coverage_by_analyzer(reader.store, session_video, limit, wanted) if limit else {}
        name = f"{session_video.name}: " if len(several) > 1 else ""
        answered = answered_widely(reader, session_video, limit) if limit and not questions & set(among or ()) else []
        looked = "; ".join([*(f"{analyzer} {told}" for analyzer, told in sorted(done.items()) if analyzer not in left_out), *answered])
        parts.append(f"{name}{looked or 'nothing yet'}")
    return f"Analyzed so far: {'. '.join(parts)}."


def viewed_sentence(session_videos: Iterable["SessionVideo"], pictures: Collection[ShownPicture]) -> str:
    """Return a sentence on the parts that frames shown to the managing model stand for, and how closely; "" without any.

    Args:
        session_videos: the videos.
        pictures: the pictures of this question; a part of the frame is not the frame, and is left out.
    """
    parts, several = list[str](), [*session_videos]
    for session_video in several:
        own = [one for one in pictures if one.video == session_video.video.id and one.region is None]
        done = [Covered(one.span, max(b - a for a, b in pairwise([*one.times, one.span.end])), "") for one in own]
        if seen := merge(part for one in done if (part := one.span.within(session_video.scope))):
            name = f"{session_video.name}: " if len(several) > 1 else ""
            parts.append(f"{name}{_closely(done, seen, session_video.scope)}")
    return f"Frames viewed for this question: {'. '.join(parts)}." if parts else ""
