"""Subtitles: cues of embedded text tracks and of sidecar files next to the video.

Subtitle formats are left to `media`: `Video.subtitles` returns cues as plain text.
"""

from collections.abc import Iterator, Mapping, Sequence

from analyzer_agent.errors import MediaError, ToolRefusal
from analyzer_agent.protocols import Analyzer, Cue, Grain, Spec, Track, Video
from analyzer_agent.records import JSON, Observation, gap
from analyzer_agent.timeline import TimeRange

BITMAP = frozenset({"hdmv_pgs_subtitle", "pgssub", "dvd_subtitle", "dvdsub", "dvb_subtitle", "dvbsub", "xsub"})
"""Codecs (FFmpeg names) whose cues are bitmaps."""


class Subtitles(Analyzer):
    """Read all text tracks with `Video.subtitles`."""

    version = "3"
    engine = "pyav"

    def __init__(self) -> None:
        self.params: Mapping[str, JSON] = {}

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield the cues of each grain, clipped to it; skip tracks that repeat an earlier one.

        A track that cannot be read is a gap; it does not take the others away.

        Raises:
            ToolRefusal: all subtitle tracks of the video are bitmaps.
            MediaError: none of the tracks can be read.
        """
        tracks = [track for track in video.subtitle_tracks if track.codec not in BITMAP]
        if video.subtitle_tracks and not tracks:
            codecs = ", ".join(sorted({track.codec for track in video.subtitle_tracks}))
            raise ToolRefusal(f"the subtitles of this video are pictures ({codecs}) and cannot be read as text; transcribe_speech may help")
        read, broken = dict[int, Sequence[Cue]](), list[MediaError]()
        for track in tracks:
            try:
                read[track.number] = video.subtitles(track.number)
            except MediaError as error:
                broken.append(error)
        if broken and not read:
            raise broken[0]
        cues = _distinct([track for track in tracks if track.number in read], read)
        for grain in grains:
            found = [note for track, cue in cues if (note := _note(track, cue, grain.span, video.duration))]
            lost = [gap(grain.span, "other_track", str(error)) for error in broken]
            yield grain, sorted(found, key=lambda note: note.span) + lost

    def inputs(self, video: Video) -> Mapping[str, JSON]:
        """Return the digests of the sidecar files, so that an edited file is analyzed again."""
        sidecars = {track.source: track.digest for track in video.subtitle_tracks if track.source}
        return {"sidecars": sidecars} if sidecars else {}


def _distinct(tracks: Sequence[Track], read: Mapping[int, Sequence[Cue]]) -> list[tuple[Track, Cue]]:
    seen: set[tuple[Cue, ...]] = set()
    found: list[tuple[Track, Cue]] = []
    for track in tracks:
        cues = tuple(cue._replace(text=" ".join(cue.text.split())) for cue in read[track.number])
        if cues not in seen:
            found.extend((track, cue) for cue in cues if cue.text)
        seen.add(cues)
    return found


def _note(track: Track, cue: Cue, grain: TimeRange, duration: int) -> Observation | None:
    # A cue of zero length still has a text to search for.
    shown = TimeRange(cue.span.start, max(cue.span.end, cue.span.start + 1))
    span = shown.within(TimeRange(0, duration))
    piece = span.within(grain) if span else None
    if piece is None:
        return None
    detail: dict[str, JSON] = {"track": track.number, "language": track.language, "end": cue.span.end, "source": track.source}
    detail |= {"words": [[word.text, word.start, word.end, 1.0] for word in cue.words]} if cue.words else {}
    detail |= {"continues": True} if cue.span.start < grain.start else {}
    return Observation(piece, "subtitle", cue.text, None, detail)


SPEC = Spec(
    name="subtitles",
    tool="read_subtitles",
    description="Read the subtitles, which somebody wrote. Nearly free.",
    grain=0,
    factory=lambda _options, _engine: Subtitles(),
    kinds=("subtitle",),
    needs="subtitles",
)
