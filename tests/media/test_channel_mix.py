"""Channels: a voice on any of them is heard, whatever the layout says and the other channels hold."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.sample import sample_path
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech, voice
from analyzer_agent.tools.engines import silero
from engines import Ready
from media_maker import Clip, Tone, write
from sounds import LevelDetector, analyzed, cut, noise, vowels, write_channels

RATE = 16_000
SECONDS = 4
SURROUND_5_1, SURROUND_7_1, QUAD, SUBWOOFER, MASK_3_1 = 0x3F, 0x63F, 0x33, 0x8, 0xF


def decibels(samples: NDArray[Any], other: NDArray[Any]) -> float:
    """Return how much louder `samples` are than `other`."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples))) / np.sqrt(np.mean(np.square(other)))))


@cache
def said(pitch: int = 110) -> NDArray[np.float32]:
    return vowels(SECONDS, pitch)


def placed(count: int, **by_channel: NDArray[Any]) -> NDArray[np.float32]:
    """Return silent channels, some of them (`c1` is the first) with sound."""
    channels = np.zeros((count, SECONDS * RATE), np.float32)
    for name, samples in by_channel.items():
        channels[int(name[1:]) - 1] = samples
    return channels


def heard(path: Path) -> NDArray[np.float32]:
    return open_video(path).audio(TimeRange(0, SECONDS * 1000))


def likeness(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.corrcoef(one, other)[0, 1])


@pytest.mark.parametrize(
    ("count", "mask"),
    [
        *[(1, 0x4), (1, SUBWOOFER), (2, 3), (3, 0xB), (4, QUAD), (4, MASK_3_1), (6, SURROUND_5_1), (8, SURROUND_7_1)],
        *[(count, 0) for count in (2, 4, 5, 6, 7, 8, 12, 16, 24)],
    ],
)
def test_a_voice_on_any_one_channel_is_as_loud_as_there(tmp_path: Path, count: int, mask: int) -> None:
    for channel in {1, (count + 1) // 2, min(4, count), count}:
        got = heard(write_channels(tmp_path / "a.wav", placed(count, **{f"c{channel}": said()}), mask=mask))
        quieter = 6.1 if count == 2 else 0.1
        assert -quieter < decibels(got, said()) < 0.1, f"channel {channel}"
        assert abs(likeness(got, said())) > 0.999


@pytest.mark.parametrize("right", [-1.0, -0.9, -0.5])
@pytest.mark.parametrize("mask", [0, 3])
def test_opposite_channels_do_not_cancel(tmp_path: Path, right: float, mask: int) -> None:
    path = write_channels(tmp_path / "a.wav", placed(2, c1=said(), c2=right * said()), mask=mask)
    assert abs(decibels(heard(path), said())) < 0.5


def test_a_voice_is_heard_where_its_opposite_is_delayed_and_noisy(tmp_path: Path) -> None:
    late = np.roll(said(), 1)  # 34 cm
    path = write_channels(tmp_path / "a.wav", placed(2, c1=said() + noise(4) / 20, c2=noise(4, 1) / 20 - late))
    assert decibels(heard(path), said()) > -1


def test_what_both_sides_share_is_kept_where_they_are_opposite(tmp_path: Path) -> None:
    shared = 0.1 * np.sin(2 * np.pi * 500 * np.arange(SECONDS * RATE) / RATE)
    got = heard(write_channels(tmp_path / "a.wav", placed(2, c1=shared + 2 * noise(4), c2=shared - 2 * noise(4))))
    strength = np.abs(np.fft.rfft(got)) / len(got) * 2
    assert strength[500 * SECONDS] > 0.03


@pytest.mark.parametrize("count", [3, 4, 6, 8, 24])
def test_no_pair_of_many_channels_cancels(tmp_path: Path, count: int) -> None:
    for one, other in [(1, 2), (2, count), (1, count)]:
        channels = placed(count, **{f"c{one}": said(), f"c{other}": -said()})
        assert abs(decibels(heard(write_channels(tmp_path / "a.wav", channels)), said())) < 0.5
    loud = placed(count, c1=5 * noise(4, 2), c2=said(), c3=-said())
    assert likeness(heard(write_channels(tmp_path / "a.wav", loud)), loud[1]) > 0.05


def test_an_ambisonic_recording_is_heard_from_every_side(tmp_path: Path) -> None:
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        channels = np.stack([share * said() for share in (1, np.sin(angle), 0, np.cos(angle))])
        assert abs(decibels(heard(write_channels(tmp_path / "a.wav", channels)), said())) < 0.5, angle


def test_the_noise_of_many_silent_channels_does_not_add_up(tmp_path: Path) -> None:
    hiss = np.stack([noise(SECONDS, seed) for seed in range(24)]) / 30
    hiss[17] += said()
    assert likeness(heard(write_channels(tmp_path / "a.wav", hiss)), said()) > 0.98


def test_two_who_speak_in_turn_are_both_heard(tmp_path: Path) -> None:
    first, second = said().copy(), said(190).copy()
    first[2 * RATE :], second[: 2 * RATE] = 0, 0
    got = heard(write_channels(tmp_path / "a.wav", placed(4, c1=first, c4=second * 0.3), mask=QUAD))
    assert likeness(got[: 2 * RATE], first[: 2 * RATE]) > 0.99
    assert likeness(got[2 * RATE :], second[2 * RATE :]) > 0.99


def test_ordinary_stereo_is_the_plain_mean(tmp_path: Path) -> None:
    channels = placed(2, c1=said() + noise(4), c2=said() * 0.4 + noise(4, 1))
    path = write_channels(tmp_path / "a.wav", channels)
    assert np.abs(heard(path) - channels.mean(axis=0)).max() < 1e-3
    assert open_video(path).mix() == ""


@pytest.mark.parametrize("name", ["a.mkv", "a.m4a", "a.wav"])
@pytest.mark.parametrize(("start", "end"), [(0, 1000), (999, 2001), (1500, 1990), (2000, 3100), (2700, 3999), (3500, 6000)])
def test_the_mix_does_not_depend_on_what_is_asked_for(tmp_path: Path, name: str, start: int, end: int) -> None:
    channels = placed(6, c4=said(), c2=noise(4) * np.linspace(0, 4, 4 * RATE))
    channels[1, RATE:] *= -1
    path = reencoded(tmp_path / name, channels)
    whole = open_video(path).audio(TimeRange(0, 6000))
    part = open_video(path).audio(TimeRange(start, end))
    assert np.abs(part - whole[start * 16 : end * 16]).max() < 2e-3


def test_there_is_no_click_where_the_weights_change(tmp_path: Path) -> None:
    at = np.arange(SECONDS * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 300 * at)
    channels = placed(6, c1=tone, c2=tone * (at > 1.5), c3=-tone * (at > 2.25), c6=tone * (at < 1))
    got = heard(write_channels(tmp_path / "a.wav", channels))
    steps = np.abs(np.diff(got, 2))
    for second in (1, 2, 3):
        assert steps[second * RATE - 20 : second * RATE + 20].max() < 0.02


def test_floats_that_are_no_numbers_are_silent(tmp_path: Path) -> None:
    import av

    samples = np.full((2, RATE), 0.25, np.float32)
    samples[:, 50:60] = np.nan
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream: Any = container.add_stream("pcm_f32le", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), format="flt", layout="stereo")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    got = open_video(tmp_path / "a.wav").audio(TimeRange(0, 1000))
    assert np.isfinite(got).all()
    assert got[50:60].max() == 0
    assert got[100] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("codec", "layout", "count"),
    [
        *[(codec, "7.1", 8) for codec in ("aac", "flac", "wavpack", "pcm_s16le")],
        *[("pcm_s16le", "hexadecagonal", 16), ("pcm_f32le", "22.2", 24)],
    ],
)
def test_codecs_of_many_channels(tmp_path: Path, codec: str, layout: str, count: int) -> None:
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=48_000, layout=layout)
        stream.codec_context.open(strict=False)
        kind = stream.codec_context.format.name
        resampler = av.AudioResampler(format=kind, layout=layout, rate=48_000, frame_size=stream.codec_context.frame_size or 1024)
        samples = np.zeros((2 * 48_000, count), np.float32)
        samples[:, -1] = 0.5 * np.sin(2 * np.pi * 500 * np.arange(2 * 48_000) / 48_000)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate = 48_000
        frame.pts = 0
        packets = [packet for part in [*resampler.resample(frame), *resampler.resample(None)] for packet in stream.encode(part)]
        container.mux([*packets, *stream.encode(None)])
    got = open_video(path).audio(TimeRange(500, 1500))
    assert np.abs(got).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_s64le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_keeps_its_level(tmp_path: Path, codec: str) -> None:
    tone = Tone(hertz=440, end=2.0, codec=codec, layout="5.1", amplitude=0.5)
    got = open_video(write(tmp_path / "a.nut", Clip(picture=False, tones=[tone]))).audio(TimeRange(0, 2000))
    assert np.abs(got).max() == pytest.approx(0.5, abs=0.02)


# --- cache keys -------------------------------------------------------------------------------------------------------


def keys(video: MediaFile) -> list[object]:
    bound = [spec.bind({}, Ready(LevelDetector())) for spec in (speech.SPEC, voice.SPEC)]
    return [analyzer.inputs(video) for analyzer in bound]


def test_only_what_is_heard_otherwise_than_before_has_another_key(tmp_path: Path) -> None:
    both = placed(2, c1=said() + noise(4), c2=said())
    assert keys(open_video(write_channels(tmp_path / "mono.wav", both[:1]))) == [{}, {}]
    assert keys(open_video(write_channels(tmp_path / "stereo.wav", both, mask=3))) == [{}, {}]
    inverted = np.stack([said(), -said()])
    assert keys(open_video(write_channels(tmp_path / "inverted.wav", inverted, mask=3))) == [{"mix": "levelled"}] * 2
    assert keys(open_video(write_channels(tmp_path / "six.wav", placed(6, c4=said())))) == [{"mix": "levelled"}] * 2


# --- a real detector, as the field report has it ------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["mono", "right inverted", "channel 4 of 6", "three without a layout", "quad", "subwoofer"])
def test_the_same_voice_is_found_in_all(tmp_path: Path, case: str) -> None:
    words = open_video(sample_path()).audio(TimeRange(0, 8000))
    silent = np.zeros_like(words)
    channels, mask = {
        "mono": ([words], 4),
        "right inverted": ([words, -words], 3),
        "channel 4 of 6": ([*[silent] * 3, words, silent, silent], SURROUND_5_1),
        "three without a layout": ([silent, silent, words], 0),
        "quad": ([silent, silent, silent, words], QUAD),
        "subwoofer": ([words], SUBWOOFER),
    }[case]
    found = voices(write_channels(tmp_path / "mono.wav", np.stack([words])))
    assert sum(end - start for start, end in found) > 2000
    got = voices(write_channels(tmp_path / "a.wav", np.stack(channels), mask=mask))
    assert np.abs(np.subtract(got, found)).max() <= 64


def voices(path: Path) -> list[tuple[int, int]]:
    video = open_video(path)
    bound = voice.SPEC.bind({}, Ready(silero.Silero()))
    found = analyzed(bound, video, cut(video.duration, 60_000))
    return [(note.span.start, note.span.end) for notes in found.values() for note in notes]


def reencoded(path: Path, channels: NDArray[np.float32]) -> Path:
    """Write six channels of 16 kHz as FLAC, AAC or PCM."""
    import av

    codec = {".mkv": "flac", ".m4a": "aac", ".wav": "pcm_s16le"}[path.suffix]
    with av.open(str(path), "w") as container:
        # The codec's substitute for noise is random.
        stream: Any = container.add_stream(codec, rate=RATE, layout="5.1", options={"aac_pns": "0"} if codec == "aac" else {})
        stream.bit_rate = 400_000
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="5.1", rate=RATE, frame_size=1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout="5.1")
        frame.sample_rate = RATE
        frame.pts = 0
        packets = [packet for part in [*resampler.resample(frame), *resampler.resample(None)] for packet in stream.encode(part)]
        container.mux([*packets, *stream.encode(None)])
    return path
