"""Small pictures of a video for a page: thumbnails of the whole length, and stills of cited frames."""

import base64
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from analyzer_agent.media import jpeg
from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STILL_SIDE = 480
_IMAGE_SIDE = 1600
_THUMBNAIL_SIDE = 160
_THUMBNAIL_COARSENESS = 7
_MAX_THUMBNAILS = 72
_THUMBNAIL_MS = 500
"""Thumbnails are not closer to each other than this, in ms."""


def thumbnails(video: Video) -> Iterator[tuple[int, str]]:
    """Yield (instant in ms, data URL) of evenly spaced frames; nothing without a picture."""
    if video.picture is None:
        return
    if is_image(video):
        yield from ((frame.t, _data_url(frame.image, _IMAGE_SIDE)) for frame in video.frames(video.picture, instants=[0]))
        return
    count = max(1, min(_MAX_THUMBNAILS, video.picture.length // _THUMBNAIL_MS))
    at = [video.picture.start + video.picture.length * n // count for n in range(count)]
    for frame in video.frames(video.picture, instants=at):
        yield frame.t, _data_url(frame.image, _THUMBNAIL_SIDE, _THUMBNAIL_COARSENESS)


def is_image(video: Video) -> bool:
    """Tell whether this is a picture, which lasts a second, and not a video."""
    return video.picture == TimeRange(0, 1000) and video.rate == 1 and not video.audio_tracks


def stills(video: Video, instants: Iterable[int]) -> dict[int, str]:
    """Return the frames shown at these instants (ms) as data URLs; those that cannot be decoded are left out."""
    if video.picture is None:
        return {}
    at = sorted({instant for instant in instants if video.picture.start <= instant < video.picture.end})
    return {frame.t: _data_url(frame.image, _STILL_SIDE) for frame in video.frames(video.picture, instants=at)} if at else {}


def _data_url(image: "NDArray[np.uint8]", side: int, coarseness: int = 4) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image, side, coarseness)).decode("ascii")
