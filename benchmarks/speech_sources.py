"""Speech to measure with, the words said in it, and two transcribers of it.

The reference of a recording is a transcript that comes with it, in any form that `import-notes`
reads; without one it is the plain library's transcript of all of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analyzer_agent.errors import Unavailable
from analyzer_agent.importing.detect import read_document
from analyzer_agent.media import open_video
from analyzer_agent.protocols import Availability, EngineConfig
from analyzer_agent.records import Observation
from analyzer_agent.testing import FakeEngine
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech
from analyzer_agent.tools.engines import faster_whisper
from analyzer_agent.tools.engines.whisper_files import locate
from benchmarks.made import observations
from benchmarks.needles.stock import SENTENCES
from benchmarks.needles.voices import recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000

_PAUSES = (0.3, 0.8, 1.5, 3.5)

Word = tuple[str, float, float]
"""A word with its start and end, in seconds."""

Hear = Callable[["NDArray[np.float32]"], list[Word]]


class Source(NamedTuple):
    """Speech to cut: float32[n] samples, mono, 16 kHz, its reference words, its language or ""."""

    name: str
    samples: "NDArray[np.float32]"
    truth: Sequence[Word]
    language: str = ""


def plain_model(weights: Path | None) -> Any:
    """Return the library's model with the weights of a folder, or with those that the analyzer finds.

    Raises:
        Unavailable: there are none.
    """
    from faster_whisper import WhisperModel

    found = locate(EngineConfig(weights=weights))
    if isinstance(found, Availability):
        raise Unavailable(f"There are no weights of Whisper: {found.missing}.", hint=found.fix)
    return WhisperModel(str(found.folder), device="cpu", compute_type="int8", local_files_only=True, files=found.read())


class Plain:
    """Transcribes with `WhisperModel.transcribe`.

    Args:
        weights: the folder of real weights, None for those that the analyzer finds.
        how: further arguments of `transcribe`.
    """

    def __init__(self, weights: Path | None, **how: Any) -> None:
        self._model = plain_model(weights)
        self._how = how

    def __call__(self, samples: "NDArray[np.float32]") -> list[Word]:
        return self.with_language(samples)[0]

    def with_language(self, samples: "NDArray[np.float32]") -> tuple[list[Word], str]:
        """Return the words and the language of the whole."""
        segments, info = self._model.transcribe(samples, word_timestamps=True, **self._how)
        return [(word.word, word.start, word.end) for segment in segments for word in segment.words], str(info.language)


class _Sound:
    """The part of the `Video` protocol that the speech analyzer uses."""

    id, audio_tracks = "piece", (None,)

    def __init__(self, samples: "NDArray[np.float32]") -> None:
        self._samples, self.duration = samples, len(samples) * 1000 // RATE

    def audio(self, span: TimeRange, rate: int = RATE, track: int = 1) -> "NDArray[np.float32]":
        return self._samples[span.start * RATE // 1000 : span.end * RATE // 1000]


class Ours:
    """Transcribes with the speech analyzer."""

    def __init__(self, weights: Path | None) -> None:
        self.whisper: Any = faster_whisper.load_whisper(EngineConfig(weights=weights, device="cpu"))

    def __call__(self, samples: "NDArray[np.float32]") -> list[Word]:
        said: list[Any] = [note.detail["words"] for note in self.notes(samples) if note.kind == "speech"]
        return [(word, start / 1000, end / 1000) for words in said for word, start, end, _ in words]

    def notes(self, samples: "NDArray[np.float32]") -> list[Observation]:
        """Return the notes of the analyzer, those of voice that was not understood included."""
        sound: Any = _Sound(samples)
        return observations(speech.SPEC, FakeEngine(lambda: self.whisper, "whisper"), sound)


def needles() -> Iterator[Source]:
    """Yield recorded sentences with different pauses, and the same with background music."""
    parts: list[NDArray[np.float32]] = []
    truth: list[Word] = []
    at = 0.0
    for n, sentence in enumerate(SENTENCES):
        samples = recording(sentence, RATE)
        truth += _spread(sentence, at, at + len(samples) / RATE)
        parts += [samples, np.zeros(round(_PAUSES[n % len(_PAUSES)] * RATE), np.float32)]
        at = sum(len(part) for part in parts) / RATE
    voices = np.concatenate(parts)
    yield Source("needles", voices, truth, "en")
    yield Source("needles, music", voices + _music(len(voices), float(np.sqrt(np.mean(np.square(voices)))) / 3), truth, "en")


def no_speech(seconds: int) -> "Mapping[str, NDArray[np.float32]]":
    """Return sounds that are no speech by name: float32[n], mono, 16 kHz."""
    count = seconds * RATE
    at = np.arange(count) / RATE
    chance = np.random.default_rng(5)
    white = chance.normal(0, 0.1, count)
    beats = np.exp(-4 * (at % 0.5))
    chords = [
        sum(_tone(np.full(count, 220 * 2 ** (step / 12))) for step in (0, 4, 7)),
        220 * 2.0 ** (chance.integers(-12, 13, 2 * seconds) / 12),
    ]
    claps = np.convolve(chance.random(count) < 25 / RATE, np.exp(-np.arange(RATE // 20) / 200), "same") * chance.normal(0, 0.5, count)
    blip = np.zeros(count)
    blip[(count - RATE) // 2 :][:RATE] = _buzz(1)
    sounds = {
        "silence": np.zeros(count),
        "noise": white / 20,
        "loud noise": white / 3,
        "hum": _tone(np.full(count, 50.0)),
        "beeps": _tone(np.full(count, 1000.0)) * (at % 1 < 0.2),
        "siren": _tone(900 + 400 * np.sin(2 * np.pi * 0.25 * at)),
        "applause": claps,
        "music, chords": np.asarray(chords[0]) / 3 * beats,
        "music, a tune": _tone(np.repeat(chords[1], RATE // 2)) * beats,
        "a sung glide": _buzz(seconds),
        "a second of false voice": blip,
    }
    return {name: np.clip(samples, -1, 1).astype(np.float32) for name, samples in sounds.items()}


def _tone(hertz: "NDArray[np.float64]") -> "NDArray[np.float64]":
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    return np.asarray(sum(np.sin(harmonic * phase) / harmonic for harmonic in (1, 2, 3)) * 0.15)


def _buzz(seconds: int) -> "NDArray[np.float64]":
    """Return a tone with formants that change: near enough to a voice for a detector."""
    at = np.arange(seconds * RATE) / RATE
    formants = np.array([[730, 1090], [270, 2290], [300, 870]])[(at * 4).astype(int) % 3].T
    phase = 2 * np.pi * 110 * (1 + 0.02 * np.sin(5 * at)) * at
    tone = np.sum([np.exp(-(((k * 110 - f) / 120) ** 2)) * np.sin(k * phase) for k in range(1, 30) for f in formants], axis=0)
    return np.asarray(0.3 * tone / np.abs(tone).max() * (0.6 + 0.4 * np.sin(8 * np.pi * at)))


def read_source(path: Path, transcript: Path | None, plain: Plain) -> Source:
    """Return a recording with the words of its transcript, or with those that the plain library hears."""
    samples = samples_of(path)
    if transcript is None:
        return Source(path.name, samples, *plain.with_language(samples))
    entries = read_document(transcript.read_bytes(), transcript, 0).entries
    words: list[Word] = []
    for entry in entries:
        inner = [(word.text, word.start / 1000, word.end / 1000) for word in entry.words]
        words += inner or _spread(entry.text, entry.start / 1000, entry.end / 1000)
    return Source(path.name, samples, words, next((entry.language for entry in entries if entry.language), ""))


def samples_of(path: Path) -> "NDArray[np.float32]":
    """Return the sound of a file: float32[n], mono, 16 kHz."""
    with open_video(path) as video:
        return video.audio(TimeRange(0, video.duration), RATE)


def _spread(text: str, start: float, end: float) -> list[Word]:
    words = text.split()
    each = (end - start) / max(1, len(words))
    return [(word, start + i * each, start + (i + 1) * each) for i, word in enumerate(words)]


def _music(count: int, level: float) -> "NDArray[np.float32]":
    """Return a chord with a beat, at the root mean square `level`."""
    t = np.arange(count) / RATE
    chord = np.sum([np.sin(2 * np.pi * f * t) * (0.6 + 0.4 * np.sin(np.pi * t + f)) for f in (110, 164.8, 220, 277.2, 329.6)], axis=0)
    beat = np.exp(-(t % 0.5) * 30) * np.random.default_rng(1).normal(0, 1, count)
    sound = chord / 5 + beat / 2
    music: NDArray[np.float32] = (sound * level / np.sqrt(np.mean(np.square(sound)))).astype(np.float32)
    return music
