"""Which tracks of a video nobody examined, by the coverage ledger."""

from collections.abc import Sequence

from analyzer_agent.protocols import Spec, Video
from analyzer_agent.records import Unexamined
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, merge


def other_tracks(store: Store, video: Video, spec: Spec, ranges: Sequence[TimeRange], own: int | None = None) -> list[Unexamined]:
    """Return what an analyzer did not examine of further audio or video tracks.

    Args:
        store: the store with the coverage ledger.
        video: the video.
        spec: the analyzer. Of several video tracks it always examines the same one.
        ranges: the ranges to report on.
        own: the number of the audio track whose gaps are reported otherwise; by default the one that a
            call without a track listens to.
    """
    if spec.needs == "picture":
        return [
            Unexamined(spec.name, span, "other_track", f"video track {one}", video.id) for one in video.other_pictures for span in ranges
        ]
    if spec.needs != "audio" or "track" not in spec.options_schema or len(video.audio_tracks) < 2:
        return []
    chosen = spec.settled({}, video).get("track") if own is None else own
    heard: dict[object, list[TimeRange]] = {}
    for provenance in store.notes.provenances(video=video.id):
        if provenance.analyzer == spec.name:
            spans = [c.span for span in ranges for c in store.ledger.covered(video.id, [provenance.key], span)]
            heard.setdefault(provenance.params.get("track", 1), []).extend(spans)
    return [
        Unexamined(spec.name, part, "other_track", f"audio track {track}", video.id)
        for track in video.audio_tracks
        if track.number != chosen
        for span in ranges
        for part in span.minus(merge(heard.get(track.number, [])))
    ]
