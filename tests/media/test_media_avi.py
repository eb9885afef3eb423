"""Damaged AVI files: packets keep the times of their places, and what follows an unknown loss is not claimed."""

import random
from pathlib import Path

import numpy as np
import pytest

from analyzer_agent.media import open_video
from analyzer_agent.timeline import TimeRange
from damage_kit import WORDS, words
from media_maker import drawn

LIKE = [np.asarray(drawn(word)).astype(int) for word in WORDS]


def shown(path: Path) -> tuple[int, set[int], list[TimeRange]]:
    """Return the duration, the quarters of a second whose frame is given (the right one), and what is told as not examined."""
    with open_video(path) as video:
        whole = TimeRange(0, video.duration)
        found = list(video.frames(whole, instants=range(0, video.duration - 40, 250)))
        for frame in found:
            assert min(range(3), key=lambda n: float(np.abs(LIKE[n] - frame.image).mean())) == frame.t // 4_000, frame.t
        return video.duration, {frame.t for frame in found}, [fault.span for fault in video.faults(whole)]


@pytest.mark.parametrize("seed", range(3))
def test_lost_packets_do_not_shift_those_behind_them(tmp_path: Path, seed: int) -> None:
    path = words(tmp_path / "a.avi", "mpeg4")
    data, dice = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(2):
        at = dice.randrange(len(data) * 3 // 10, len(data) * 6 // 10)
        data[at : at + len(data) // 8] = bytes(len(data) // 8)
    path.write_bytes(data)
    duration, given, faults = shown(path)
    assert duration == 12_000
    missing = [t for t in range(0, 12_000, 250) if t not in given]
    assert all(any(span.start <= t < span.end for span in faults) for t in missing)
    assert faults and sum(span.length for span in faults) < 9_000, "what lies behind is examined"


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_nothing_is_claimed_behind_a_loss_of_unknown_length(tmp_path: Path, codec: str) -> None:
    path = words(tmp_path / "a.avi", codec)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 10] + data[len(data) * 6 // 10 :])  # the index is not where the header says
    with open_video(path) as video:
        assert any("cut off: the header promises 0:12" in problem for problem in video.problems)
    duration, given, _ = shown(path)
    assert 1_000 < duration < 8_000 and len(given) >= duration // 250 - 4
