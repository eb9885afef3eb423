"""Estimates of `--plan`: what is told for a clip after another was analyzed, against the time that it takes."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from analyzer_agent import Session, Settings
from analyzer_agent.sample import sample_path
from analyzer_agent.session import EnginePool
from benchmarks.speed.measure import Figure, Work

_ANALYZERS = ("scenes", "motion", "voice", "text")
_FACTOR = 2.0
"""By how much an estimate may be wrong: enough to decide whether to wait."""


def figures(work: Work) -> Iterator[Figure]:
    """Yield for each analyzer that can run here by what factor its estimates are wrong, too high or too low."""
    with closing(EnginePool()) as pool:
        for name in _ANALYZERS:
            what, against = f"estimate of {name} for 34 s", "the time that it takes"
            wrong, seconds, why = [], [], ""
            for run in range(work.runs):
                store = work.folder / f"estimates-{name}-{run}.db"
                store.unlink(missing_ok=True)
                told, took, why = _measured(work.folder, Settings(store=store, tools=(name,), manager="rules"), pool)
                if not why:
                    wrong.append(max(told / took, took / told))
                    seconds.append((told, took))
            yield Figure(what, against, wrong, target=_FACTOR, at_most=True, seconds=seconds, why=why)


def _measured(folder: Path, settings: Settings, pool: EnginePool) -> tuple[float, float, str]:
    """Return the estimated and the real seconds, or why there are none."""
    with Session(sample_path(), settings=settings, pool=pool) as session:
        session.index()
    other = folder / "estimates-other.mp4"
    other.write_bytes(sample_path().read_bytes() + bytes(8))  # another video to the store
    with Session(other, settings=settings, pool=pool) as session:
        (run,) = session.index_plan()
        if run.refusal or not run.estimate_ms:
            return 0, 0, run.refusal or "its speed is not known"
        began = time.perf_counter()
        session.index()
        return run.estimate_ms / 1000, time.perf_counter() - began, ""
