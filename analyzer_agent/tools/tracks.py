"""Objects followed over time: one observation per object and grain, for counting how many different ones there are.

Each grain is tracked by itself, from `CONTEXT_MS` ms before it, so that what it yields never depends on what was asked with it. The boxes
near its edges are kept: by them its pieces are joined with those of the next grain when they are read. Knows objects by where they are
and how they move, not by their looks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol, cast

from analyzer_agent.errors import Unavailable
from analyzer_agent.installing import VISION, install_extra
from analyzer_agent.protocols import Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange, instants, sample_end
from analyzer_agent.tools import objects
from analyzer_agent.tools.objects import DetectedBox, ObjectDetector, Objects
from analyzer_agent.tools.scenes import adjoining_runs
from analyzer_agent.tools.support.sampling import process_frames

STEP_MS = 250
"""How often a frame is looked at, in ms. Half as often splits people who walk; twice as often counts no better, at twice the cost."""
MAX_UNSEEN_MS = 1_500
"""An object that is not seen for longer than this, in ms, is a new one when it comes back."""
CONTEXT_MS = 4_000
"""How long before a grain tracking begins, in ms: by the grain's start it must know how things move. 2 s were too short for people."""
SEAM_MS = 2_000
"""The boxes of this many ms before a grain's edge are kept on both sides of it. Longer than `MAX_UNSEEN_MS`."""
_SECOND_MS = 1_000
_MIN_FRAMES = 3
"""Seen on fewer frames, a track does not count: what leaves the picture is found in two parts."""
_COUNTED_SCORE = 0.5
"""A track counts from this score of its best box on, unless the reader chooses another: the default of `min_score`."""


class Tracker(ObjectDetector, Protocol):
    """What a tracking engine can do."""

    def follow(self, frames: Sequence[Sequence[DetectedBox]], memory: int) -> Sequence[Sequence[int | None]]:
        """Return for each box of each frame the number of its track, or None; what is not seen for `memory` frames is forgotten."""
        ...


class _FrameBoxes(NamedTuple):
    """What was found on the frame at an instant, with the frame's size in pixels."""

    t: int
    wide: int
    tall: int
    boxes: Sequence[DetectedBox]


class _TrackedBox(NamedTuple):
    """An object at an instant: its score, and box `x, y, width, height` in shares of the picture."""

    t: int
    score: float
    box: tuple[float, ...]


class Tracks(Objects):
    """Follows objects, looking at each frame once for grains that adjoin."""

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the pieces of tracks in it.

        The text is the class. The detail holds `grain`, its start and end in ms; `process_frames`, on how many frames; and `boxes` as
        `[ms, x, y, width, height]` in shares of the picture: those near the grain's edges, from before its start too, and one per
        second in between.
        """
        for run in adjoining_runs(grains):
            yield from self._run(video, run)

    def _run(self, video: Video, run: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        looks, known = self._looks(video, TimeRange(run[0].span.start, run[-1].span.end)), list[_FrameBoxes]()
        for grain in run:
            reach = TimeRange(max(0, grain.span.start - CONTEXT_MS), grain.span.end)
            wanted = instants(reach, STEP_MS, video.picture) if video.picture else []
            if not wanted:
                yield grain, ()
                continue
            known = [look for look in known if look.t >= wanted[0]]
            known += islice(looks, len(wanted) - len(known))
            yield grain, self._follow(video, grain.span, known)

    def _looks(self, video: Video, span: TimeRange) -> Iterator[_FrameBoxes]:
        """Yield what is on each frame, from the context before `span` on."""
        reach = TimeRange(max(0, span.start - CONTEXT_MS), span.end)
        wanted = instants(reach, STEP_MS, video.picture) if video.picture else []
        frames: Iterator[Frame] = iter(video.frames(reach, instants=wanted, order="bgr") if wanted else ())
        for frame, boxes in process_frames(frames, self._engine.get, self._look):
            yield _FrameBoxes(frame.t, frame.image.shape[1], frame.image.shape[0], boxes)

    def _follow(self, video: Video, grain: TimeRange, looks: Sequence[_FrameBoxes]) -> list[Observation]:
        limit = min(grain.end, video.picture.end) if video.picture else grain.end
        pieces = [
            _piece(name, sights, grain, limit)
            for name in sorted({name for look in looks for name, *_ in look.boxes})
            for sights in self._tracks(looks, name)
            if sights[-1].t >= grain.start
        ]
        return sorted(pieces, key=lambda piece: (piece.span.start, -(piece.score or 0.0)))

    def _tracks(self, looks: Sequence[_FrameBoxes], name: str) -> Iterable[Sequence[_TrackedBox]]:
        """Return the tracks of a class. Each class is followed by itself: a thing that is taken for two classes has a box for each."""
        boxes = [[box for box in look.boxes if box[0] == name] for look in looks]
        tracker: Tracker = self._engine.get()
        tracks: dict[int, list[_TrackedBox]] = {}
        for look, its, numbers in zip(looks, boxes, tracker.follow(boxes, MAX_UNSEEN_MS // STEP_MS), strict=True):
            for (_, score, (x, y, width, height)), number in zip(its, numbers, strict=True):
                box = (x / look.wide, y / look.tall, width / look.wide, height / look.tall)
                if number is not None:
                    tracks.setdefault(number, []).append(_TrackedBox(look.t, score, box))
        return tracks.values()


def _piece(name: str, sights: Sequence[_TrackedBox], grain: TimeRange, limit: int) -> Observation:
    """Return what a grain holds of a track; `limit` is where the grain or the picture ends."""
    inside = [sight for sight in sights if sight.t >= grain.start]
    detail: dict[str, JSON] = {
        "grain": [grain.start, grain.end],
        "seen": len(inside),
        "boxes": [[sight.t, *(round(share, 3) for share in sight.box)] for sight in sights if _is_stored(sight.t, grain)],
    }
    span = TimeRange(inside[0].t, sample_end(inside[-1].t, STEP_MS, limit))
    return Observation(span, "track", name, round(max(sight.score for sight in inside), 3), detail)


def _is_stored(t: int, grain: TimeRange) -> bool:
    """Tell whether the box at this instant is stored: those by which pieces are joined, and a few for who wants to know where."""
    return grain.start - SEAM_MS <= t < grain.start or t >= grain.end - SEAM_MS or (t >= grain.start and t % _SECOND_MS == 0)


def selected(track: Observation, filters: Mapping[str, Any]) -> Observation | None:
    """Return a whole track, joined from its pieces; None if it is none of `classes`, too weak, or too short."""
    wanted = {name.casefold() for name in filters.get("classes") or ()}
    if wanted and track.text.casefold() not in wanted:
        return None
    counts = cast("int", track.detail["seen"]) >= _MIN_FRAMES and (track.score or 0.0) >= filters.get("min_score", _COUNTED_SCORE)
    return track if counts else None


def make(options: Mapping[str, Any], engine: Engine | None) -> Tracks:
    """Return the analyzer.

    Raises:
        Unavailable: no engine was given.
    """
    if engine is None:
        raise Unavailable("Counting objects needs an engine.", hint=install_extra(VISION))
    return Tracks(engine, options["vocabulary"])


SPEC = Spec(
    name="tracks",
    tool="count_objects",
    description=(
        "Count how many different objects of a class appear (people, vehicles, animals ...), by following each from frame to "
        "frame: gives the number, the most at the same time, and one note per object with when it is in the picture. An object "
        f"that leaves, or is hidden for more than {MAX_UNSEEN_MS / _SECOND_MS:g} s, counts anew when it comes back, and so does one on "
        "both sides of a part that was not asked for: ask for one range that holds all of it. A cut or a moving camera counts "
        "things twice, and what crosses the picture in about a second may be missed. Looks four times a second, so it costs "
        "more than detect_objects, which counts at single moments."
    ),
    grain=8_000,
    factory=make,
    kinds=("track",),
    options_schema=objects.SPEC.options_schema,
    filters_schema={
        "classes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Count only these classes, by the names the detector knows, such as ['person']; all when absent.",
        },
        "min_score": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": _COUNTED_SCORE,
            "description": "Count only objects that were detected with at least this confidence at their best moment.",
        },
    },
    resource="gpu",
    context=CONTEXT_MS,
    needs="picture",
    select=selected,
    like=("objects", STEP_MS / _SECOND_MS),
)
