"""What clips show: the numbers of their frames, and when their sound begins."""

from pathlib import Path

import numpy as np

from analyzer_agent.media import open_video
from analyzer_agent.timeline import TimeRange
from media_maker import all_frames, number_of


def numbers(path: Path) -> list[int]:
    return [number_of(picture) for _, picture in all_frames(path)]


def shown(source: Path, span: TimeRange) -> list[int]:
    """Return the numbers of the frames that are shown in a range, found by decoding the whole file."""
    frames = all_frames(source)
    offset = frames[0][0] if source.suffix == ".ts" else 0
    times = [((at - offset) * 1000, number_of(picture)) for at, picture in frames]
    before = [n for at, n in times if at <= span.start]
    return [before[-1], *(n for at, n in times if span.start < at < span.end)]


def onset(path: Path, hertz: int = 8000) -> float:
    """Return the second at which the sound begins."""
    with open_video(path) as file:
        loud = np.flatnonzero(np.abs(file.audio(TimeRange(0, file.duration), hertz)) > 0.1)
    return float(loud[0]) / hertz
