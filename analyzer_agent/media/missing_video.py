"""`MissingVideo`: a video without a file, so that its imported notes can be read."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from analyzer_agent.errors import MediaError
from analyzer_agent.media.identity import named_id
from analyzer_agent.protocols import Track, Video
from analyzer_agent.timeline import TimeRange


class MissingVideo(Video):
    """A video with only a name and a duration (ms); reading its content raises `MediaError`."""

    rotation = 0
    rate = Fraction(0)
    size = (0, 0)
    audio_tracks: Sequence[Track] = ()
    subtitle_tracks: Sequence[Track] = ()

    def __init__(self, name: str, duration: int) -> None:
        self.id, self.name, self.path = named_id(name), name, Path(name)
        self.duration = self.promised = duration
        self.picture: TimeRange | None = TimeRange(0, duration)
        """The whole duration, so that imported samples lie within it."""
        self.problems = ["the file is not here, so only notes that were imported can be used"]

    def __enter__(self) -> "MissingVideo":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Do nothing: there is no file."""

    def read_frames(self, *_arguments: Any, **_options: Any) -> Any:
        """Refuse to read anything, with a hint at what can be read."""
        raise MediaError(f"The file of {self.name!r} is not here.", hint="Only notes that were imported can be read: analyzer-agent notes.")

    audio = subtitles = read_frames
