"""Measure the rule of doubt: which of the words that Whisper writes become certain, uncertain or no notes.

`python -m benchmarks.speech_doubt RECORDING[=TRANSCRIPT]...`

Sounds that are no speech are given to the speech analyzer, and once more as if all of them were
voice, since voice detection has most of them ignored. They should give no certain note. Recorded
speech should lose no word of its transcript to the rule. Real weights are needed.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from analyzer_agent.records import DOUBT, UNHEARD, Observation
from analyzer_agent.tools import speech
from benchmarks.speech_recall import recalled, recording_argument, tokens
from benchmarks.speech_sources import RATE, Ours, Plain, Source, needles, no_speech, read_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

LENGTHS = (3, 10, 29)
"""Lengths of the sounds that are no speech, in seconds."""


class Row(NamedTuple):
    """Notes of one sound by their certainty, the lowest and highest score, and words of the transcript.

    `words`: in the transcript; `doubted`: of those heard, in uncertain notes; `lost`: in none.
    """

    sound: str
    seconds: int
    certain: int
    uncertain: int
    left_out: int
    lowest: float | None
    highest: float | None
    words: int = 0
    doubted: int = 0
    lost: int = 0


def main() -> None:
    """Parse the command line, measure and report; exit with 1 for a certain note of no speech, or a lost word."""
    parser = argparse.ArgumentParser("python -m benchmarks.speech_doubt", description="Measure which heard words are doubted.")
    parser.add_argument("recordings", nargs="*", type=recording_argument, metavar="RECORDING[=TRANSCRIPT]", help="real speech")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="real Whisper weights (default: the installed ones)")
    chosen = parser.parse_args()
    ours = Ours(chosen.weights)
    ours.whisper = _Remembering(ours.whisper)
    sounds = [*_of_no_speech(ours)]
    spoken = [_of_speech(ours, source) for source in [*needles(), *_read(chosen.recordings, chosen.weights)]]
    _tell(sounds, spoken)
    sys.exit(any(row.certain for row in sounds) or any(row.lost for row in spoken))


class _Remembering:
    """Remembers what an engine made of a sound; with `all_voice` it takes all of a sound for voice."""

    all_voice = False

    def __init__(self, engine: Any) -> None:
        self._engine, self._known = engine, dict[Any, Any]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def windows(self, samples: "Samples") -> Any:
        return [[(0, len(samples) * 1000 // RATE)]] if self.all_voice else self._engine.windows(samples)

    def words(self, samples: "Samples", *how: str) -> Any:
        key = (samples.tobytes(), how)
        if key not in self._known:
            self._known[key] = self._engine.words(samples, *how)
        return self._known[key]


def _of_no_speech(ours: Ours) -> Iterator[Row]:
    for all_voice in (False, True):
        ours.whisper.all_voice = all_voice
        for seconds in LENGTHS[0 if all_voice else -1 :]:
            for name, samples in no_speech(seconds).items():
                notes, told = ours.notes(samples), _without_rule(ours, samples)
                yield _row(f"{name}, taken for voice" if all_voice else name, samples, notes, told)
    ours.whisper.all_voice = False


def _of_speech(ours: Ours, source: Source) -> Row:
    def found(notes: Sequence[Observation]) -> int:
        return recalled(truth, tokens(" ".join(note.text for note in notes), source.language))

    notes, told = ours.notes(source.samples), _without_rule(ours, source.samples)
    truth = tokens(" ".join(word for word, *_ in source.truth), source.language)
    everything, kept, sure = found(told), found(notes), found([note for note in notes if not note.detail.get(DOUBT)])
    row = _row(source.name, source.samples, notes, told)
    return row._replace(words=len(truth), doubted=kept - sure, lost=everything - kept)


def _without_rule(ours: Ours, samples: "Samples") -> list[Observation]:
    with patch.object(speech, "INVENTED", 0.0):
        return [note for note in ours.notes(samples) if note.kind != UNHEARD]


def _row(name: str, samples: "Samples", notes: Sequence[Observation], told: Sequence[Observation]) -> Row:
    said = [note for note in notes if note.kind != UNHEARD]
    doubted = sum(bool(note.detail.get(DOUBT)) for note in said)
    scores = [note.score or 0.0 for note in told]
    counts = (len(said) - doubted, doubted, len(told) - len(said))
    return Row(name, len(samples) // RATE, *counts, min(scores, default=None), max(scores, default=None))


def _read(recordings: Sequence[tuple[Path, Path | None]], weights: Path | None) -> Iterator[Source]:
    plain = Plain(weights) if recordings else None
    for path, transcript in recordings:
        assert plain is not None
        yield read_source(path, transcript, plain)


def _tell(sounds: Sequence[Row], spoken: Sequence[Row]) -> None:
    table = Table("sound", "s", "certain", "uncertain", "left out", "scores", "words", "uncertain", "lost")
    for row in [*sounds, *spoken]:
        scores = "" if row.lowest is None else f"{row.lowest:.2f} to {row.highest:.2f}"
        words = (str(row.words), str(row.doubted), str(row.lost)) if row.words else ("", "", "")
        table.add_row(row.sound, str(row.seconds), str(row.certain), str(row.uncertain), str(row.left_out), scores, *words)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    total = Counter(certain=sum(row.certain for row in sounds), lost=sum(row.lost for row in spoken))
    print(f"{total['certain']} certain notes of what is no speech, {total['lost']} words of speech lost (at most 0 each)")


if __name__ == "__main__":
    main()
