"""What a page shows, as one JSON document: videos with lanes, notes and coverage, and the conversations about them.

Times are ms. Every text is sanitized here, and shown as text by the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.evidence.rendering import joined_note
from analyzer_agent.page.coverage import Looked, Needs, Segment, segments, unlooked
from analyzer_agent.page.stills import is_image, stills
from analyzer_agent.page.turns import Cited, clean, turn_of
from analyzer_agent.protocols import Spec, Video
from analyzer_agent.sanitize import one_line, sanitize
from analyzer_agent.storage import CHAPTERS, GrainState
from analyzer_agent.timeline import TimeRange

NOTE_FIELDS = ("id", "lane", "kind", "start", "end", "text", "engine", "uncertain", "score", "words")
"""The order of a note's fields in the document: twenty thousand notes need not repeat their names."""


@dataclass(frozen=True, slots=True)
class PageVideo:
    """A video of a page.

    Attributes:
        video: the video, which tells its length and what it has.
        name: its name for people.
        url: the address of its file, relative to the page or absolute; "" if there is no file.
        thumbnails: (instant in ms, data URL) of frames over the whole length.
        embedded: whether the page contains the file itself.
    """

    video: Video
    name: str
    url: str = ""
    thumbnails: Sequence[tuple[int, str]] = ()
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class _Lane:
    """A row of the strip: an analyzer, or of speech one voice."""

    analyzer: str
    speaker: str = ""


def build_document(
    reader: NoteReader | None,
    specs: Mapping[str, Spec],
    videos: Sequence[PageVideo],
    sessions: Iterable[Mapping[str, Any]] = (),
    *,
    with_stills: bool = True,
) -> dict[str, Any]:
    """Return the document of a page.

    Args:
        reader: reads the notes; None if there is no store.
        specs: all analyzers by name, in the order of their lanes.
        videos: the videos.
        sessions: `name`, `begun` and `turns` of each conversation to show, as the store's history has them.
        with_stills: put the cited frames into the document; a page of a server asks for them.
    """
    shown = [_video(reader, specs, video) for video in videos]
    cited = Cited.of(reader, {video.video.id: video.name for video in videos})
    conversations = [
        {"name": one_line(session["name"]), "begun": session["begun"], "turns": [turn_of(turn, cited) for turn in session["turns"]]}
        for session in sessions
    ]
    return {
        "fields": NOTE_FIELDS,
        "videos": shown,
        "sessions": conversations,
        "stills": _stills(videos, conversations) if with_stills else {},
    }


def _stills(videos: Sequence[PageVideo], conversations: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, str]]:
    """Return the cited frames as data URLs: video id -> instant in ms -> picture."""
    wanted: dict[str, set[int]] = {}
    for answer in (turn["answer"] for talk in conversations for turn in talk["turns"] if turn["answer"]):
        for citation in answer["citations"]:
            wanted.setdefault(citation["video"], set()).add(citation["at"])
    return {shown.video.id: stills(shown.video, wanted.get(shown.video.id, ())) for shown in videos if shown.url}


def _video(reader: NoteReader | None, specs: Mapping[str, Spec], shown: PageVideo) -> dict[str, Any]:
    video = shown.video
    whole = TimeRange(0, max(video.duration, 1))
    runs = reader.merged_notes(video.id, whole) if reader else []
    covered = _covered(reader, video, whole, runs)
    lanes = _lanes(runs, covered, specs)
    number = {lane: n for n, lane in enumerate(lanes)}
    has = _has(video)
    looked = [Looked(_needs(specs, name), bool(name in specs and specs[name].step), parts) for name, parts in covered.items()]
    return {
        "id": video.id,
        "name": one_line(shown.name),
        "duration": whole.end,
        "url": shown.url,
        "embedded": shown.embedded,
        "size": list(video.size),
        "rate": float(video.rate),
        "image": is_image(video),
        "thumbnails": [list(thumbnail) for thumbnail in shown.thumbnails],
        "lanes": [_lane(lane, specs, covered.get(lane.analyzer, [])) for lane in lanes],
        "notes": [_note(reader, run, number[_lane_of(run)]) for run in runs] if reader else [],
        "unlooked": [
            {"what": row.what, "step": row.step, "spans": [[s.start, s.end] for s in row.spans]} for row in unlooked(looked, whole.end, has)
        ],
        "never_ran": [
            name for name, spec in specs.items() if name not in covered and not spec.required and (not spec.needs or spec.needs in has)
        ],
    }


def _has(video: Video) -> set[Needs]:
    given: tuple[tuple[Needs, object], ...] = (
        ("picture", video.picture),
        ("audio", video.audio_tracks),
        ("subtitles", video.subtitle_tracks),
    )
    return {name for name, there in given if there}


def _needs(specs: Mapping[str, Spec], analyzer: str) -> Needs:
    return specs[analyzer].needs if analyzer in specs else ""


def _covered(reader: NoteReader | None, video: Video, whole: TimeRange, runs: Iterable[MergedNote]) -> dict[str, list[Segment]]:
    """Return the segments of each analyzer that looked or failed, by its name."""
    if reader is None:
        return {}
    grains: dict[str, list[GrainState]] = {}
    analyzers: dict[str, str] = {}
    for grain in reader.store.ledger.grains(video.id):
        if grain.key not in analyzers:
            analyzers[grain.key] = reader.store.notes.provenance(grain.key).analyzer
        if analyzers[grain.key] != CHAPTERS:
            grains.setdefault(analyzers[grain.key], []).append(grain)
    unread = reader.unheard(video.id, whole)
    spans: dict[str, list[TimeRange]] = {}
    for run in runs:
        spans.setdefault(run.notes[0].analyzer, []).append(run.span)
    order = {name: n for n, name in enumerate(reader.specs)}
    names = sorted(grains, key=lambda name: (order.get(name, len(order)), name))
    return {name: segments(grains[name], spans.get(name, ()), [u for u in unread if u.analyzer == name]) for name in names}


def _lanes(runs: Iterable[MergedNote], covered: Mapping[str, Sequence[Segment]], specs: Mapping[str, Spec]) -> list[_Lane]:
    """Return the lanes in the order of the analyzers, voices in that of their first words."""
    with_notes = dict.fromkeys(_lane_of(run) for run in runs)
    empty = [_Lane(name) for name in covered if name not in {lane.analyzer for lane in with_notes}]
    order = {name: n for n, name in enumerate(specs)}
    return sorted([*with_notes, *empty], key=lambda lane: (order.get(lane.analyzer, len(order)), lane.analyzer))


def _lane_of(run: MergedNote) -> _Lane:
    speaker = run.notes[0].observation.detail.get("speaker") if run.kind == "speech" else None
    return _Lane(run.notes[0].analyzer, one_line(speaker) if isinstance(speaker, str) else "")


def _lane(lane: _Lane, specs: Mapping[str, Spec], parts: Sequence[Segment]) -> dict[str, Any]:
    return {
        "analyzer": one_line(lane.analyzer),
        "speaker": lane.speaker,
        "needs": _needs(specs, lane.analyzer),
        "coverage": [[s.span.start, s.span.end, s.state, s.step, one_line(s.why)] for s in parts],
    }


def _note(reader: NoteReader, run: MergedNote, lane: int) -> list[Any]:
    note = joined_note(reader.store, "", run)
    words = [[sanitize(word.text), word.span.start, word.span.end] for word in note.words] or None
    score = None if note.score is None else clean(round(note.score, 3))
    about = [note.id, lane, note.kind, note.span.start, note.span.end, sanitize(note.text), one_line(note.engine)]
    return [*about, int(note.uncertain), score, words]
