"""Coverage of a session's videos: the analyzed ranges and the gaps, as ranges and as text."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.rendering import spans_text
from analyzer_agent.records import Unexamined, VideoRecord
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, merge
from analyzer_agent.toolbox.session_video import SessionVideo, Tool, missing_input

if TYPE_CHECKING:
    from analyzer_agent.toolbox import Toolbox


def covered(
    store: Store, session_video: SessionVideo, within: TimeRange | None = None, only: Collection[str] | None = None
) -> dict[str, list[TimeRange]]:
    """Return the ranges of a video that each analyzer has covered.

    Args:
        store: the store with the coverage ledger.
        session_video: the video.
        within: the part to report on; by default the video's scope.
        only: the analyzers to report on; None means all.
    """
    limit = within or session_video.scope
    done: dict[str, list[TimeRange]] = {}
    for provenance in store.notes.provenances(video=session_video.video.id):
        if only is not None and provenance.analyzer not in only:
            continue
        spans = [c.span.within(limit) for c in store.ledger.covered(session_video.video.id, [provenance.key], limit)]
        done.setdefault(provenance.analyzer, []).extend(span for span in spans if span)
    return {analyzer: merge(spans) for analyzer, spans in done.items() if spans}


def video_records(toolbox: "Toolbox") -> tuple[VideoRecord, ...]:
    """Return the facts about a session's videos, for a manager that reads records."""
    return tuple(_video_record(toolbox, session_video) for session_video in toolbox.session_videos.values())


def _video_record(toolbox: "Toolbox", session_video: SessionVideo) -> VideoRecord:
    scope, specs = session_video.scope, toolbox.reader.specs
    whole = [name for name, spans in toolbox.covered(session_video).items() if spans == [scope] and name in specs]
    lacking = [tool.spec.tool for tool in toolbox.offered if missing_input(tool.spec, session_video)]
    return VideoRecord(
        session_video.video.id,
        session_video.name,
        scope,
        frozenset(specs[name].tool for name in whole),
        # Nobody knows what a missing file holds.
        frozenset() if session_video.unavailable_reason else frozenset(lacking),
    )


def unexamined(
    store: Store, session_videos: Iterable[SessionVideo], tools: Mapping[str, Tool], missing: Mapping[str, str]
) -> list[Unexamined]:
    """Return the gaps of each analyzer in each video.

    Args:
        store: the store with the coverage ledger.
        session_videos: the videos.
        tools: the analyzers that can run here, by name.
        missing: the analyzers that cannot run here: reason by name.
    """
    found: list[Unexamined] = []
    for session_video in session_videos:
        done = covered(store, session_video)
        reasons: dict[str, str] = {}
        for name, tool in tools.items():
            if why := session_video.unavailable_reason or tool.unavailable_reason:
                reasons[name] = why
            elif not missing_input(tool.spec, session_video):
                reasons[name] = ""
        for name, why in (reasons | dict(missing)).items():
            gaps = session_video.scope.minus(done.get(name, []))
            found += [Unexamined(name, gap, "unavailable" if why else "unseen", why, session_video.video.id) for gap in gaps]
    return found


def coverage_text(spans: list[TimeRange], scope: TimeRange) -> str:
    """Return ranges as text of bounded length."""
    return "all of it" if spans == [scope] else spans_text(spans)


def coverage_sentence(reader: NoteReader, session_videos: Iterable[SessionVideo], span: TimeRange | None = None) -> str:
    """Return a sentence on the coverage: an empty result does not mean that nothing is there."""
    parts = []
    several = [*session_videos]
    for session_video in several:
        limit = session_video.scope if span is None else span.within(session_video.scope)
        done = covered(reader.store, session_video, limit, reader.only) if limit else {}
        name = f"{session_video.name}: " if len(several) > 1 else ""
        looked = "; ".join(f"{analyzer} {coverage_text(spans, limit)}" for analyzer, spans in sorted(done.items())) if limit else ""
        parts.append(f"{name}{looked or 'nothing yet'}")
    return f"Looked at so far: {'. '.join(parts)}."
