"""Speech with real weights of Whisper: what random weights cannot show. REAL_WHISPER names their folder."""

import difflib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech
from analyzer_agent.tools.engines import faster_whisper
from engines import Ready
from sounds import SoundVideo, analyzed, cut, noise, vowels, words_of

pytestmark = [pytest.mark.shared, pytest.mark.slow]

RATE = 16


@pytest.fixture(scope="module")
def whisper(real_whisper: Path) -> faster_whisper.Whisper:
    return faster_whisper.load_whisper(EngineConfig(weights=real_whisper, device="cpu"))


def samples_of(path: Path) -> NDArray[np.float32]:
    with open_video(path) as video:
        return video.audio(TimeRange(0, video.duration), RATE * 1000)


def heard(whisper: faster_whisper.Whisper, samples: NDArray[np.float32]) -> list[Observation]:
    video = SoundVideo(len(samples) // RATE, [samples])
    (notes,) = analyzed(speech.SPEC.bind({}, Ready(whisper, "whisper")), video, cut(video.duration, 0)).values()
    return notes


def spoken(notes: list[Observation]) -> list[tuple[str, int, int, float]]:
    return words_of(note for note in notes if note.kind == "speech")


@pytest.mark.parametrize("between", ["noise", "loud noise", "silence", "a false voice"])
def test_words_stay_where_they_were_said(between: str, shared: Path, whisper: faster_whisper.Whisper) -> None:
    one, other = samples_of(shared / "media" / "nasa_webb.mp4"), samples_of(shared / "media" / "jfk.flac")
    silence = np.zeros(50_000 * RATE, np.float32)
    sounds: dict[str, NDArray[np.float32]] = {
        "noise": (noise(50) / 30).astype(np.float32),
        "loud noise": (noise(50) / 3).astype(np.float32),
    }
    pause = sounds.get(between, silence)
    if between == "a false voice":
        pause[10_000 * RATE : 11_000 * RATE] += vowels(1.0)
    later = (len(one) + len(pause)) // RATE
    alone = [(text, start) for text, start, *_ in spoken(heard(whisper, one))]
    alone += [(text, later + start) for text, start, *_ in spoken(heard(whisper, other))]
    together = [(text, start) for text, start, *_ in spoken(heard(whisper, np.concatenate([one, pause, other])))]
    same = difflib.SequenceMatcher(None, [text for text, _ in alone], [text for text, _ in together], autojunk=False)
    off = [abs(together[j + n][1] - alone[i + n][1]) for i, j, size in same.get_matching_blocks() for n in range(size)]
    assert len(off) >= 0.95 * len(alone)
    assert np.median(off) < 150 and max(off) <= 500
    # The truth by ear: "And so, my fellow Americans: ask not" begins 0.32 s into the recording, and "ask" follows a pause of a second.
    starts = [start - later for text, start in together if start >= later]
    assert abs(starts[0] - 320) < 150
    assert min(abs(start - 3_330) for start in starts) <= 500
