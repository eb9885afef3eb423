"""Memory: peak of each available analyzer in addition to its weights, on a ten-hour file."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil

from analyzer_agent import tools as registry
from analyzer_agent.config import Settings
from analyzer_agent.media import open_video
from analyzer_agent.session import EnginePool, available_tools
from analyzer_agent.timeline import TimeRange
from benchmarks.made import observations
from benchmarks.speed.long import hours
from benchmarks.speed.measure import Figure, Work

_HOURS = 10
_MINUTES = {"text": 2, "speech": 4, "tracks": 2, "scenes": 60}
"""Minutes analyzed at the end of the file (default 10), by the speed of the analyzer."""

_MB = 1 << 20


def figures(work: Work) -> Iterator[Figure]:
    """Yield the memory peak of each analyzer."""
    path = hours(work.folder, _HOURS)
    for name in registry.names():
        spec, _ = registry.load(name)
        if spec.needs not in ("picture", "audio") or spec.resource == "network":
            continue
        minutes = _MINUTES.get(name, 10)
        what = f"memory of {name}, {minutes} min at the end of {_HOURS} h, 1080p"
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            asked = alone.submit(_peak, path, name, minutes, {n: Path(p) for n, p in work.options.items()})
            try:
                found = asked.result()
            except BrokenProcessPool:
                found = "its process was ended: memory ran out"
        if isinstance(found, str):
            yield Figure(what, unit="MB", target=1000, at_most=True, why=found)
        else:
            yield Figure(what, "beside the weights", [found / _MB], "MB", 1000, at_most=True)


def _peak(path: Path, name: str, minutes: int, weights: dict[str, Path]) -> int | str:
    """Return the peak growth in bytes after loading the weights, or why the analyzer cannot run."""
    ready, missing = available_tools(Settings(offline=True, weights=weights), EnginePool())
    if name in missing:
        return missing[name]
    tool, video = ready[name], open_video(path)
    if tool.engine is not None:
        tool.engine.get()
    before = psutil.Process().memory_info().rss
    most, done = [before], threading.Event()
    watcher = threading.Thread(target=_watch, args=(most, done))
    watcher.start()
    observations(tool.spec, tool.engine, video, TimeRange(video.duration - minutes * 60_000, video.duration))
    done.set()
    watcher.join()
    grown: int = most[0] - before
    return grown


def _watch(most: list[int], done: threading.Event) -> None:
    process = psutil.Process()
    while not done.is_set():
        most[0] = max(most[0], process.memory_info().rss)
        time.sleep(0.02)
