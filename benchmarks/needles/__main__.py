"""Build the needle benchmark.

`python -m benchmarks.needles BUILD_DIR --minutes 1,30,180 --seed 7`
"""

import argparse
import os
from pathlib import Path

from benchmarks.needles import MOST_QUESTIONS, QUESTIONS, build, plan


def main() -> None:
    """Parse the command line, and build the benchmark."""
    parser = argparse.ArgumentParser("python -m benchmarks.needles", description="Make videos with needles, and questions about them.")
    parser.add_argument("folder", type=Path, metavar="BUILD_DIR", help="where the videos and the question file go")
    parser.add_argument("--minutes", type=_minutes, default=[1, 30, 180], metavar="M,M,...", help="lengths of videos (default: 1,30,180)")
    parser.add_argument("--videos", type=_positive, default=1, metavar="N", help="how many videos of each length (default: 1)")
    parser.add_argument(
        "--questions",
        type=_positive,
        default=MOST_QUESTIONS,
        metavar="N",
        help=f"how many questions per video at most (default: {MOST_QUESTIONS}, which is as many as there are)",
    )
    parser.add_argument("--seed", type=int, default=7, help="another seed gives other needles at other places (default: 7)")
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="threads (default: one per processor)")
    chosen = parser.parse_args()
    plans = [plan(m, n, chosen.seed, chosen.questions) for m in chosen.minutes for n in range(1, chosen.videos + 1)]
    for made in build(chosen.folder, plans, chosen.workers):
        size = (chosen.folder / made.video).stat().st_size
        print(f"{made.video}: {len(made.needles)} needles, {len(made.questions)} questions, {size / 1e6:.1f} MB", flush=True)
    print(f"{chosen.folder / QUESTIONS}: {sum(len(made.questions) for made in plans)} questions")


def _minutes(text: str) -> list[int]:
    return list(dict.fromkeys(_positive(part) for part in text.split(",")))


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    main()
