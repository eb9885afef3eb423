"""Tracks: objects followed over time, one observation per object and grain, to count them.

Each grain is tracked separately, from `CONTEXT_MS` before it, so its notes do not depend on the
requested range. The boxes near its edges are stored: reading joins the pieces of adjacent grains
by them. Objects are matched by position and movement, not by appearance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from analyzer_agent.protocols import Frame, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange, instants, sample_end
from analyzer_agent.tools import objects
from analyzer_agent.tools.objects import DetectedBox, ObjectDetector, Objects
from analyzer_agent.tools.support.sampling import ByTime, adjoining_runs, min_score_filter, names_filter, process_frames

STEP_MS = 250
"""Sampling step in ms. 500 ms splits walking people; 125 ms counts no better at twice the cost."""
MAX_UNSEEN_MS = 2_000
"""An object not detected for longer than this, in ms, counts as new when it returns."""
CONTEXT_MS = 4_000
"""Tracking starts this many ms before a grain, to know speeds at its start; 2 s were too short."""
SEAM_MS = 2_500
"""Boxes this many ms on both sides of a grain's edge are stored; more than `MAX_UNSEEN_MS`."""
_SECOND_MS = 1_000
_MIN_FRAMES = 3
"""Minimum number of frames of a track: objects leaving the picture are often detected twice."""
_COUNTED_SCORE = 0.5
"""Default of `min_score`: a track counts if its best box has at least this score."""


class Tracker(ObjectDetector, Protocol):
    """Interface of a tracking engine."""

    def follow(self, frames: Sequence[Sequence[DetectedBox]], memory: int) -> Sequence[Sequence[int | None]]:
        """Assign boxes to tracks (ByteTrack in `engines.ultralytics_tracks`).

        Args:
            frames: the boxes of each frame, in time order.
            memory: a track without a box for this many frames ends.

        Returns:
            For each box of each frame, the number of its track, or None.
        """


class _FrameBoxes(NamedTuple):
    """The boxes on the frame at instant `t` (ms), with the frame's size in pixels."""

    t: int
    wide: int
    tall: int
    boxes: Sequence[DetectedBox]


class _TrackedBox(NamedTuple):
    """An object at instant `t` (ms); `box` is `x, y, width, height` as shares of the picture."""

    t: int
    score: float
    box: tuple[float, ...]


class Tracks(Objects):
    """Track objects; adjacent grains share one pass over their frames."""

    version = "2"

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the pieces of tracks in it; the text is the class.

        The detail holds `grain`, its start and end in ms; `seen`, the number of frames with the
        object; `step`, the time between frames in ms; and `boxes`, each `[ms, x, y, width, height]` as shares of the picture: all those
        near the grain's edges, including some before its start, and one per second in between.
        """
        for run in adjoining_runs(grains):
            yield from self._run(video, run)

    def _run(self, video: Video, run: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        looks, known = ByTime(self._looks(video, TimeRange(run[0].span.start, run[-1].span.end)), lambda look: look.t), list[_FrameBoxes]()
        for grain in run:
            reach = TimeRange(max(0, grain.span.start - CONTEXT_MS), grain.span.end)
            wanted = instants(reach, STEP_MS, video.picture) if video.picture else []
            if not wanted:
                yield grain, ()
                continue
            known = [look for look in known if look.t >= wanted[0]]
            known += looks.up_to(wanted[-1])
            yield grain, self._follow(video, grain.span, known)

    def _looks(self, video: Video, span: TimeRange) -> Iterator[_FrameBoxes]:
        """Yield the boxes of each frame in `span` and in the context before it."""
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
        """Return the tracks of a class.

        Each class is tracked separately: an object detected as two classes has a box for each.
        """
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
    """Return a grain's piece of a track; `limit` (ms) is the end of the grain or of the picture."""
    inside = [sight for sight in sights if sight.t >= grain.start]
    detail: dict[str, JSON] = {
        "grain": [grain.start, grain.end],
        "seen": len(inside),
        "step": STEP_MS,
        "boxes": [[sight.t, *(round(share, 3) for share in sight.box)] for sight in sights if _is_stored(sight.t, grain)],
    }
    span = TimeRange(inside[0].t, sample_end(inside[-1].t, STEP_MS, limit))
    return Observation(span, "track", name, round(max(sight.score for sight in inside), 3), detail)


def _is_stored(t: int, grain: TimeRange) -> bool:
    """Tell whether the box at `t` is stored: near an edge, to join pieces, or once per second."""
    return grain.start - SEAM_MS <= t < grain.start or t >= grain.end - SEAM_MS or (t >= grain.start and t % _SECOND_MS == 0)


def selected(track: Observation, filters: Mapping[str, Any]) -> Observation | None:
    """Return a track joined from its pieces, or None if the filters or its length exclude it."""
    wanted = {name.casefold() for name in filters.get("classes") or ()}
    if wanted and track.text.casefold() not in wanted:
        return None
    if "seen" not in track.detail:  # imported tracks do not tell in how many frames they were seen
        return track if track.score is None or track.score >= filters.get("min_score", _COUNTED_SCORE) else None
    counts = cast("int", track.detail["seen"]) >= _MIN_FRAMES and (track.score or 0.0) >= filters.get("min_score", _COUNTED_SCORE)
    return track if counts else None


SPEC = Spec(
    name="tracks",
    tool="count_objects",
    description=(
        "Count different objects by following each: how many, the most at a time, when each is seen. "
        f"After {MAX_UNSEEN_MS / _SECOND_MS:g} s unseen, or a cut, one counts again."
    ),
    grain=8_000,
    factory=lambda options, engine: Tracks(engine, options["vocabulary"]),
    needs_engine=True,
    kinds=("track",),
    options_schema=objects.SPEC.options_schema,
    filters_schema={
        "classes": names_filter("only these"),
        "min_score": min_score_filter(_COUNTED_SCORE, "default 0.5"),
    },
    resource="gpu",
    context=CONTEXT_MS,
    needs="picture",
    select=selected,
    like=("objects", STEP_MS / _SECOND_MS),
)
