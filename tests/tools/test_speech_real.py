"""Speech with real weights of Whisper: what random weights cannot show. REAL_WHISPER names their folder."""

import difflib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.records import DOUBT, Observation
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


def tones(seconds: int, hertz: NDArray[np.float64]) -> NDArray[np.float32]:
    phase = 2 * np.pi * np.cumsum(hertz) / (RATE * 1000)
    return np.asarray(sum(np.sin(harmonic * phase) / harmonic for harmonic in (1, 2, 3)) * 0.15, np.float32)[: seconds * RATE * 1000]


def silent(seconds: int) -> NDArray[np.float32]:
    return np.zeros(seconds * RATE * 1000, np.float32)


def not_speech(seconds: int = 40) -> dict[str, NDArray[np.float32]]:
    at = np.arange(seconds * RATE * 1000) / (RATE * 1000)
    blip = silent(seconds)
    blip[10_000 * RATE : 11_000 * RATE] += vowels(1.0)
    notes = np.random.default_rng(5).integers(-12, 13, seconds * 2).repeat(RATE * 500)
    return {
        "silence": silent(seconds),
        "noise": (noise(seconds) / 20).astype(np.float32),
        "loud noise": (noise(seconds) / 3).astype(np.float32),
        "hum": tones(seconds, np.full(len(at), 50.0)),
        "siren": tones(seconds, 900 + 400 * np.sin(2 * np.pi * 0.25 * at)),
        "music": tones(seconds, 220 * 2.0 ** (notes / 12)) * np.exp(-4 * (at % 0.5)).astype(np.float32),
        "a false voice": blip,
    }


@pytest.mark.parametrize("name", not_speech())
def test_what_is_no_speech_gives_no_certain_words(name: str, whisper: faster_whisper.Whisper) -> None:
    samples = not_speech()[name]
    assert [note.text for note in heard(whisper, samples) if note.kind == "speech" and not note.detail.get(DOUBT)] == []
    # The same where the voice detector lets it pass.
    for seconds in (3, 10, 29):
        words = whisper.words(samples[: seconds * RATE * 1000], "en", "")
        assert not words or sum(word[-1] for word in words) / len(words) < 0.15, words


def test_each_language_of_a_track_is_heard_as_it_is(shared: Path, whisper: faster_whisper.Whisper) -> None:
    notes = [note for note in heard(whisper, samples_of(shared / "media" / "multilingual.mp3")[: 60_000 * RATE]) if note.kind == "speech"]
    at = {language: [note for note in notes if note.detail["language"] == language] for language in ("en", "de")}
    assert len(at["en"]) + len(at["de"]) == len(notes) and not any(note.detail.get(DOUBT) for note in notes)
    assert "Permission is hereby granted, free of charge" in at["en"][0].text and max(n.span.end for n in at["en"]) < 31_000
    assert "Software" in at["de"][0].text and min(n.span.start for n in at["de"]) > 29_000
