"""Calls of one turn: side by side where their resources allow it, the same notes, and an end that comes soon."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import ToolFinished, discard
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig, Spec
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeEngine, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.toolbox.scheduler import spent_ms
from analyzer_agent.tools import motion, objects, scenes, text
from analyzer_agent.tools.engines import opencv, pyscenedetect
from media_maker import Clip, number_of, write
from patience import PATIENCE_S, wait_for

SECONDS = 20
WHOLE = [["0:00", "0:20"]]


class Eye:
    """Reads and detects the number that a drawing carries, as slowly as it is told to; calls `looked` each time."""

    names, batch = ("number",), 2

    def __init__(self, pause: float = 0.0, looked: Callable[[], object] = lambda: None) -> None:
        self.pause, self.looked, self.looks = pause, looked, 0

    def detect(self, images: Sequence[Any], floor: float, vocabulary: Sequence[str] = ()) -> list[list[Any]]:
        return [[("number", 0.9, (float(self._number(image)), 1.0, 2.0, 2.0))] for image in images]

    def read(self, image: Any, languages: Sequence[str]) -> list[Any]:
        return [(f"number {self._number(image)}", 0.9, (1.0, 1.0, 2.0, 2.0))]

    def _number(self, image: Any) -> int:
        self.looks += 1
        self.looked()
        time.sleep(self.pause)
        return number_of(np.ascontiguousarray(image[..., ::-1]))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("film") / "film.mp4", Clip(times=range(0, SECONDS * 1000, 100), rate=Fraction(10), gop=25, bframes=2)
    )


def tool(spec: Spec, loaded: Any, **about: Any) -> Tool:
    return Tool(spec, FakeEngine(loaded, **about))


def all_tools(pause: float = 0.0, **about: Any) -> dict[str, Tool]:
    return {
        "scenes": tool(scenes.SPEC, pyscenedetect.ENGINE.load(EngineConfig()), name="pyscenedetect"),
        "motion": tool(motion.SPEC, opencv.ENGINE.load(EngineConfig()), name="opencv"),
        "objects": tool(objects.SPEC, Eye(pause), **about),
        "text": tool(text.SPEC, Eye()),
    }


@pytest.fixture
def turn(tmp_path: Path, film: Path) -> Iterator[Callable[..., tuple[list[ToolResult], list[Any], Store]]]:
    """Give a function that runs calls as one turn over a store of its own."""
    stores: list[Store] = []
    video = open_video(film)

    def run(tools: dict[str, Tool], *calls: ToolCall, budget: int | None = None) -> tuple[list[ToolResult], list[Any], Store]:
        stores.append(store := Store(tmp_path / f"{len(stores)}.db"))
        store.notes.add_video(video.id, video.name, str(video.path), video.duration)
        box = Toolbox(store, [SessionVideo(video.name, video, TimeRange(0, video.duration))], tools)
        events: list[Any] = []
        return box.scheduler.run(calls, events.append, budget), events, store

    yield run
    for store in stores:
        store.close()


def looks() -> list[ToolCall]:
    return [call(name, ranges=WHOLE) for name in ("find_scenes", "find_motion", "detect_objects", "read_screen_text")]


class Together(FakeAnalyzer):
    """Waits for the other analyzer before its first grain."""

    def __init__(self, both: threading.Barrier, name: str) -> None:
        super().__init__([(TimeRange(0, 1_000), name)], params={"name": name})
        self.both = both

    def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
        self.both.wait(PATIENCE_S)
        yield from super().analyze(video, grains)


@pytest.mark.parametrize("resource", ["cpu", "gpu"])
def test_calls_run_side_by_side_where_their_resources_differ(turn: Any, resource: Literal["cpu", "gpu"]) -> None:
    both = threading.Barrier(1 if resource == "cpu" else 2)
    tools = {name: Tool(fake_spec(Together(both, name), name=name)) for name in "ab"}
    tools["b"] = replace(tools["b"], spec=replace(tools["b"].spec, resource=resource))
    results, events, _ = turn(tools, call("find_a", ranges=WHOLE), call("find_b", ranges=WHOLE))
    assert [result.tool for result in results] == ["find_a", "find_b"], "results keep the order of the calls"
    assert sum(isinstance(event, ToolFinished) for event in events) == 2


def test_the_second_of_two_equal_calls_finds_everything_covered(turn: Any) -> None:
    twice = [call("detect_objects", ranges=WHOLE), call("detect_objects", ranges=WHOLE), call("find_motion", ranges=WHOLE)]
    results, _, _ = turn(all_tools(), *twice)
    assert [result.analyzed_ms for result in results] == [SECONDS * 1000, 0, SECONDS * 1000]


def test_finished_calls_reduce_the_budget(turn: Any) -> None:
    first, second = turn(all_tools(0.02), call("read_screen_text", ranges=WHOLE), call("find_motion", ranges=WHOLE), budget=1)[0]
    assert first.analyzed_ms and spent_ms([first]) > 1
    assert second.analyzed_ms == 0 and {u.reason for u in second.not_examined} == {"budget"}


def test_cancelling_ends_all_of_them_soon(film: Path, tmp_path: Path) -> None:
    video, cancel = open_video(film), threading.Event()
    eye = Eye(looked=cancel.set)
    tools = all_tools() | {"objects": tool(objects.SPEC, eye)}
    with Store(tmp_path / "store.db") as store:
        store.notes.add_video(video.id, video.name, str(video.path), video.duration)
        box = Toolbox(store, [SessionVideo(video.name, video, TimeRange(0, video.duration))], tools)
        with pytest.raises(Cancelled):
            box.scheduler.run(looks(), discard, None, cancel)
    assert eye.looks < SECONDS, "the grain that is under way is finished"
    wait_for(lambda: not any(thread.name.startswith(("ahead", "calls")) for thread in threading.enumerate()))
