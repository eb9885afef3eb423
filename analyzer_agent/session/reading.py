"""Notes of a session's videos, read and searched without a question."""

from collections.abc import Iterable, Sequence

from analyzer_agent.config import PathLike
from analyzer_agent.errors import AgentError
from analyzer_agent.evidence.reading import Run
from analyzer_agent.evidence.words import words_of
from analyzer_agent.records import JoinedNote, Word
from analyzer_agent.timeline import TimeRange, clock, parse
from analyzer_agent.toolbox import Offer, Toolbox
from analyzer_agent.tools.meaning import kinds_meant

_MOST = 1000
"""How many findings are looked through for those within the scope of their video."""


def notes(toolbox: Toolbox, places: Sequence[tuple[Offer, TimeRange]], kinds: Sequence[str] | None) -> list[JoinedNote]:
    """Return the notes of these parts of videos, video by video, in time order."""
    found = [(offer, toolbox.reader.runs(offer.video.id, span, kinds=kinds)) for offer, span in places]
    return [_joined(toolbox, offer, run) for offer, runs in found for run in runs]


def search(
    toolbox: Toolbox, words: str, places: Sequence[tuple[Offer, TimeRange]], kinds: Sequence[str] | None, limit: int
) -> list[JoinedNote]:
    """Return the notes that best match any of the words, best first."""
    offers = {offer.video.id: offer for offer, _ in places}
    spans = {offer.video.id: span for offer, span in places}
    around = TimeRange(min(span.start for span in spans.values()), max(span.end for span in spans.values()))
    found = toolbox.reader.search(words, list(offers), span=around, kinds=kinds, limit=_MOST)
    runs = [run for run in found if run.span.overlaps(spans[run.video])][:limit]
    return [_joined(toolbox, offers[run.video], run) for run in runs]


def places(
    offers: Iterable[Offer], video: PathLike | None, start: float | str | None, end: float | str | None
) -> list[tuple[Offer, TimeRange]]:
    """Return the part of each video that is meant, within its scope.

    Raises:
        AgentError: there is no such video, or a time is none.
    """
    known = {offer.name: offer for offer in offers}
    if video is not None:
        named = {str(one): offer for offer in known.values() for one in (offer.name, offer.title, offer.video.path) if one}
        if str(video) not in named:
            raise AgentError(f"This session has no video {str(video)!r}.", hint=f"Choose from: {', '.join(known)}.")
        known = {named[str(video)].name: named[str(video)]}
    last = max(offer.scope.end for offer in known.values())
    begin, until = 0 if start is None else _time(start), last if end is None else _time(end)
    if until <= begin:
        raise AgentError(f"The range {clock(begin)}-{clock(until)} is empty or backwards.", hint="`end` must come after `start`.")
    return [(offer, part) for offer in known.values() if (part := TimeRange(begin, until).within(offer.scope))]


def kinds_of(given: Sequence[str] | None) -> list[str] | None:
    """Return the kinds of notes that are meant; the names of analyzers stand for theirs.

    Raises:
        AgentError: there is no such kind.
    """
    if given is None:
        return None
    kinds = [given] if isinstance(given, str) else list(given)
    return [kind for name in kinds for kind in kinds_meant(name)] or None


def _time(given: float | str) -> int:
    try:
        return parse(given)
    except ValueError as error:
        raise AgentError(f"{error}.") from error


def _joined(toolbox: Toolbox, offer: Offer, run: Run) -> JoinedNote:
    first = run.notes[0]
    engine = toolbox.store.notes.recipe(first.key).engine
    words = tuple(Word(word.text, TimeRange(word.start, word.end), word.prob) for word in words_of(run))
    about = (offer.title or offer.name, run.kind, first.analyzer, engine)
    return JoinedNote(run.id, *about, run.span, run.text, run.score, run.uncertain, tuple(note.id for note in run.notes), words)
