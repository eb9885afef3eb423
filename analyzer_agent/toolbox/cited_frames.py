"""What a model that saw frames says of those it cites, stored as notes of kind `look` through the ledger."""

import hashlib
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, zip_longest
from typing import cast

from analyzer_agent.events import discard
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.protocols import Analyzer, Grain, Spec, Video
from analyzer_agent.records import JSON, Note, Observation, ShownPicture
from analyzer_agent.storage import Store
from analyzer_agent.timeline import FINEST_STEP, TimeRange, clock
from analyzer_agent.toolbox.answer_check import CheckedAnswer
from analyzer_agent.toolbox.citations import INSTANT_MS, cited_ids, renumber, sentences_with_ids, with_parts
from analyzer_agent.toolbox.finish_call import DraftAnswer

LOOK_KIND = "look"


class FrameAnswers(Analyzer):
    """A finished model answer in the form of an analyzer, so that it is stored through the ledger.

    Each question is a separate lane, so that answers to different questions do not replace one
    another.
    """

    version = "1"

    def __init__(self, model: str, asked: Mapping[str, JSON], said: Mapping[int, Observation]) -> None:
        self.engine, self.params, self._said = model, asked, said
        self.lane = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the sentences on its frame, if any."""
        for grain in grains:
            yield grain, [self._said[grain.span.start]] if grain.span.start in self._said else []


def naming_frames(store: Store, draft: DraftAnswer, shown: Mapping[int, ShownPicture]) -> tuple[DraftAnswer, dict[int, ShownPicture]]:
    """Return a draft in which each mark that names a part of a sheet cites a picture of that part alone, and these pictures.

    Args:
        store: the store, which gives the numbers.
        draft: what the model wrote.
        shown: the pictures that it was shown, by number.
    """
    parts: dict[tuple[int, TimeRange], ShownPicture] = {}

    def find(number: int, part: TimeRange, is_moment: bool) -> int:
        sheet = shown.get(number)
        if sheet is None or len(sheet.times) == 1 or not part.overlaps(sheet.span):
            return number
        span, times = _frames_of(sheet, part, is_moment)
        if (number, span) not in parts:
            (own,) = store.notes.reserve_ids(1)
            parts[number, span] = replace(sheet, number=own, span=span, times=times, sheet=sheet)
        return parts[number, span].number

    text = with_parts(draft.text, find)
    return draft.reworded(text), {picture.number: picture for picture in parts.values()}


def _frames_of(sheet: ShownPicture, part: TimeRange, is_moment: bool) -> tuple[TimeRange, tuple[int, ...]]:
    """Return the span and the frames of a part of a sheet: a moment names one frame, which stands for at most `INSTANT_MS`.

    Frames are labelled with instants, so that a range which names two of them means both.
    """
    if is_moment or not (times := tuple(t for t in sheet.times if part.start - _SAME_FRAME_MS <= t <= part.end + _SAME_FRAME_MS)):
        at = min(range(len(sheet.times)), key=lambda n: abs(sheet.times[n] - part.start))
        edges = (*sheet.times, sheet.span.end)
        start = edges[at]
        return TimeRange(start, max(start + 1, min(edges[at + 1], start + INSTANT_MS))), (start,)
    return TimeRange(max(part.start, sheet.span.start), min(part.end, sheet.span.end)), times


def said_of(answer: CheckedAnswer, times: Mapping[int, str]) -> dict[int, str]:
    """Return for each cited number the sentences that cite it, or else the whole answer.

    Args:
        answer: the answer.
        times: the times of the numbers, see `sentences_with_ids`.
    """
    parts = [(text, ids) for text, ids in sentences_with_ids(answer.text, times) if text]
    whole = " ".join(text for text, _ in parts) or answer.choice or answer.text
    said = {number: " ".join(text for text, ids in parts if number in ids) or whole for number in answer.cited}
    # The letter of an option means nothing to another question.
    letter = re.compile(rf"[(\[*\s]*(?:option\s+)?{answer.choice}(?:\s*[)\].:*]+|\s+[-\u2013\u2014])\s*(?=\S)", re.I)
    return {number: letter.sub("", text, count=1) if answer.choice and letter.match(text) else text for number, text in said.items()}


def keep_sentences(
    store: Store,
    video: Video,
    model: str,
    asked: Mapping[str, JSON],
    spans: Sequence[TimeRange],
    said: Mapping[int, tuple[TimeRange, str, Mapping[str, JSON]]],
    cancel: threading.Event | None = None,
    spacing: int = 0,
) -> dict[int, int]:
    """Store sentences on frames, and return the note ids by start time.

    A note remains until a different text for its frame replaces it.

    Args:
        store: the store.
        video: the video.
        model: the model that saw the frames.
        asked: what it was asked, and all that it was shown: the identity of the notes.
        spans: the ranges of all frames shown; those without a sentence are covered and empty.
        said: range, sentences and detail by start time in ms.
        cancel: stops when set.
        spacing: the time between the frames in ms, where `spans` are longer than what a frame shows.
    """
    found = {start: Observation(span, LOOK_KIND, text, None, detail) for start, (span, text, detail) in said.items()}
    look = FrameAnswers(model, asked, found)
    spec = Spec(LOOK_KIND, LOOK_KIND, "Show frames to a model.", FINEST_STEP, lambda _options, _engine: look, (LOOK_KIND,), needs="picture")
    gap_runner = GapRunner(store, video, BoundAnalyzer(spec, look, make_provenance(spec, look, video)))

    def read() -> dict[int, Note]:
        notes = store.notes.read(video.id, TimeRange(0, video.duration), keys=[gap_runner.key])
        return {note.span.start: note for note in notes}

    old = read()
    changed = [s for s in spans if s.start in found and (s.start not in old or old[s.start].text != found[s.start].text)]
    for part, force in ((changed, True), ([span for span in spans if span not in changed], False)):
        gap_runner.run(
            gap_runner.plan_of([Grain(span, spacing=spacing) for span in part], force=force),
            f"{LOOK_KIND}-{video.id}",
            discard,
            cancel=cancel,
        )
    return {start: note.id for start, note in read().items()}


_SEEN_KINDS = frozenset({"text", "object", "track", "caption", "tag", "look", "motion", "moment"})
"""Kinds that tell what a picture shows."""

_SURELY_READ = 0.9
"""The score (0 to 1) from which on a text that was read needs no picture to be believed."""
_SAME_FRAME_MS, _ALIKE_MS = 20, 100
"""Times so close to each other, in ms, name one frame; frames so close show a judge the same."""
_MAX_PICTURES, _FEW_PICTURES, _PER_NOTE, _FULL_SIZE, _ON_SHEET, _ONE_BY_ONE = 16, 4, 2, 8, 16, 2
"""The most frames for a judge; a second one of a note only among few. A picture costs as much as a page of text: the most of what was
looked at; frames on a sheet; more single frames than the last number go on one."""


def cited_pictures(runs: Sequence[MergedNote], moments: Sequence[tuple[int, int, int]] = ()) -> list[ShownPicture]:
    """Return the frames that cited notes were made of, for a judge that sees, each under the id of its note.

    Several frames that a model looked at are on one sheet: what happens is seen in none of them alone.

    Args:
        runs: the cited notes, those that matter most first.
        moments: note, start and end in ms of the parts that the answer names.
    """
    found: list[list[ShownPicture]] = []
    for run in runs:
        if run.kind not in _SEEN_KINDS or (run.kind == "text" and (run.score or 0) >= _SURELY_READ):
            continue
        parts = [part for number, start, end in moments if number == run.id and (part := TimeRange(start, end).within(run.span))]
        if run.kind == "track" and not parts:
            parts = [run.span]
        detail = run.notes[len(run.notes) // 2].observation.detail
        frames, region = detail.get("frames"), detail.get("region")
        looked = [t for t in frames if isinstance(t, int)] if isinstance(frames, list) else []
        if seen := [t for t in looked if not parts or any(part.start <= t <= part.end for part in parts)]:
            at = [seen[n * len(seen) // min(len(seen), _ON_SHEET)] for n in range(min(len(seen), _ON_SHEET))]
            box = cast("tuple[float, float, float, float]", tuple(region)) if isinstance(region, list) else None
            found.append([ShownPicture(run.id, run.video, run.span, tuple(at), box)])
            continue
        times = [(part.start + part.end) // 2 for part in parts] or [note.span.start for note in run.notes]
        step = max(1, len(times) // _PER_NOTE)
        found.append([ShownPicture(run.id, run.video, run.span, (t,)) for t in times[step // 2 :: step][:_PER_NOTE]])
    # One of each note before the second one of any; what several notes rest on is shown once.
    once: list[ShownPicture] = []
    for turn, room in zip(zip_longest(*found), (_MAX_PICTURES, _FEW_PICTURES), strict=False):
        for picture in turn:
            if picture is not None and len(once) < room and not _is_shown(picture, once):
                once.append(picture)
    looks = {run.id for run in runs if run.kind == LOOK_KIND}
    small = [picture for picture in once if picture.number not in looks]
    large = [picture for picture in once if picture.number in looks][:_FULL_SIZE]
    return [*large, *(small if len(small) <= _ONE_BY_ONE else _sheets(small))]


def _sheets(pictures: Sequence[ShownPicture]) -> Iterator[ShownPicture]:
    """Yield a sheet of the single frames of each video: to tell things apart, small ones do, and cost a fraction."""
    by_video: dict[str, list[ShownPicture]] = {}
    for picture in pictures:
        by_video.setdefault(picture.video, []).append(picture)
    for own in by_video.values():
        others = dict.fromkeys(f"#{picture.number}" for picture in own if picture.number != own[0].number)
        times = sorted({t for picture in own for t in picture.times})
        span = TimeRange(min(picture.span.start for picture in own), max(picture.span.end for picture in own))
        yield replace(own[0], span=span, times=tuple(times), name=f"with {', '.join(others)}" if others else "")


def _is_shown(picture: ShownPicture, others: Sequence[ShownPicture]) -> bool:
    known = [t for other in others if (other.video, other.region) == (picture.video, picture.region) for t in other.times]
    return all(any(abs(t - other) <= _ALIKE_MS for other in known) for t in picture.times)


def in_frames_only(store: Store, runs: Sequence[MergedNote], question: str, shown: Collection[int]) -> list[MergedNote]:
    """Return cited notes for a judge, without the model's own words on pictures that it saw for this question.

    Those words are the answer to be judged; the frames are the evidence.

    Args:
        store: the store.
        runs: the cited notes.
        question: the question.
        shown: the ids of the notes whose frames the judge is shown; several notes may rest on one frame.
    """

    def is_own(run: MergedNote) -> bool:
        params = store.notes.provenance(run.notes[0].key).params
        return bool(shown) and "view" in params and params.get("question") == question

    return [replace(run, text="seen in its frames") if is_own(run) else run for run in runs]


def keep_cited(
    store: Store,
    videos: Mapping[str, Video],
    shown: Mapping[int, ShownPicture],
    answer: CheckedAnswer,
    question: str,
    model: str,
    own: Collection[int] = (),
) -> CheckedAnswer:
    """Store the sentences that cite pictures as notes, and return the answer with these notes in place of the numbers.

    A picture that is only listed beside an answer with marks is no evidence; for a claim on all of a
    scope it counts as looked at, like all that were shown for the question.

    Args:
        store: the store.
        videos: the session's videos by id.
        shown: the pictures by number.
        answer: the checked answer.
        question: the question.
        model: the model that saw the pictures.
        own: the numbers of the pictures that were shown for this question.
    """
    marks = set(cited_ids(answer.text))
    listed = {number for number in answer.cited if number in shown and marks and number not in marks}
    said = said_of(answer, {number: _time_of(picture) for number, picture in shown.items()})
    ids: dict[int, int] = {}
    looked = [*own, *listed] if answer.claim != "some" else []
    for number in dict.fromkeys([*answer.cited, *looked]):
        if (picture := shown.get(number)) is None or (video := videos.get(picture.video)) is None:
            continue
        asked: dict[str, JSON] = {"question": question, "view": picture.times}
        asked |= {"region": picture.region} if picture.region else {}
        asked |= {"part": [picture.span.start, picture.span.end]} if picture.sheet else {}
        detail: dict[str, JSON] = {"question": question, "frames": picture.times, "seen": picture.times[-1]}
        detail |= {"region": picture.region} if picture.region else {}
        whole = picture.sheet or picture  # all frames of a sheet were seen, also where one of them is cited
        span = _shown_span(picture)
        is_cited = number in answer.cited and number not in listed
        found = {span.start: (span, said[number], detail)} if is_cited else {}
        spacing = max(later - t for t, later in pairwise([*whole.times, whole.span.end]))
        spans = sorted([span, *whole.span.minus([span])])
        kept = keep_sentences(store, video, model, asked, spans, found, spacing=spacing)
        ids |= {number: kept[span.start]} if is_cited else {}
    cited = tuple(dict.fromkeys(ids.get(number, number) for number in answer.cited if number not in listed))
    unsupported = tuple(renumber(claim, ids) for claim in answer.unsupported)
    # A part of a sheet has a note of its own, and needs no moment in it.
    sheets = {number for number, picture in shown.items() if picture.sheet}
    moments = tuple((ids.get(number, number), start, end) for number, start, end in answer.moments if number not in sheets)
    return replace(answer, text=renumber(answer.text, ids), cited=cited, unsupported=unsupported, moments=moments)


def _shown_span(picture: ShownPicture) -> TimeRange:
    """Return what a picture shows: a single frame no more than `INSTANT_MS`, however far away the next one is."""
    if len(picture.times) > 1:
        return picture.span
    return TimeRange(picture.span.start, min(picture.span.end, picture.span.start + INSTANT_MS))


def _time_of(picture: ShownPicture) -> str:
    return clock(picture.times[0]) if len(picture.times) == 1 else str(picture.span)
