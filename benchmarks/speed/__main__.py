"""Measure how fast the analyzers are: `python -m benchmarks.speed`."""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.speed.measure import Figure, Work

SUBJECTS = ("frames", "scenes", "objects", "captions", "text", "speech", "store", "agent", "estimates", "memory")
"""Modules of this package, each with a function `figures(work)`."""


def main() -> None:
    """Parse the command line, measure and report; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser("python -m benchmarks.speed", description="Measure how fast the analyzers are, as ratios.")
    parser.add_argument("--only", type=_subjects, default=SUBJECTS, metavar="S,S,...", help=f"of {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how often each is measured; the median is told (default: 5)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where clips and stores are built and kept (default: a temporary folder)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the figures go as JSON (default: speed.json in the folder)")
    parser.add_argument("--weights", type=_weights, action="append", default=[], metavar="ANALYZER=PATH", help="weights to measure with")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.gettempdir()) / "analyzer-agent-speed"
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(folder, chosen.runs, dict(chosen.weights))
    found = []
    for subject in chosen.only:
        began = time.perf_counter()
        for figure in import_module(f"benchmarks.speed.{subject}").figures(work):
            print(f"{figure.what}: {_told(figure)}", file=sys.stderr, flush=True)
            found.append((subject, figure))
        print(f"{subject}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    out = chosen.out or folder / "speed.json"
    out.write_text(json.dumps({"machine": _machine(), "figures": [_row(*one) for one in found]}, indent=1) + "\n", encoding="utf-8")
    _show(figure for _, figure in found)
    print(f"written to {out}")
    sys.exit(any(figure.reached is False for _, figure in found))


def _row(subject: str, figure: Figure) -> dict[str, Any]:
    return {"subject": subject, **asdict(figure), "value": figure.value, "reached": figure.reached}


def _machine() -> dict[str, Any]:
    return {"processors": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}


def _show(figures: Iterable[Figure]) -> None:
    table = Table("what", "against", "median", "runs", "target", "same")
    for figure in figures:
        mark = {True: "", False: " missed", None: ""}[figure.reached]
        limit = "" if figure.target is None else ("at most " if figure.at_most else "at least ") + _amount(figure.target, figure.unit)
        spread = f"{min(figure.values):.3g} to {max(figure.values):.3g}" if figure.values else ""
        table.add_row(figure.what, figure.against, _told(figure), spread, limit + mark, figure.same)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _told(figure: Figure) -> str:
    return f"not measured: {figure.why}" if figure.value is None else _amount(figure.value, figure.unit)


def _amount(value: float, unit: str) -> str:
    return f"{value:,.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def _subjects(text: str) -> list[str]:
    chosen = text.split(",")
    for name in chosen:
        if name not in SUBJECTS:
            raise argparse.ArgumentTypeError(f"{name!r} is not measured; choose of {', '.join(SUBJECTS)}")
    return chosen


def _weights(text: str) -> tuple[str, str]:
    analyzer, _, path = text.partition("=")
    if not path or not Path(path).exists():
        raise argparse.ArgumentTypeError(f"{text!r}: there are no weights {path!r}; write ANALYZER=PATH")
    return analyzer, path


if __name__ == "__main__":
    main()
