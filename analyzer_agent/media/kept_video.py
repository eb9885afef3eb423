"""`KeptVideo`: a video of a library, known from an earlier opening; its file is opened when it is read."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import MediaError
from analyzer_agent.media.file import MediaFile
from analyzer_agent.protocols import Cue, Fault, Frame, FrameQuery, Track, Video
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def facts_of(file: MediaFile) -> dict[str, Any]:
    """Return what a `KeptVideo` tells of a file, as JSON."""
    return {
        "promised": file.promised,
        "picture": [file.picture.start, file.picture.end] if file.picture else None,
        "rate": str(file.rate),
        "size": list(file.size),
        "rotation": file.rotation,
        "audio": [asdict(track) for track in file.audio_tracks],
        "subtitles": [asdict(track) for track in file.subtitle_tracks],
        "others": [asdict(track) for track in file.other_pictures],
        "problems": file.problems,
    }


class KeptVideo(Video):
    """A video whose facts are known; reading its content opens the file.

    Args:
        path: the file.
        id: the id of its content when it was last opened.
        duration: in ms.
        facts: see `facts_of`.
        reopen: opens the file.
        missing: whether the file is known not to be there.
    """

    def __init__(
        self, path: Path, id: str, duration: int, facts: Mapping[str, Any], reopen: Callable[[], MediaFile], missing: bool = False
    ) -> None:
        self.path, self.id, self.name, self.duration, self.missing = path, id, path.name, duration, missing
        self.promised: int = facts["promised"]
        self.picture: TimeRange | None = TimeRange(*facts["picture"]) if facts["picture"] else None
        self.rate = Fraction(facts["rate"])
        self.size: tuple[int, int] = (facts["size"][0], facts["size"][1])
        self.rotation: int = facts["rotation"]
        self.audio_tracks: Sequence[Track] = tuple(Track(**track) for track in facts["audio"])
        self.subtitle_tracks: Sequence[Track] = tuple(Track(**track) for track in facts["subtitles"])
        self.other_pictures: Sequence[Track] = tuple(Track(**track) for track in facts["others"])
        self.problems: list[str] = list(facts["problems"])
        self._reopen = reopen
        self._lock = threading.Lock()
        self._file: MediaFile | None = None
        self._closed = False

    def opened(self) -> MediaFile:
        """Return the open file.

        Raises:
            MediaError: it cannot be opened, or holds something else by now.
        """
        with self._lock:
            if self._closed:
                raise MediaError(f"{self.name!r} was closed meanwhile.", hint="Open the session again.")
            if self._file is None:
                file = self._reopen()
                if file.id != self.id:
                    file.close()
                    raise MediaError(f"{self.name!r} has changed since it was opened.", hint="Ask again: it is then opened anew.")
                self._file = file
            return self._file

    def __enter__(self) -> "KeptVideo":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed = True
        if self._file is not None:
            self._file.close()

    def read_frames(self, query: FrameQuery) -> Iterator[Frame]:
        """See `MediaFile.read_frames`."""
        return self.opened().read_frames(query)

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> "NDArray[np.float32]":
        """See `MediaFile.audio`."""
        return self.opened().audio(span, rate, track)

    def mix(self, track: int = 1) -> str:
        """See `MediaFile.mix`."""
        return self.opened().mix(track)

    def subtitles(self, track: int) -> Sequence[Cue]:
        """See `MediaFile.subtitles`."""
        return self.opened().subtitles(track)

    def watched(self) -> MediaFile:
        """See `MediaFile.watched`."""
        return self.opened().watched()

    def faults(self, span: TimeRange) -> Sequence[Fault]:
        """See `MediaFile.faults`."""
        return self.opened().faults(span)
