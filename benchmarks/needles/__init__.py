"""Needle benchmark: videos with texts, spoken sentences and drawn things at known times.

Questions about them have gold answers and spans. Everything is generated on demand from a seed.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.needles.plan import Plan, Segment, plan
from benchmarks.needles.questions import MOST_QUESTIONS
from benchmarks.needles.segments import Encoded, encode, join

__all__ = ["MOST_QUESTIONS", "QUESTIONS", "TRUTH", "Plan", "build", "plan"]

QUESTIONS, TRUTH = "questions.jsonl", "truth.jsonl"


def build(folder: Path, plans: Sequence[Plan], workers: int = 2) -> Iterator[Plan]:
    """Write the videos, then the question file and the list of needles.

    Yields each plan when its video is written.

    Args:
        folder: destination, created if missing; files of the same names are replaced.
        plans: the videos to make.
        workers: number of segments encoded in parallel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    several = _in_several(plans)
    kept: dict[Segment, Encoded] = {}
    with ThreadPoolExecutor(workers) as pool:
        for made in plans:
            fresh = [segment for segment in dict.fromkeys(made.segments) if segment not in kept]
            ready = kept | dict(zip(fresh, pool.map(encode, fresh), strict=True))
            join(folder / made.video, (ready[segment] for segment in made.segments))
            kept = {segment: encoded for segment, encoded in ready.items() if segment in several}
            yield made
    _write(folder / QUESTIONS, (question for made in plans for question in made.questions))
    _write(
        folder / TRUTH,
        (
            {"video": made.video, "kind": needle.kind, "shows": needle.shows, "start": needle.start / 1000, "end": needle.end / 1000}
            for made in plans
            for needle in made.needles
        ),
    )


def _in_several(plans: Sequence[Plan]) -> set[Segment]:
    """Return the segments that occur in more than one video."""
    seen: set[Segment] = set()
    again: set[Segment] = set()
    for made in plans:
        here = set(made.segments)
        again |= seen & here
        seen |= here
    return again


def _write(path: Path, rows: Iterator[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
