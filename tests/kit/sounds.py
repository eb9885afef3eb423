"""Sound made for tests: a video that is nothing but samples, bursts that stand for words, and engines that hear them."""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from analyzer_agent.protocols import Analyzer, Cue, Frame, FrameQuery, Grain, Track, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange

RATE = 16


@dataclass
class SoundVideo(Video):
    """A video without a picture: mono samples at 16 kHz, or silence, and subtitle tracks."""

    duration: int
    tracks: Sequence[NDArray[np.float32]] = ()
    cues: Sequence[tuple[Track, Sequence[Cue]]] = ()
    id: str = "sound"
    path: Path = Path("sound.wav")
    picture: TimeRange | None = None
    rate: Fraction = Fraction(0)
    size: tuple[int, int] = (0, 0)
    rotation: int = 0
    other_pictures: Sequence[Track] = ()
    asked: list[TimeRange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.audio_tracks: Sequence[Track] = [Track(i + 1, "pcm") for i in range(len(self.tracks))]
        self.subtitle_tracks: Sequence[Track] = [track for track, _ in self.cues]

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> NDArray[np.float32]:
        assert rate == RATE * 1000 and span.end <= self.duration
        self.asked.append(span)
        return self.tracks[track - 1][span.start * RATE : span.end * RATE].copy()

    def mix(self, track: int = 1) -> str:
        return ""

    def subtitles(self, track: int) -> Sequence[Cue]:
        return next(cues for about, cues in self.cues if about.number == track)

    def frames(self, *args: Any, **kwargs: Any) -> Iterator[Frame]:
        raise AssertionError("there is no picture")

    def read_frames(self, query: FrameQuery) -> Iterator[Frame]:
        raise AssertionError("there is no picture")


def bursts(duration: int, words: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """Return silence with one burst per (start, end); its level tells which word it is."""
    samples = np.zeros(duration * RATE, np.float32)
    for i, (start, end) in enumerate(words):
        samples[start * RATE : end * RATE] = (i + 1) / 1000
    return samples


def write_channels(path: Path, channels: NDArray[np.floating[Any]], *, rate: int = 16_000, mask: int = 0) -> Path:
    """Write float[channels, n] as a WAV of 16 bits; a mask of 0 says nothing of where the channels belong."""
    count = len(channels)
    data = (np.clip(channels, -1, 1) * 32767).round().astype("<i2").T.tobytes()
    pcm = bytes.fromhex("0100000000001000800000aa00389b71")
    head = struct.pack("<HHIIHHHHI", 0xFFFE, count, rate, rate * count * 2, count * 2, 16, 22, 16, mask) + pcm
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


@dataclass(frozen=True)
class Spoken:
    """An audio track to write: mono samples at 16 kHz, or silence of the length of the others."""

    samples: NDArray[np.float32] | None = None
    language: str = ""
    title: str = ""
    default: bool = False


def write_tracks(path: Path, tracks: Sequence[Spoken]) -> Path:
    """Write the audio tracks, and nothing else, with their languages, titles and flags."""
    length = max(len(track.samples) for track in tracks if track.samples is not None)
    codec = {".mkv": "pcm_s16le", ".mka": "flac"}.get(path.suffix, "aac")
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream(codec, rate=RATE * 1000, layout="mono") for _ in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            stream.metadata.update({key: text for key, text in (("language", track.language), ("title", track.title)) if text})
            stream.disposition = Disposition.default if track.default else Disposition(0)
        packets = []
        for stream, track in zip(streams, tracks, strict=True):
            samples = np.zeros(length, np.float32) if track.samples is None else track.samples
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
            frame.sample_rate = RATE * 1000
            frame.pts = 0
            resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=RATE * 1000, frame_size=1024)
            parts = [*resampler.resample(frame), *resampler.resample(None)]
            packets += [packet for part in [*parts, None] for packet in stream.encode(part)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


class BurstListener:
    """Hears bursts as words `w0`, `w1`, ..., up to three in a window; its times are off by up to 50 ms, depending on all the sound that it
    is given at a time. Words whose numbers are in `deaf` are not heard."""

    languages: Sequence[str] = ("en",)
    takes_hotwords = True

    def __init__(self, deaf: Sequence[int] = ()) -> None:
        self.deaf = deaf
        self.decoded = 0

    def windows(self, samples: NDArray[np.float32]) -> list[list[tuple[int, int]]]:
        voiced = [(max(start - 60, 0), min(end + 60, len(samples) // RATE)) for _, start, end in self._bursts(samples)]
        return [voiced[at : at + 3] for at in range(0, len(voiced), 3)]

    def language(self, samples: NDArray[np.float32]) -> tuple[str, float]:
        return "en", 1.0

    def words(self, samples: NDArray[np.float32], language: str, hotwords: str) -> list[tuple[str, int, int, float]]:
        self.decoded += len(samples) // RATE
        seed = hashlib.blake2b(samples.tobytes(), digest_size=4).digest()
        wobble = np.random.default_rng(int.from_bytes(seed)).integers(-50, 51, (5000, 2)).tolist()
        heard = [word for word in self._bursts(samples) if word[0] not in self.deaf]
        return [(f" w{i}", start + wobble[i][0], end + wobble[i][1], 0.9) for i, start, end in heard]

    @staticmethod
    def _bursts(samples: NDArray[np.float32]) -> list[tuple[int, int, int]]:
        loud = np.concatenate(([0], (samples > 0).astype(np.int8), [0]))
        edges = np.flatnonzero(np.diff(loud)).reshape(-1, 2).tolist()
        return [(round(float(samples[a]) * 1000) - 1, a // RATE, b // RATE) for a, b in edges]


class LevelDetector:
    """A voice detector that hears any burst, with a memory: it needs a window to wake up."""

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        count = -(-len(samples) // 512)
        padded = np.zeros(count * 512, np.float32)
        padded[: len(samples)] = samples
        loud = (padded.reshape(-1, 512) > 0).mean(axis=1)
        return np.convolve(loud, [0.75, 0.25])[:count].astype(np.float32)


def words_of(notes: Iterable[Observation]) -> list[tuple[str, int, int, float]]:
    """Return the words of notes of speech: text, start and end (ms), confidence."""
    details: list[Any] = [note.detail["words"] for note in notes]
    return [tuple(word) for words in details for word in words]


def cut(duration: int, grain: int) -> list[Grain]:
    """Return the grains of a whole video."""
    return [Grain(span) for span in TimeRange(0, duration).grains(grain or duration, duration)]


def analyzed(analyzer: Analyzer, video: Video, grains: Sequence[Grain]) -> dict[TimeRange, list[Observation]]:
    """Return what is found in each grain, having checked that grains come back in order."""
    found = list(analyzer.analyze(video, grains))
    assert [grain for grain, _ in found] == list(grains)
    return {grain.span: list(notes) for grain, notes in found}


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)


def vowels(seconds: float, pitch: int = 110) -> NDArray[np.float32]:
    """A buzz with formants that change: nobody's voice, but near enough for a detector."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    formants = np.array([[730, 1090], [270, 2290], [300, 870]])[(t * 4).astype(int) % 3].T
    tone: Any = sum(
        np.exp(-(((k * pitch - f) / 120) ** 2)) * np.sin(2 * np.pi * k * pitch * (1 + 0.02 * np.sin(5 * t)) * t)
        for k in range(1, 30)
        for f in formants
    )
    return np.asarray(0.3 * tone / np.abs(tone).max() * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)), np.float32)
