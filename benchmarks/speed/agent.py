"""Agent: time per step without model and analyzers, and the work of a repeated question."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer_agent import Session
from analyzer_agent.config import Settings
from analyzer_agent.protocols import Reply
from analyzer_agent.session import EnginePool
from analyzer_agent.testing import ScriptedModel, call
from benchmarks.speed.clips import clip
from benchmarks.speed.measure import Figure, Work

_STEPS = 20
_WITH = ("scenes", "motion", "text")


def figures(work: Work) -> Iterator[Figure]:
    """Yield the time per step, and what a second, equal question analyzes and loads."""
    video = clip(work.folder, 60)
    _asked(video, 1)  # warm up the imports
    steps = [_asked(video, _STEPS) / (_STEPS + 1) * 1000 for _ in range(work.runs)]
    yield Figure("a step of the agent, without model and analyzers", "", steps, "ms", 20, at_most=True)
    yield from _second_question(video)


def _asked(video: Path, steps: int) -> float:
    """Return the seconds of processor time for a question with `steps` reading steps and one answering step."""
    looks = [Reply(calls=(call("read_notes", range=["0:00", f"0:{n + 5:02}"]),)) for n in range(steps)]
    model = ScriptedModel(*looks, Reply(calls=(call("finish", answer="Nothing.", notes=[], confidence="low", found=False),)))
    with (
        TemporaryDirectory() as folder,
        Session(video, model=model, store=Path(folder) / "store.db", tools=("scenes",), max_steps=steps + 5) as session,
    ):
        began = time.process_time()
        answer = session.ask("What is it?")
        took = time.process_time() - began
    if len(answer.steps) != steps or any(step.refused for step in answer.steps):
        raise AssertionError(f"{len(answer.steps)} of {steps} steps were carried out")
    return took


def _second_question(video: Path) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        settings = Settings(store=Path(folder) / "store.db", manager="rules", offline=True, end_ms=10_000)
        first = _indexed(video, settings)
        second = _indexed(video, settings)
    if not all(analyzed for analyzed, _ in first):
        raise AssertionError("the first time, some analyzers had nothing to do")
    same = f"{len(first)} analyzers"
    yield Figure("media-seconds analyzed by a second question", "", [sum(a for a, _ in second) / 1000], "s", 0, at_most=True, same=same)
    yield Figure("engines loaded by a second question", "", [sum(loaded for _, loaded in second)], "engines", 0, at_most=True, same=same)


def _indexed(video: Path, settings: Settings) -> list[tuple[int, int]]:
    """Return, per analyzer, the ms analyzed and the number of engines loaded afterwards."""
    with Session(video, settings=settings, pool=(pool := EnginePool())) as session:
        found = []
        for name in _WITH:
            (result,) = session.index([name])
            found.append((result.analyzed_ms, sum(engine.loaded for engine in pool.engines.values())))
        return found
