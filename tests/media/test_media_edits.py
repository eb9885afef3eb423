"""Edit lists of MP4: pictures and sound are where a player shows and plays them, and nothing is left over."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from analyzer_agent.media import open_video
from analyzer_agent.timeline import TimeRange
from edit_lists import Edit, edited
from marked_files import FORMATS
from marks import SLOT_MS, mark_in
from media_maker import number_of, write

CLIP = replace(FORMATS["mp4"], bframes=0, muxer={}, texts=[])
EDITS: dict[str, Sequence[Edit]] = {
    "a part": [(5, 2)],
    "a part that begins between key frames": [(4.5, 1.3)],
    "a pause first": [(1, None), (9, 0)],
    "two parts": [(3, 0), (3, 6)],
    "a part twice": [(2, 2), (2, 2)],
    "a later part first": [(2, 6), (2, 1)],
    "parts that begin and end between key frames": [(3.3, 1.3), (2.1, 7.7)],
    "a pause between": [(2, 0), (1, None), (3, 5)],
}


def media_time(edits: Sequence[Edit], at: float) -> float | None:
    """Return which place of the media, in ms, is played at a time."""
    for length, start in edits:
        if at < length * 1000:
            return None if start is None else start * 1000 + at
        at -= length * 1000
    return None


@pytest.mark.parametrize("which", EDITS)
def test_an_edit_list_is_followed(tmp_path: Path, which: str) -> None:
    edits = EDITS[which]
    path = edited(write(tmp_path / "a.mp4", CLIP), edits)
    with open_video(path) as video:
        whole = TimeRange(0, video.duration)
        sound = video.audio(whole)
        assert video.problems == []
        assert video.faults(whole) == []
        # libav adds a pause before the first part to the length of that part.
        lasting = sum((Fraction(length) for length, _ in edits), Fraction(edits[0][0] if edits[0][1] is None else 0)) * 1000
        assert video.duration == pytest.approx(float(lasting), abs=50)
        for every in (None, range(20, video.duration, 100)):
            shown = {frame.t: number_of(frame.image) * 40 for frame in video.frames(whole, instants=every)}
            for t, number in shown.items():
                place = media_time(edits, t)
                assert place is None or abs(number - place) <= 40
            assert all(t in shown for t in every or () if media_time(edits, t) is not None)
    checked = 0
    for t in range(0, len(sound) // 16 - 150, 50):
        first, last = media_time(edits, t), media_time(edits, t + 149)
        if first is not None and last is not None and last - first == 149 and first // SLOT_MS == last // SLOT_MS:
            assert mark_in(sound[(t + 20) * 16 : (t + 130) * 16]) == first // SLOT_MS
            checked += 1
    assert checked > 20
