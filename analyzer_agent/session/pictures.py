"""Pictures of frames for messages to a model: decoded, cropped, shrunk, tiled on sheets, encoded."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer_agent.llm.vision import picture_part
from analyzer_agent.media.jpeg import jpeg
from analyzer_agent.protocols import Video
from analyzer_agent.regions import Region, crop
from analyzer_agent.timeline import TimeRange, clock
from analyzer_agent.tools.engines.opencv_pictures import contact_sheet, shrink

_HELD = 64
"""Pictures that are kept in memory, so that a later request does not decode them again; at most 13 MB."""


class FramePictures:
    """Makes and keeps pictures of frames; the same ones are the same bytes.

    Args:
        side: the longest side of a picture in pixels.
        max_bytes: the byte budget of a picture.
    """

    def __init__(self, side: int, max_bytes: int) -> None:
        self._side, self._max_bytes = side, max_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[Any, Mapping[str, Any]] = OrderedDict()

    def part(self, video: Video, times: Sequence[int], region: Region | None) -> Mapping[str, Any] | None:
        """Return a picture as `toolbox.view.Pictures` says."""
        key = (video.id, tuple(times), region)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = self._made(video, times, region)
        if made is not None:
            with self._lock:
                self._held[key] = made
                while len(self._held) > _HELD:
                    self._held.popitem(last=False)
        return made

    def _made(self, video: Video, times: Sequence[int], region: Region | None) -> Mapping[str, Any] | None:
        frames = [
            (frame.t, shrink(crop(frame.image, region), self._side).copy())
            for frame in video.frames(TimeRange(times[0], times[-1] + 1), instants=times, order="bgr")
        ]
        if not frames:
            return None
        image = frames[0][1] if len(times) == 1 else contact_sheet([one for _, one in frames], [clock(t) for t, _ in frames])
        return picture_part(jpeg(image[..., ::-1], self._side, max_bytes=self._max_bytes))
