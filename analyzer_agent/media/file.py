"""`MediaFile`: a media file as analyzers see it. Knows nothing of analyzers."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from copy import copy
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from analyzer_agent.errors import MediaError
from analyzer_agent.media import audio, frames, hardware, subtitles
from analyzer_agent.media.fingerprint import fingerprint
from analyzer_agent.media.frame_converter import FrameConverter
from analyzer_agent.media.frames import FrameRequest
from analyzer_agent.media.packet_reader import PacketReader
from analyzer_agent.media.probe import Layout, PictureStream, inspect
from analyzer_agent.media.shared_pass import SharedPass, Source
from analyzer_agent.protocols import Cue, Frame, Pixels, Track
from analyzer_agent.timeline import TimeRange, clock, grid_step
from analyzer_agent.timeline import instants as grid_instants

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

_MAX_PARALLEL_READERS = 2
"""Each reads the container's index by itself, which is a hundred MB for ten hours."""


def open_video(path: str | Path, decoder: str = hardware.SOFTWARE) -> "MediaFile":
    """Open a video, audio or image file. A photo is a video of one frame that lasts a second.

    `decoder` tells where pictures are decoded: "cpu", "auto" for a GPU's video engine if there is one that can, or its kind, such
    as "cuda". The pictures are the same everywhere.

    Raises:
        MediaError: the file cannot be read, or not with this decoder; says what is wrong with it. A file that is merely cut off opens: see
            `MediaFile.readable`.
    """
    file = Path(path)
    layout = inspect(file)
    chosen = hardware.choose_device(file, layout.picture.codec, decoder) if layout.picture else hardware.SOFTWARE
    return MediaFile(file, fingerprint(file), layout, chosen)


class MediaFile:
    """A media file, opened: the `Video` that analyzers read.

    Every reading call opens the file anew, so several threads may read at once and nothing stays open in between.
    `readable` is the part of the timeline whose data are there. A file that is cut off has `promised` more: its header tells a longer
    duration than `duration`, where its data end and everything that is read of it ends too. `problems` says what is
    odd about the file, for people.
    """

    def __init__(self, path: Path, id: str, layout: Layout, decoder: str = hardware.SOFTWARE) -> None:
        self.path = path
        self.id = id
        self._layout = layout
        self.decoder = decoder
        """Where pictures are decoded: cpu, or a kind of device such as cuda."""
        picture = layout.picture
        self.readable: TimeRange = layout.readable
        self.promised: int = layout.duration
        self.duration: int = min(layout.duration, layout.readable.end)
        self.picture: TimeRange | None = picture.span.within(self.readable) if picture else None
        self.rate: Fraction = picture.rate if picture else Fraction(0)
        self.size: tuple[int, int] = picture.size if picture else (0, 0)
        self.rotation: int = picture.turn[0] if picture else 0
        self.problems: list[str] = list(layout.problems)
        self.audio_tracks: Sequence[Track] = tuple(sound.track for sound in layout.sounds)
        self._sidecars = subtitles.sidecars(path)
        beside = [subtitles.sidecar_track(path, file, len(layout.texts) + n) for n, file in enumerate(self._sidecars, 1)]
        self.subtitle_tracks: Sequence[Track] = (*(track for _, track in layout.texts), *beside)
        self._closed = False
        self._threads = 0
        self._shared: Source | None = None
        self._leave: Callable[[], None] = lambda: None
        self._keeps, self._kept = False, list[PacketReader]()
        """Whether a cursor stays open between calls, and the one that waits for the next."""

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return self.path.name

    def __enter__(self) -> "MediaFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Refuse further reading; what is being read ends with an error, in whatever thread.

        A part of a `divided` file holds it open between calls; this releases it.
        """
        self._closed = True
        self._leave()
        while self._kept:
            self._kept.pop().close()

    def shared_views(self, count: int) -> "list[MediaFile]":
        """Return views of this file whose frames come from one decoding pass where they want them at the same time.

        Each is for one thread; the pass begins when all have asked for frames or are closed. Closing one closes it alone.
        """
        shared = SharedPass(self._decoded, count)
        views = [copy(self) for _ in range(count)]
        for number, view in enumerate(views):
            view._shared = partial(shared.read, number)
            view._leave = partial(shared.leave, number)
        return views

    def parallel_views(self, parts: int) -> "list[MediaFile]":
        """Return views for dense reading, each for one thread at a time, to be closed; none where it is better read in one go.

        A decoder with one thread does more for a processor than one with several, but only where its part is reached without reading all
        that comes before, so just where the container has an index. Each view keeps the container open as long as it is read forward:
        to open one of ten hours takes longer than to look at seconds of it.
        """
        cores = os.cpu_count() or 1
        readers = min(parts, cores, _MAX_PARALLEL_READERS)
        if readers < 2 or self._shared is not None or not self._indexed:
            return []
        views = [copy(self) for _ in range(readers)]
        for view in views:
            view._threads, view._keeps, view._kept = cores // readers, True, []
        return views

    @cached_property
    def _indexed(self) -> bool:
        picture = self._layout.picture
        if picture is None or picture.spacing:
            return False
        with self._cursor(picture) as cursor:
            return cursor.key_before(picture.clock.ticks(self.duration // 2)) is not None

    def frames(
        self,
        span: TimeRange,
        fps: float | None = None,
        *,
        instants: Sequence[int] | None = None,
        keyframes: bool = False,
        order: Literal["rgb", "bgr"] = "rgb",
        pixels: Pixels | None = None,
    ) -> Iterator[Frame]:
        """Yield frames in time order: the ones shown at `instants`; or on the grid of `fps`; or every frame that starts in `span`.

        The frame shown at t is the last one with pts <= t; before the first frame it is the first. With `keyframes`, of every frame
        only the key frames, at their own times: the cheapest look at a long video. Images are H x W x 3 bytes,
        upright; with `pixels` they hold these alone where that is quicker. Decoding goes along with the iteration and passes over
        what is not wanted; close the iterator to stop early.

        Raises:
            MediaError: there is no picture, or the file cannot be read any further.
        """
        self._check_open()
        picture = self._layout.picture
        if picture is None:
            raise MediaError(
                f"{self.name!r} has no picture.", hint="Its sound can be used: ask what is said, or use the 'speech' and 'voice' analyzers."
            )
        painter = FrameConverter(order, picture.turn, pixels, picture.size)
        if instants is None and fps is not None:
            instants = grid_instants(span, grid_step(1 / fps), picture.span)
        if instants is None:
            return self._every(picture, span, keyframes, painter)
        return self._shown(picture, sorted(instants), painter)

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> "NDArray[np.float32]":
        """Return mono samples in -1..1, exactly `span.length * rate // 1000` of them, silence where the track has none.

        Channels are averaged; `span` may reach beyond the end. Decoding starts shortly before `span`, wherever that is.

        Raises:
            MediaError: there is no such track, or the file cannot be read any further.
        """
        self._check_open()
        sound = self._layout.sounds[self._place("audio track", track, self.audio_tracks)]
        if not self._is_readable(span.start):
            raise self._cut_off()
        return audio.samples(self.path, sound.stream, span, rate)

    def subtitles(self, track: int) -> Sequence[Cue]:
        """Return all cues of a track in time order, as plain text with line breaks; a cue may end after the video does.

        Raises:
            MediaError: there is no such track, it consists of pictures, or it cannot be read.
        """
        self._check_open()
        place = self._place("subtitle track", track, self.subtitle_tracks)
        if place >= len(self._layout.texts):
            return subtitles.sidecar_cues(self._sidecars[place - len(self._layout.texts)])
        stream, found = self._layout.texts[place]
        return subtitles.embedded_cues(self.path, stream, found)

    def _shown(self, picture: PictureStream, wanted: Sequence[int], painter: FrameConverter) -> Iterator[Frame]:
        at, paint = picture.clock, painter.image
        there = [t for t in wanted if self._is_readable(t)]
        wish = FrameRequest(instants=tuple(max(picture.first, at.ticks(t)) for t in there))
        last: tuple[int | None, NDArray[np.uint8]] | None = None
        with closing(self._source(wish)) as shown:
            for index, frame in shown:
                if last is None or last[0] != frame.pts:
                    last = frame.pts, paint(frame)
                yield Frame(there[index], max(0, at.ms(frame.pts or 0)), last[1])
        if len(there) < len(wanted):
            raise self._cut_off()

    def _every(self, picture: PictureStream, span: TimeRange, keyframes: bool, painter: FrameConverter) -> Iterator[Frame]:
        at, paint = picture.clock, painter.image
        # In a file that is cut off, some frames after the last gapless one can be there, out of order.
        end = span.end if self.duration == self.promised else min(span.end, self.duration)
        start = max(picture.first, at.ticks(span.start - 1) + 1) if span.start else picture.first
        early = None
        with closing(self._source(FrameRequest(start, at.ticks(end - 1) + 1, keys=keyframes))) as decoded:
            for _, frame in decoded:
                shown = at.ms(frame.pts or 0)
                if shown <= 0:
                    early = frame
                    continue
                if early is not None:
                    yield Frame(0, 0, paint(early))
                    early = None
                yield Frame(shown, shown, paint(frame))
        if early is not None:
            yield Frame(0, 0, paint(early))

    def _source(self, wish: FrameRequest) -> "Generator[tuple[int, VideoFrame], None, None]":
        return self._decoded(wish) if self._shared is None else self._shared(wish)

    def _decoded(self, wish: FrameRequest) -> "Generator[tuple[int, VideoFrame], None, None]":
        picture = self._layout.picture
        assert picture is not None, "nobody wishes for frames where there is no picture"
        with self._lent(picture, wish) if self._keeps else self._cursor(picture) as cursor:
            for found in frames.requested_frames(cursor, wish):
                self._check_open()
                yield found

    @contextmanager
    def _lent(self, picture: PictureStream, wish: FrameRequest) -> Iterator[PacketReader]:
        """Lend the cursor of the call before if what is wanted lies further on, else a new one; after an error none is used again."""
        cursor = self._kept.pop() if self._kept else None
        if cursor and (wish.instants is not None or wish.start <= cursor.read_to):
            cursor.close()
            cursor = None
        cursor = cursor or self._cursor(picture)
        try:
            yield cursor
        except GeneratorExit:
            self._keep(cursor)
            raise
        except BaseException:
            cursor.close()
            raise
        self._keep(cursor)

    def _keep(self, cursor: PacketReader) -> None:
        """Keep one cursor for the next call; none once this was closed, which another thread may do at any time."""
        self._kept.append(cursor)
        while self._kept and (self._closed or len(self._kept) > 1):
            self._kept.pop().close()

    def _cursor(self, picture: PictureStream) -> PacketReader:
        return PacketReader(self.path, picture.stream, picture.clock, picture.first, picture.spacing, self.decoder, self._threads)

    def _is_readable(self, at: int) -> bool:
        return at < self.readable.end or self.readable.end >= self.promised

    def _cut_off(self) -> MediaError:
        return MediaError(
            f"{self.name!r} is cut off: it can be read up to {clock(self.readable.end)} of {clock(self.promised)}.",
            hint=f"Get the file again, or limit the question with --to {clock(self.readable.end)}.",
        )

    def _place(self, what: str, number: int, tracks: Sequence[Track]) -> int:
        if 1 <= number <= len(tracks):
            return number - 1
        has = f"it has {len(tracks)}, numbered from 1" if tracks else "it has none"
        raise MediaError(f"{self.name!r} has no {what} {number!r}: {has}.", hint=f"Choose one of: {_listed(tracks)}.")

    def _check_open(self) -> None:
        if self._closed:
            raise MediaError(f"{self.name!r} was closed.", hint="Open it again with open_video().")


def _listed(tracks: Sequence[Track]) -> str:
    return ", ".join(f"{track.number} ({track.language or track.codec})" for track in tracks) or "none"
