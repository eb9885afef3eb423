"""Sound: exact lengths, the right place on the timeline, and seams that fit."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import open_video
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Tone, tone, write

RATE = 16_000
KINDS = {
    "wav": ("a.wav", "pcm_s16le", 44_100),
    "flac": ("a.flac", "flac", 44_100),
    "mp3": ("a.mp3", "libmp3lame", 44_100),
    "m4a": ("a.m4a", "aac", 44_100),
    "adts": ("a.aac", "aac", 44_100),
    "mka aac": ("a.mka", "aac", 44_100),
    "ts aac": ("a.ts", "aac", 44_100),
    "opus": ("a.opus", "libopus", 48_000),
    "webm": ("a.webm", "libopus", 48_000),
    "ps": ("a.mpg", "mp2", 48_000),
}


def hertz(samples: np.ndarray, rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def loud(samples: np.ndarray, rate: int = RATE) -> tuple[float, float]:
    """Return from when to when (seconds) there is sound."""
    heard = np.flatnonzero(np.abs(samples) > 0.05)
    return heard[0] / rate, (heard[-1] + 1) / rate


@pytest.fixture(scope="module", params=KINDS, ids=lambda name: name.replace(" ", "-"))
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, codec, rate = KINDS[request.param]
    tones = [Tone(codec=codec, rate=rate, end=12.0)]
    return write(tmp_path_factory.mktemp("sound") / name, Clip(picture=False, tones=tones))


def test_audio_only(sound: Path) -> None:
    video = open_video(sound)
    assert video.picture is None
    assert (video.rate, video.size) == (Fraction(0), (0, 0))
    assert len(video.audio_tracks) == 1
    assert abs(video.duration - 12_000) <= 100
    assert video.readable == TimeRange(0, video.duration)
    assert video.problems == []
    with pytest.raises(MediaError, match="no picture"):
        video.frames(TimeRange(0, 1000), 1)


def test_is_what_was_written(sound: Path) -> None:
    video = open_video(sound)
    whole = video.audio(TimeRange(0, 12_000))
    assert whole.shape == (12 * RATE,)
    assert whole.dtype == np.float32
    assert abs(hertz(whole[RATE : 9 * RATE]) - 440) < 0.5
    assert np.abs(whole[RATE:-RATE]).max() == pytest.approx(0.5, abs=0.05)
    first, last = loud(whole)
    assert first < 0.1
    assert last > 11.9


@pytest.mark.parametrize("at", [1000, 3333, 5000, 7777])
def test_seams(sound: Path, at: int) -> None:
    video = open_video(sound)
    whole = video.audio(TimeRange(0, 10_000))
    parts = np.concatenate([video.audio(TimeRange(0, at)), video.audio(TimeRange(at, 10_000))])
    size = at * RATE // 1000
    assert np.abs(parts[: len(whole)] - whole[: len(parts)]).max() < 2e-3, f"at {np.abs(parts - whole).argmax() / RATE} s"
    assert np.abs(np.diff(parts[size - 20 : size + 20])).max() < 0.2


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(("start", "end"), [(0, 1000), (37, 1999), (11_500, 14_000), (20_000, 20_500), (500, 500)])
def test_exact_length(sound: Path, rate: int, start: int, end: int) -> None:
    samples = open_video(sound).audio(TimeRange(start, end), rate)
    assert len(samples) == (end - start) * rate // 1000
    if start >= 13_000:
        assert not samples.any()


def test_matches_sample_by_sample(tmp_path: Path) -> None:
    signal = Tone(hertz=1000, codec="pcm_s16le", rate=16_000, end=3.0)
    path = write(tmp_path / "a.wav", Clip(picture=False, tones=[signal]))
    read = open_video(path).audio(TimeRange(500, 2500))
    assert np.abs(read - tone(signal)[8000:40_000]).max() < 1e-4


def test_resampling_does_not_shift(tmp_path: Path) -> None:
    signal = Tone(hertz=300, codec="pcm_s16le", rate=48_000, end=3.0)
    path = write(tmp_path / "a.wav", Clip(picture=False, tones=[signal]))
    at = np.arange(16_000, 32_000) / 16_000
    assert np.abs(open_video(path).audio(TimeRange(1000, 2000)) - 0.5 * np.sin(2 * np.pi * 300 * at)).max() < 2e-3


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_late_sound(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, Clip(tones=[Tone(start=0.75, end=1.6)]))
    video = open_video(path)
    samples = video.audio(TimeRange(0, 2000))
    first, last = loud(samples)
    assert first == pytest.approx(0.75, abs=0.03)
    assert last == pytest.approx(1.6, abs=0.04)
    assert np.abs(samples[: round(0.7 * RATE)]).max() < 1e-3
    assert not video.audio(TimeRange(0, 500)).any()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_gap_is_silent(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path / name, Clip(picture=False, tones=[Tone(end=4.0, gap=(1.0, 2.5), codec="pcm_s16le" if name == "a.mkv" else "aac")])
    )
    samples = open_video(path).audio(TimeRange(0, 4000))
    assert np.abs(samples[round(1.1 * RATE) : round(2.4 * RATE)]).max() < 1e-3
    assert loud(samples[round(2.4 * RATE) :])[0] == pytest.approx(0.1, abs=0.06)
    assert loud(samples)[1] == pytest.approx(4.0, abs=0.06)


def test_several_tracks(tmp_path: Path) -> None:
    tones = [Tone(hertz=440, language="eng"), Tone(hertz=1000, language="deu", layout="stereo"), Tone(hertz=2500, rate=48_000)]
    video = open_video(write(tmp_path / "a.mkv", Clip(tones=tones)))
    assert [(track.number, track.language, track.codec) for track in video.audio_tracks] == [
        (1, "eng", "aac"),
        (2, "deu", "aac"),
        (3, "", "aac"),
    ]
    for track, expected in zip((1, 2, 3), (440, 1000, 2500), strict=True):
        assert hertz(video.audio(TimeRange(500, 1500), track=track)) == pytest.approx(expected, abs=2)
    with pytest.raises(MediaError, match="no audio track 4") as error:
        video.audio(TimeRange(0, 1000), track=4)
    assert "2 (deu)" in error.value.hint


def test_no_sound(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4", Clip()))
    assert video.audio_tracks == ()
    with pytest.raises(MediaError, match="no audio track 1"):
        video.audio(TimeRange(0, 1000))


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_channels_are_mixed_within_bounds(tmp_path: Path, layout: str) -> None:
    tones = [Tone(codec="pcm_s16le", layout=layout, amplitude=0.99)]
    samples = open_video(write(tmp_path / "a.wav", Clip(picture=False, tones=tones))).audio(TimeRange(0, 2000))
    assert 0.5 < np.abs(samples).max() <= 1.0


def test_sound_beside_a_late_picture_in_a_transport_stream(tmp_path: Path) -> None:
    clip = Clip(times=[1000 + i * 40 for i in range(50)], tones=[Tone(start=0.5, end=3.0)])
    video = open_video(write(tmp_path / "a.ts", clip))
    assert video.picture is not None
    assert video.picture.start == pytest.approx(500, abs=50)
    assert loud(video.audio(TimeRange(0, 2000)))[0] < 0.05
    assert Fraction(video.rate) == 25
