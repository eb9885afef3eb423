"""Calls of one turn that look at the same pictures: one decoding pass, the same notes, and honest times."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import Cancelled, Unavailable
from analyzer_agent.media import MediaFile, open_video, packet_reader
from analyzer_agent.protocols import EngineConfig, Spec
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeEngine, call
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.toolbox.call_groups import CallGroup, DecodeRequest, group_calls, parallel_rows
from analyzer_agent.toolbox.scheduler import run_calls, spent_ms
from analyzer_agent.tools import motion, objects, scenes, text
from analyzer_agent.tools.engines import opencv, pyscenedetect
from media_maker import Clip, number_of, write

SECONDS = 20
numbers = count()
WHOLE = [["0:00", "0:20"]]


class Eye:
    """Reads and detects the number that a drawing carries, as slowly as it is told to."""

    names, batch = ("number",), 2

    def __init__(self, pause: float = 0.0) -> None:
        self.pause, self.looks = pause, 0

    def detect(self, images: Sequence[Any], floor: float, vocabulary: Sequence[str] = ()) -> list[list[Any]]:
        return [[("number", 0.9, (float(self._number(image)), 1.0, 2.0, 2.0))] for image in images]

    def read(self, image: Any, languages: Sequence[str]) -> list[Any]:
        return [(f"number {self._number(image)}", 0.9, (1.0, 1.0, 2.0, 2.0))]

    def _number(self, image: Any) -> int:
        self.looks += 1
        time.sleep(self.pause)
        return number_of(np.ascontiguousarray(image[..., ::-1]))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("film") / "film.mp4", Clip(times=range(0, SECONDS * 1000, 100), rate=Fraction(10), gop=25, bframes=2)
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name the thread of each decoding pass that is begun."""
    passes: list[str] = []
    begin = packet_reader.PacketReader.__init__

    def counted(self: packet_reader.PacketReader, *args: Any, **more: Any) -> None:
        passes.append(threading.current_thread().name)
        begin(self, *args, **more)

    monkeypatch.setattr(packet_reader.PacketReader, "__init__", counted)
    return passes


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
        return run_calls(box, calls, events.append, budget, threading.Event()), events, store

    yield run
    for store in stores:
        store.close()


def notes(store: Store) -> list[tuple[Any, ...]]:
    with store.connections.read() as db:
        sql = "SELECT k.analyzer, n.start_ms, n.end_ms, n.kind, n.text, n.score, n.detail FROM notes n JOIN provenances k ON k.key = n.key"
        return sorted(db.execute(sql).fetchall(), key=repr)


def looks() -> list[ToolCall]:
    return [call(name, ranges=WHOLE) for name in ("find_scenes", "find_motion", "detect_objects", "read_screen_text")]


def test_one_pass_feeds_all_and_the_notes_are_those_of_passes_of_their_own(turn: Any, opened: list[str]) -> None:
    _, _, together = turn(all_tools(), *looks())
    # The first frame of the dense pass has its neighbours: what is shown before it is looked up by itself.
    assert len(opened) <= 2, opened
    opened.clear()
    apart = [store for one in looks() for _, _, store in [turn(all_tools(), one)]]
    assert len(opened) >= 4
    found = notes(together)
    assert found == sorted((note for store in apart for note in notes(store)), key=repr)
    assert {row[0] for row in found} == {"scenes", "motion", "objects", "text"}


def test_what_is_covered_waits_for_nobody_and_nobody_for_it(turn: Any) -> None:
    tools = all_tools()
    began = time.monotonic()
    twice = [call("detect_objects", ranges=WHOLE), call("detect_objects", ranges=WHOLE), call("find_motion", ranges=WHOLE)]
    results, _, _ = turn(tools, *twice)
    assert time.monotonic() - began < 8, "a call that found everything covered was waited for"
    assert [result.analyzed_ms for result in results] == [SECONDS * 1000, 0, SECONDS * 1000]


def test_time_spent_waiting_for_a_slower_one_is_not_counted(turn: Any) -> None:
    results, _, store = turn(all_tools(0.15), call("detect_objects", ranges=WHOLE), call("read_screen_text", ranges=WHOLE))
    slow, quick = results
    assert slow.wall_ms >= SECONDS * 150
    assert quick.wall_ms < slow.wall_ms / 2
    assert spent_ms(results) < 1.5 * slow.wall_ms
    assert store.history.speed("text", "fake", "cpu") > 2 * store.history.speed("objects", "fake", "cpu")


def test_one_for_which_there_is_no_memory_beside_another_runs_by_itself(turn: Any, opened: list[str]) -> None:
    tools = all_tools()
    tools["text"] = tool(text.SPEC, Eye(), alone=True)
    results, _, _ = turn(tools, call("detect_objects", ranges=WHOLE), call("read_screen_text", ranges=WHOLE))
    assert len(opened) == 2
    assert not any(result.refused for result in results)


def test_one_that_finds_no_memory_after_all_runs_again_after_the_others(turn: Any) -> None:
    busy, eye = threading.Event(), Eye()

    def load() -> Eye:
        if not busy.is_set():
            busy.set()
            raise Unavailable("Memory ran out.")
        return eye

    tools = all_tools()
    tools["text"] = tool(text.SPEC, load)
    results, _, store = turn(tools, call("detect_objects", ranges=WHOLE), call("read_screen_text", ranges=WHOLE))
    assert [result.analyzed_ms for result in results] == [SECONDS * 1000] * 2
    assert {row[0] for row in notes(store)} == {"objects", "text"}


def test_cancelling_ends_all_of_them_soon(film: Path, tmp_path: Path) -> None:
    video, cancel = open_video(film), threading.Event()
    with Store(tmp_path / "store.db") as store:
        store.notes.add_video(video.id, video.name, str(video.path), video.duration)
        box = Toolbox(store, [SessionVideo(video.name, video, TimeRange(0, video.duration))], all_tools(0.1))
        threading.Timer(0.5, cancel.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            run_calls(box, looks(), lambda event: None, None, cancel)
        assert time.monotonic() - began < 5
    deadline = time.monotonic() + 5
    while any(thread.name.startswith(("ahead", "calls")) for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("ahead", "calls"))]


def watch(video: Any, *ranges: tuple[int, int]) -> DecodeRequest:
    return DecodeRequest(f"analyzer {next(numbers)}", video, [TimeRange(*one) for one in ranges], None)


def test_who_shares_a_pass(film: Path) -> None:
    one, other = open_video(film), MediaFile.__new__(MediaFile)
    other.id = "another"
    assert watch(one, (0, 100)).shares(watch(one, (50, 150)))
    assert watch(one, (0, 1000)).shares(watch(one, (900, 1000))), "the shorter one lies in the longer one"
    assert not watch(one, (0, 100)).shares(watch(one, (60, 160)))
    assert not watch(one, (0, 100)).shares(watch(other, (0, 100)))
    alike = [watch(one, (0, 100)), None, watch(one, (0, 100)), watch(one, (200, 300))]
    assert group_calls(["gpu", "cpu", "cpu", "gpu"], alike) == [
        CallGroup((0, 2), frozenset({"gpu", "cpu"}), one),
        CallGroup((1,), frozenset({"cpu"})),
        CallGroup((3,), frozenset({"gpu"})),
    ]


def test_rows_keep_those_apart_that_need_the_same() -> None:
    party, sound, net, gpu = (CallGroup((n,), frozenset(needs)) for n, needs in enumerate([{"gpu", "cpu"}, {"cpu"}, {"network"}, {"gpu"}]))
    assert parallel_rows([party, sound, net]) == [[party, sound], [net]]
    assert parallel_rows([sound, net, gpu, party]) == [[net], [sound, gpu, party]]
