"""Measure the recall of spoken words, and the word error rate.

`python -m benchmarks.speech_recall RECORDING[=TRANSCRIPT]...`

Cuts recordings of real speech into pieces and transcribes each twice with the same weights: by the
speech analyzer and by plain `WhisperModel.transcribe`. Recall is the share of reference words found
in the transcript in order. Both are compared in one spelling, that of Whisper's own evaluation:
"forty dollars" is "$40". Real weights are needed: with random ones, lost speech goes unnoticed.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rapidfuzz.distance import LCSseq, Levenshtein
from rich.console import Console
from rich.table import Table
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.speech_sources import RATE, Hear, Ours, Plain, Source, needles, read_source

LENGTHS = (5, 10, 14, 20, 30)
"""Lengths of the pieces, in seconds."""

BELOW, WORST, COST = 0.5, 10.0, 1.3
"""Limits: points of recall below the library over all cuts, and in one cut; relative CPU time."""

LEAST = 10
"""Cuts with fewer words count only in the totals, since one spelling costs them many points."""


@dataclass(frozen=True)
class Cut:
    """Result of one piece: start and length in seconds, word counts, recalled words and errors of both, CPU seconds."""

    source: str
    length: int
    start: int
    words: int
    ours: int
    plain: int
    ours_errors: int
    plain_errors: int
    ours_cpu: float
    plain_cpu: float

    @property
    def points(self) -> float:
        """Points of recall above the library; 0 for cuts with few words."""
        return 100 * (self.ours - self.plain) / self.words if self.words >= LEAST else 0.0


def main() -> None:
    """Parse the command line, measure and report; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser("python -m benchmarks.speech_recall", description="Measure how much of what is said is heard.")
    parser.add_argument(
        "recordings", nargs="*", type=recording_argument, metavar="RECORDING[=TRANSCRIPT]", help="real speech, in any language"
    )
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="real Whisper weights (default: the installed ones)")
    parser.add_argument("--cuts", type=int, default=10, metavar="N", help="pieces of each length per recording (default: 10)")
    parser.add_argument("--lengths", type=_numbers, default=LENGTHS, metavar="S,S,...", help="lengths in seconds (default: 5,10,14,20,30)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where each cut goes, as JSON; cuts that it has are not measured again")
    chosen = parser.parse_args()
    plain, ours = Plain(chosen.weights), Ours(chosen.weights)
    sources = [*needles(), *(read_source(path, transcript, plain) for path, transcript in chosen.recordings)]
    known = _measured_before(chosen.out)
    done = []
    for source in sources:
        for length, start in pieces(len(source.samples) // RATE, chosen.lengths, chosen.cuts):
            key = source.name, length, start
            done.append(known.pop(key) if key in known else _measured(source, length, start, ours, plain))
            _keep(chosen.out, [*done, *known.values()])
    sys.exit(not _told(done))


def _measured_before(file: Path | None) -> dict[tuple[str, int, int], Cut]:
    cuts = [Cut(**cut) for cut in json.loads(file.read_text(encoding="utf-8"))] if file and file.exists() else []
    return {(cut.source, cut.length, cut.start): cut for cut in cuts}


def _keep(file: Path | None, cuts: Sequence[Cut]) -> None:
    if file:
        unfinished = file.with_suffix(".part")
        unfinished.write_text(json.dumps([asdict(cut) for cut in cuts], indent=1) + "\n", encoding="utf-8")
        unfinished.replace(file)


def pieces(duration: int, lengths: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """Yield (length, start) in seconds: up to `count` distinct, evenly spaced pieces per length."""
    for length in lengths:
        last = duration - length
        if last >= 0:
            yield from ((length, start) for start in sorted({round(last * n / max(1, count - 1)) for n in range(count)}))


@cache
def _normalizer(language: str) -> Any:
    return EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()


def tokens(text: str, language: str) -> list[str]:
    """Split a text into words for comparison: lower case, without punctuation; in English with numbers as digits."""
    words: list[str] = _normalizer(language)(text).split()
    return words


def recalled(truth: Sequence[str], heard: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of the words."""
    return LCSseq.similarity(truth, heard)


def errors(truth: Sequence[Sequence[str]], heard: Sequence[str]) -> int:
    """Return the fewest words to insert, delete or replace, so that `heard` becomes one of `truth`."""
    return min(Levenshtein.distance(words, heard) for words in truth)


def _measured(source: Source, length: int, start: int, ours: Hear, plain: Hear) -> Cut:
    def words(inner: Sequence[Any]) -> list[str]:
        return tokens(" ".join(word.strip() for word, *_ in inner), source.language)

    samples = source.samples[start * RATE : (start + length) * RATE]
    end = start + length
    whole = [word for word in source.truth if start <= word[1] and word[2] <= end]
    # Words cut in two do not count, whether they are heard or not.
    first = [word for word in source.truth if word[1] < start < word[2]]
    last = [word for word in source.truth if word[1] < end < word[2]]
    allowed = [words([*before, *whole, *after]) for before in ([], first) for after in ([], last)]
    heard, seconds = [], []
    for hear in (ours, plain):
        began = time.process_time()
        found = hear(samples)
        seconds.append(time.process_time() - began)
        heard.append(words(found))
    counts = [recalled(allowed[0], some) for some in heard]
    return Cut(source.name, length, start, len(allowed[0]), *counts, *(errors(allowed, some) for some in heard), *seconds)


def _told(cuts: Sequence[Cut]) -> bool:
    """Print the table and the limits; return whether all limits are met."""
    rows: dict[tuple[str, int], list[Cut]] = defaultdict(list)
    for cut in cuts:
        for key in ((cut.source, cut.length), (cut.source, 0), ("all", 0)):
            rows[key].append(cut)
    table = Table("source", "s", "cuts", "words", "library", "heard", "worst cut", "errors", "ours", "processor time")
    for (source, length), some in rows.items():
        words, worst = max(1, sum(cut.words for cut in some)), min(some, key=lambda cut: cut.points)
        table.add_row(
            *(source, str(length or "all"), str(len(some)), str(words)),
            *(f"{100 * sum(cut.plain for cut in some) / words:.1f} %", f"{100 * sum(cut.ours for cut in some) / words:.1f} %"),
            f"{worst.points:+.1f} at {worst.start} s",
            *(
                f"{100 * sum(cut.plain_errors for cut in some) / words:.1f} %",
                f"{100 * sum(cut.ours_errors for cut in some) / words:.1f} %",
            ),
            f"{_cost(some):.2f} x",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    words = max(1, sum(cut.words for cut in cuts))
    points, lowest = 100 * sum(cut.ours - cut.plain for cut in cuts) / words, min((cut.points for cut in cuts), default=0.0)
    print(f"{len(cuts)} cuts: {points:+.1f} points (at least -{BELOW}), worst {lowest:+.1f} (at least -{WORST:g}), ", end="")
    print(f"processor time {_cost(cuts):.2f} x (at most {COST:g})")
    return points >= -BELOW and lowest >= -WORST and _cost(cuts) <= COST


def _cost(cuts: Sequence[Cut]) -> float:
    return sum(cut.ours_cpu for cut in cuts) / max(1e-9, sum(cut.plain_cpu for cut in cuts))


def recording_argument(text: str) -> tuple[Path, Path | None]:
    """Split the argument RECORDING[=TRANSCRIPT]."""
    path, _, transcript = text.partition("=")
    return Path(path), Path(transcript) if transcript else None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
