"""One session used by several threads and by asyncio: questions wait for their turn, are stopped one by one, and closing ends all."""

import _thread
import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent import AgentError, Cancelled, Session, TimeRange
from analyzer_agent.events import Answered, Event, ToolStarted
from analyzer_agent.protocols import Reply
from analyzer_agent.session.turn_queue import Turn, TurnQueue
from analyzer_agent.testing import FakeAnalyzer, ScriptedModel, call, fake_spec
from analyzer_agent.toolbox import Tool, Toolbox
from media_maker import Clip, Text, write
from patience import PATIENCE_S, wait_for

LOOK = Reply(calls=(call("find_fake", ranges=[["0:00", "0:02"]]),))
FORTY = Reply(calls=(call("finish", answer="Forty [#1].", notes=[1], confidence="high", found=True),))
ROUNDS = 50


class Slow(FakeAnalyzer):
    """Calls `each` for each piece that it looks at."""

    def __init__(self, events: Any, each: Callable[[], object]) -> None:
        super().__init__(events)
        self.each = each

    def analyze(self, video: Any, grains: Any) -> Iterator[Any]:
        for found in super().analyze(video, grains):
            self.each()
            yield found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clips") / "pier.mp4", Clip(texts=[Text([(200, 900, "Hello.")], language="eng")]))


@pytest.fixture
def opened(clip: Path, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Opens sessions whose only analyzer is a fake one; `each` is called for each piece that it looks at."""
    sessions: list[Session] = []

    def open_(questions: int = 2, each: Callable[[], object] = lambda: None) -> Session:
        model = ScriptedModel(*[lambda messages: LOOK if messages[-1]["role"] == "user" else FORTY] * 2 * questions)
        session = Session(clip, name="t", store=tmp_path / "store.db", tools=("subtitles",), model=model)
        tool = Tool(fake_spec(Slow([(TimeRange(0, 2000), "forty")], each), grain=250))
        session.toolbox = Toolbox(session.store, session.session_videos, {"fake": tool})
        sessions.append(session)
        return session

    yield open_
    for session in sessions:
        session.close()


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run `work` in a thread; what it returns or raises comes into the list."""
    told: list[Any] = []

    def run() -> None:
        try:
            told.append(work())
        except BaseException as error:
            told.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, told


def outcome(thread: threading.Thread) -> None:
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def first_look(events: Iterator[Event]) -> None:
    """Read until an analyzer is at work."""
    while not isinstance(next(events), ToolStarted):
        pass


class TestTwoThreads:
    def test_fifty_rounds(self, opened: Callable[..., Session]) -> None:
        session = opened(2 * ROUNDS)
        for number in range(ROUNDS):
            both = [in_thread(partial(session.ask, f"{number} {side}")) for side in "ab"]
            for thread, _ in both:
                outcome(thread)
            assert [(told[0].question, told[0].text) for _, told in both] == [(f"{number} {side}", "Forty [#1].") for side in "ab"]
        turns = session.store.history.turns("t")
        assert len(turns) == 2 * ROUNDS and all(turn["answer"]["question"] == turn["question"] for turn in turns)

    def test_the_one_that_asked_first_is_answered_first(self, opened: Callable[..., Session]) -> None:
        session = opened(4)
        events = session.stream("0")
        first_look(events)
        asked = []
        for number in "123":
            asked.append(in_thread(partial(session.ask, number)))
            wait_for(lambda number=number: len(session._turns._line) == int(number) + 1)  # type: ignore[misc]
        assert not any(told for _, told in asked), "they wait"
        for _ in events:
            pass
        for thread, _ in asked:
            outcome(thread)
        assert [turn["question"] for turn in session.store.history.turns("t")] == ["0", "1", "2", "3"]

    def test_reading_up_to_the_answer_is_enough(self, opened: Callable[..., Session]) -> None:
        session = opened()
        events = session.stream("0")
        while not isinstance(next(events), Answered):
            pass
        thread, told = in_thread(lambda: session.ask("1"))
        outcome(thread)
        assert told[0].text == "Forty [#1]." and list(events) == []

    def test_a_stream_that_nobody_holds_gives_its_turn_back(self, opened: Callable[..., Session]) -> None:
        session = opened()
        first_look(session.stream("0"))
        gc.collect()
        thread, told = in_thread(lambda: session.ask("1"))
        outcome(thread)
        assert told[0].question == "1"
        assert session.store.history.turns("t")[0]["answer"]["finished"] == "interrupted"

    def test_the_same_thread_ends_what_it_left(self, opened: Callable[..., Session]) -> None:
        session = opened(2)
        left = session.stream("0")
        first_look(left)
        again = session.stream("1")
        next(again)
        with pytest.raises(Cancelled, match=r"Another question was asked in the same thread\."):
            next(left)
        assert session.store.history.turns("t")[0]["answer"]["finished"] == "interrupted"

    def test_indexing_waits_as_well(self, opened: Callable[..., Session]) -> None:
        session = opened(1)
        events = session.stream("0")
        first_look(events)
        thread, told = in_thread(session.index)
        wait_for(lambda: len(session._turns._line) == 2)
        for _ in events:
            pass
        outcome(thread)
        assert [result.tool for result in told[0]] == ["find_fake"]


def long_work(session: Session) -> threading.Event:
    """Let the first piece that the analyzer looks at last until its question is stopped; the event is set when it begins."""
    begun = threading.Event()

    def work() -> None:
        if not begun.is_set():
            stop = session._turns._line[0].stop
            begun.set()
            assert stop.wait(PATIENCE_S)

    analyzer: Any = session.toolbox.tools["fake"].spec.bind({})
    analyzer.each = work
    return begun


class TestStopping:
    def test_only_what_runs_is_stopped(self, opened: Callable[..., Session]) -> None:
        session = opened(3)
        at_work = long_work(session)
        first, told = in_thread(lambda: session.ask("0"))
        assert at_work.wait(PATIENCE_S)
        second, answered = in_thread(lambda: session.ask("1"))
        wait_for(lambda: len(session._turns._line) == 2)
        session.cancel()
        outcome(first)
        outcome(second)
        assert isinstance(told[0], Cancelled) and str(told[0]) == "The question was stopped; finished work is stored."
        assert answered[0].question == "1"

    def test_closing_ends_what_runs_and_turns_away_what_waits(self, opened: Callable[..., Session]) -> None:
        session = opened(3)
        at_work = long_work(session)
        first, told = in_thread(lambda: session.ask("0"))
        assert at_work.wait(PATIENCE_S)
        second, turned_away = in_thread(lambda: session.ask("1"))
        wait_for(lambda: len(session._turns._line) == 2)
        session.close()
        outcome(first)
        outcome(second)
        assert isinstance(told[0], Cancelled)
        assert isinstance(turned_away[0], AgentError) and str(turned_away[0]) == "This session is closed."

    def test_closing_ends_a_stream_that_another_thread_left_open(self, opened: Callable[..., Session]) -> None:
        session = opened()
        events = session.stream("0")
        first_look(events)
        thread, told = in_thread(session.close)
        outcome(thread)
        assert told == [None]
        with pytest.raises(Cancelled, match=r"The session was closed\."):
            next(events)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")
def test_ctrl_c_stops_indexing(opened: Callable[..., Session]) -> None:
    session = opened(1)
    at_work = long_work(session)

    def interrupt() -> None:
        at_work.wait(PATIENCE_S)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        session.index()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("calls")], "nothing runs on behind"
    assert session.index()[0].analyzed_ms > 0, "the rest was left to do"


def test_ctrl_c_that_comes_just_before_the_wait_for_an_event_is_not_missed() -> None:
    def work(turn: Turn) -> None:
        time.sleep(0.1)  # so that the reader waits
        _thread.interrupt_main()  # a signal that ends no wait
        turn.stop.wait(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        list(TurnQueue().read(work))


def test_closing_while_other_threads_read(opened: Callable[..., Session]) -> None:
    session = opened()
    session.ask("0")
    begun = threading.Barrier(4)

    def read() -> None:
        begun.wait(PATIENCE_S)
        while session.notes() and session.search("forty"):
            pass

    readers = [in_thread(read) for _ in range(3)]
    begun.wait(PATIENCE_S)
    time.sleep(0.05)
    session.close()
    for thread, told in readers:
        outcome(thread)
        assert str(told[0]) == "This session is closed."


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_closed_session_says_so(opened: Callable[..., Session]) -> None:
    session = opened()
    left = session.stream("0")
    first_look(left)
    session.close()
    session.close()
    calls: list[Callable[[], object]] = [
        *(lambda: session.ask("1"), lambda: session.stream("1"), lambda: asyncio.run(session.aask("1")), session.resume),
        *(session.index, session.index_stream, session.describe, session.begin, session.forget, session.__enter__),
        *(session.notes, lambda: session.search("x"), lambda: session.interrupted),
    ]
    for use in calls:
        with pytest.raises(AgentError, match=r"This session is closed\."):
            use()
    session.cancel()
    del left
    gc.collect()


LEFT_OPEN = """
import sys, time
sys.path[:] = {folders!r}
from test_session_threads import FORTY, LOOK, Slow, first_look
from analyzer_agent import Session, TimeRange
from analyzer_agent.testing import ScriptedModel, fake_spec
from analyzer_agent.toolbox import Tool, Toolbox

session = Session({clip!r}, name="t", store={store!r}, tools=("subtitles",), model=ScriptedModel(LOOK, FORTY))
analyzer = Slow([(TimeRange(0, 2000), "forty")], lambda: time.sleep(0.2))
session.toolbox = Toolbox(session.store, session.session_videos, {{"fake": Tool(fake_spec(analyzer, grain=250))}})
events = session.stream("How much?")
first_look(events)
"""


def test_a_process_ends_although_a_stream_was_left_open(clip: Path, tmp_path: Path, opened: Callable[..., Session]) -> None:
    code = LEFT_OPEN.format(folders=[str(Path(__file__).parent), *sys.path], clip=str(clip), store=str(tmp_path / "store.db"))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ran.returncode == 0 and "Exception ignored" not in ran.stderr, ran.stderr
    session = opened()
    assert session.interrupted == "How much?" and [type(event) for event in session.resume()][-1] is Answered


class TestAsyncio:
    def test_several_tasks(self, opened: Callable[..., Session]) -> None:
        session = opened(5)

        async def ask() -> list[str]:
            answers = await asyncio.gather(*(session.aask(str(number)) for number in range(5)))
            return [answer.question for answer in answers]

        assert asyncio.run(ask()) == ["0", "1", "2", "3", "4"]

    def test_no_event_is_lost_or_doubled(self, opened: Callable[..., Session]) -> None:
        session = opened(2)
        plain = [type(event) for event in session.stream("0")]

        async def read() -> list[type]:
            return [type(event) async for event in session.astream("1")]

        found = asyncio.run(read())
        assert [kind for kind in found if kind.__name__ != "Progress"] == [kind for kind in plain if kind.__name__ != "Progress"]
        assert found.count(Answered) == 1 and found[-1] is Answered

    def test_the_loop_goes_on_meanwhile(self, opened: Callable[..., Session]) -> None:
        beats = [0]
        session = opened(1, each=lambda: wait_for(lambda: beats[0] >= 5))

        async def beside() -> None:
            asked = asyncio.create_task(session.aask("0"))
            while not asked.done():
                await asyncio.sleep(0.01)
                beats[0] += 1

        asyncio.run(beside())

    def test_a_cancelled_task_stops_its_question_alone(self, opened: Callable[..., Session]) -> None:
        session = opened(3)
        at_work = long_work(session)

        async def cancel() -> str:
            first = asyncio.create_task(session.aask("0"))
            await asyncio.to_thread(at_work.wait, PATIENCE_S)
            waiting, second = asyncio.create_task(session.aask("never")), asyncio.create_task(session.aask("1"))
            while len(session._turns._line) < 3:
                await asyncio.sleep(0.01)
            for task in (waiting, first):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return (await second).question

        assert asyncio.run(cancel()) == "1"
        turns = session.store.history.turns("t")
        assert [turn["question"] for turn in turns] == ["0", "1"], "what was withdrawn while it waited was never asked"
        assert turns[0]["answer"]["finished"] == "interrupted"

    def test_leaving_off_stops_the_question(self, opened: Callable[..., Session]) -> None:
        session = opened(2)
        long_work(session)

        async def leave() -> None:
            async for event in session.astream("0"):
                if isinstance(event, ToolStarted):
                    break

        asyncio.run(leave())
        wait_for(lambda: not session._turns._line)
        assert session.store.history.turns("t")[0]["answer"]["finished"] == "interrupted"

    def test_errors_come_through(self, opened: Callable[..., Session]) -> None:
        session = opened()
        with pytest.raises(AgentError, match="The question is empty"):
            asyncio.run(session.aask(" "))
