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
_SPARSE_MS = 10_000
"""Where thumbnails are at least this far apart, in ms, each is the next key frame."""

_THUMBNAIL_MS = 500
"""Thumbnails are not closer to each other than this, in ms."""


def thumbnails(video: Video) -> Iterator[tuple[int, str]]:
    """Yield (instant in ms, data URL) of evenly spaced frames; nothing without a picture."""
    if video.picture is None:
        return
    if is_image(video):
        yield from ((frame.t, _data_url(frame.image, _IMAGE_SIDE)) for frame in video.frames(video.picture, instants=[0]))
        return
    for at, image in sorted(_spread_frames(video, video.picture), key=lambda frame: frame[0]):
        yield at, _data_url(image, _THUMBNAIL_SIDE, _THUMBNAIL_COARSENESS)


def _spread_frames(video: Video, picture: TimeRange) -> "Iterator[tuple[int, NDArray[np.uint8]]]":
    """Yield (time in ms, frame) about evenly spread; of a long video key frames, which take a fraction of the time."""
    count = max(1, min(_MAX_THUMBNAILS, picture.length // _THUMBNAIL_MS))
    at = [picture.start + picture.length * n // count for n in range(count)]
    exact = list[int]()
    for instant, end in zip(at, [*at[1:], picture.end], strict=True):
        if end - instant < _SPARSE_MS:
            exact.append(instant)
            continue
        frame = next(video.frames(TimeRange(instant, end), keyframes=True), None)
        if frame is None:
            exact.append(instant)
        else:
            yield frame.pts, frame.image
    for frame in video.frames(picture, instants=exact) if exact else ():
        yield frame.t, frame.image


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
