"""The second half of the door to ultralytics: ByteTrack, which follows boxes from frame to frame.

It needs the package `lap`, which ultralytics would install by itself; here it is asked for. Knows no detector: boxes come from the
caller and no picture is looked at, so a moving camera is not made up for: what stands still then moves with the picture.
"""

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from analyzer_agent.errors import require
from analyzer_agent.installing import VISION

_PURPOSE = "Counting objects"


def follow(frames: Sequence[Sequence[tuple[str, float, tuple[float, float, float, float]]]], memory: int) -> list[list[int | None]]:
    """Return for each box (class, score, `x, y, width, height`) of each frame the number of the track that it belongs to, or None.

    A track that is not seen for `memory` frames is over. Scores count as in ByteTrack: tracks begin with boxes of at least 0.25, and go
    on with weaker ones. Classes do not matter.
    Source: `ultralytics.YOLO.track(frame, tracker="bytetrack.yaml", persist=True)`, whose tracks these are.
    """
    trackers: Any = require("ultralytics.trackers.byte_tracker", VISION, _PURPOSE)
    results: Any = require("ultralytics.engine.results", VISION, _PURPOSE)
    tracker = trackers.BYTETracker(SimpleNamespace(**_settings() | {"track_buffer": memory}))
    followed: list[list[int | None]] = []
    for boxes in frames:
        rows = [(x, y, x + width, y + height, score, 0) for _, score, (x, y, width, height) in boxes]
        numbers: list[int | None] = [None] * len(boxes)
        for *_, number, _score, _kind, place in tracker.update(results.Boxes(np.array(rows, np.float32).reshape(-1, 6), (1, 1))).tolist():
            numbers[int(place)] = int(number)
        followed.append(numbers)
    return followed


@cache
def _settings() -> dict[str, Any]:
    """Return ByteTrack's settings as ultralytics brings them."""
    utils: Any = require("ultralytics.utils", VISION, _PURPOSE)
    return dict(utils.YAML.load(utils.ROOT / "cfg" / "trackers" / "bytetrack.yaml"))
