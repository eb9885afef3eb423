"""Measure the recall of spoken words.

`python -m benchmarks.speech_recall --weights FOLDER RECORDING...`

Cuts recordings of real speech into pieces and transcribes each twice with the same weights: by the
speech analyzer and by plain `WhisperModel.transcribe`. Recall is the share of reference words found
in the transcript in order. The reference of a recording is the plain transcript of all of it; that
of the needle voices, which are always measured, is their text. Real weights are needed: with random
ones, lost speech goes unnoticed.
"""

import argparse
import json
import re
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.testing import FakeEngine
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech
from analyzer_agent.tools.engines import faster_whisper
from benchmarks.made import observations
from benchmarks.needles.stock import SENTENCES
from benchmarks.needles.voices import recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
LENGTHS = (5, 10, 14, 20, 30)
"""Lengths of the pieces, in seconds."""

BELOW, WORST, COST = 0.5, 10.0, 1.3
"""Limits: points of recall below the library over all cuts, and in one cut; relative CPU time."""

LEAST = 10
"""Cuts with fewer words count only in the totals, since one spelling costs them many points."""

_PAUSES = (0.3, 0.8, 1.5, 3.5)

Word = tuple[str, float, float]
"""A word with its start and end, in seconds."""


class Source(NamedTuple):
    """Speech to cut: float32[n] samples, mono, 16 kHz, and its reference words."""

    name: str
    samples: "NDArray[np.float32]"
    truth: Sequence[Word]


@dataclass(frozen=True)
class Cut:
    """Result of one piece: start and length in seconds, word counts, CPU seconds."""

    source: str
    length: int
    start: int
    words: int
    ours: int
    plain: int
    ours_cpu: float
    plain_cpu: float

    @property
    def points(self) -> float:
        """Points of recall above the library; 0 for cuts with few words."""
        return 100 * (self.ours - self.plain) / self.words if self.words >= LEAST else 0.0


Hear = Callable[["NDArray[np.float32]"], list[Word]]


def main() -> None:
    """Parse the command line, measure and report; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser("python -m benchmarks.speech_recall", description="Measure how much of what is said is heard.")
    parser.add_argument("recordings", nargs="*", type=Path, metavar="RECORDING", help="recordings of real speech, in any language")
    parser.add_argument("--weights", type=Path, required=True, metavar="FOLDER", help="real Whisper weights (with model.bin)")
    parser.add_argument("--cuts", type=int, default=10, metavar="N", help="pieces of each length per recording (default: 10)")
    parser.add_argument("--lengths", type=_numbers, default=LENGTHS, metavar="S,S,...", help="lengths in seconds (default: 5,10,14,20,30)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where each cut goes, as JSON")
    chosen = parser.parse_args()
    plain, ours = _plain(chosen.weights), _ours(chosen.weights)
    sources = [*_needles(), *(_recording(path, plain) for path in chosen.recordings)]
    done = []
    for source in sources:
        for length, start in pieces(len(source.samples) // RATE, chosen.lengths, chosen.cuts):
            done.append(_measured(source, length, start, ours, plain))
            if chosen.out:
                chosen.out.write_text(json.dumps([asdict(cut) for cut in done], indent=1) + "\n", encoding="utf-8")
    sys.exit(not _told(done))


def pieces(duration: int, lengths: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """Yield (length, start) in seconds: up to `count` distinct, evenly spaced pieces per length."""
    for length in lengths:
        last = duration - length
        if last >= 0:
            yield from ((length, start) for start in sorted({round(last * n / max(1, count - 1)) for n in range(count)}))


def tokens(text: str) -> list[str]:
    """Split a text into words for comparison: lower case, without punctuation."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())


def recalled(truth: Sequence[str], heard: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of the words."""
    before = [0] * (len(heard) + 1)
    for word in truth:
        row = [0]
        for at, other in enumerate(heard):
            row.append(max(before[at + 1], row[at], before[at] + (word == other)))
        before = row
    return before[-1]


def _measured(source: Source, length: int, start: int, ours: Hear, plain: Hear) -> Cut:
    samples = source.samples[start * RATE : (start + length) * RATE]
    # Words cut in two are not counted.
    truth = [token for word, a, b in source.truth if start <= a and b <= start + length for token in tokens(word)]
    counts, seconds = [], []
    for hear in (ours, plain):
        began = time.process_time()
        heard = hear(samples)
        seconds.append(time.process_time() - began)
        counts.append(recalled(truth, [token for word, *_ in heard for token in tokens(word)]))
    return Cut(source.name, length, start, len(truth), counts[0], counts[1], seconds[0], seconds[1])


def _told(cuts: Sequence[Cut]) -> bool:
    """Print the table and the limits; return whether all limits are met."""
    rows: dict[tuple[str, int], list[Cut]] = defaultdict(list)
    for cut in cuts:
        for key in ((cut.source, cut.length), (cut.source, 0), ("all", 0)):
            rows[key].append(cut)
    table = Table("source", "s", "cuts", "words", "library", "heard", "worst cut", "processor time")
    for (source, length), some in rows.items():
        words, worst = max(1, sum(cut.words for cut in some)), min(some, key=lambda cut: cut.points)
        table.add_row(
            *(source, str(length or "all"), str(len(some)), str(words)),
            *(f"{100 * sum(cut.plain for cut in some) / words:.1f} %", f"{100 * sum(cut.ours for cut in some) / words:.1f} %"),
            *(f"{worst.points:+.1f} at {worst.start} s", f"{_cost(some):.2f} x"),
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    words = max(1, sum(cut.words for cut in cuts))
    points, lowest = 100 * sum(cut.ours - cut.plain for cut in cuts) / words, min((cut.points for cut in cuts), default=0.0)
    print(f"{len(cuts)} cuts: {points:+.1f} points (at least -{BELOW}), worst {lowest:+.1f} (at least -{WORST:g}), ", end="")
    print(f"processor time {_cost(cuts):.2f} x (at most {COST:g})")
    return points >= -BELOW and lowest >= -WORST and _cost(cuts) <= COST


def _cost(cuts: Sequence[Cut]) -> float:
    return sum(cut.ours_cpu for cut in cuts) / max(1e-9, sum(cut.plain_cpu for cut in cuts))


# --- transcribers ---------------------------------------------------------------------------------


def _plain(folder: Path) -> Hear:
    from faster_whisper import WhisperModel

    model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)

    def hear(samples: "NDArray[np.float32]") -> list[Word]:
        segments, _ = model.transcribe(samples, word_timestamps=True)
        return [(word.word, word.start, word.end) for segment in segments for word in segment.words]

    return hear


class _Sound:
    """The part of the `Video` protocol that the speech analyzer uses."""

    id, audio_tracks = "piece", (None,)

    def __init__(self, samples: "NDArray[np.float32]") -> None:
        self._samples, self.duration = samples, len(samples) * 1000 // RATE

    def audio(self, span: TimeRange, rate: int = RATE, track: int = 1) -> "NDArray[np.float32]":
        return self._samples[span.start * RATE // 1000 : span.end * RATE // 1000]


def _ours(folder: Path) -> Hear:
    engine = faster_whisper.load_whisper(EngineConfig(weights=folder, device="cpu"))

    def hear(samples: "NDArray[np.float32]") -> list[Word]:
        sound: Any = _Sound(samples)
        found = observations(speech.SPEC, FakeEngine(lambda: engine, "whisper"), sound)
        said: list[Any] = [note.detail["words"] for note in found if note.kind == "speech"]
        return [(word, start / 1000, end / 1000) for words in said for word, start, end, _ in words]

    return hear


# --- sources --------------------------------------------------------------------------------------


def _needles() -> Iterator[Source]:
    """Yield recorded sentences with different pauses, and the same with background music."""
    parts: list[NDArray[np.float32]] = []
    truth: list[Word] = []
    at = 0.0
    for n, sentence in enumerate(SENTENCES):
        samples = recording(sentence, RATE)
        words = sentence.split()
        each = len(samples) / RATE / len(words)
        truth += [(word, at + i * each, at + (i + 1) * each) for i, word in enumerate(words)]
        parts += [samples, np.zeros(round(_PAUSES[n % len(_PAUSES)] * RATE), np.float32)]
        at = sum(len(part) for part in parts) / RATE
    voices = np.concatenate(parts)
    yield Source("needles", voices, truth)
    yield Source("needles, music", voices + _music(len(voices), float(np.sqrt(np.mean(np.square(voices)))) / 3), truth)


def _music(count: int, level: float) -> "NDArray[np.float32]":
    """Return a chord with a beat, at the root mean square `level`."""
    t = np.arange(count) / RATE
    chord = np.sum([np.sin(2 * np.pi * f * t) * (0.6 + 0.4 * np.sin(np.pi * t + f)) for f in (110, 164.8, 220, 277.2, 329.6)], axis=0)
    beat = np.exp(-(t % 0.5) * 30) * np.random.default_rng(1).normal(0, 1, count)
    sound = chord / 5 + beat / 2
    music: NDArray[np.float32] = (sound * level / np.sqrt(np.mean(np.square(sound)))).astype(np.float32)
    return music


def _recording(path: Path, plain: Hear) -> Source:
    with open_video(path) as video:
        samples = video.audio(TimeRange(0, video.duration), RATE)
    return Source(path.name, samples, plain(samples))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
