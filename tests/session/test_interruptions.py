"""What interrupts a question: closing the stream, and a process that is killed; the next one goes on from there."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Answered, Progress, ToolStarted
from analyzer_agent.protocols import Reply
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer
from analyzer_agent.timeline import TimeRange
from patience import PATIENCE_S
from session_kit import JUDGED, LOOK, says


class TestInterrupted:
    """Ctrl-C keeps what was found, the session stays usable, the turn is recorded."""

    def check_usable(self, session: Session, analyzer: FakeAnalyzer) -> None:
        last = session.store.history.turns("t")[-1]["answer"]
        assert last == {"question": "How much?", "answer": None, "finished": "interrupted"} and session.interrupted is None
        assert session.ask("again").finished == "answered"
        spans = [grain.span for grain in analyzer.analyzed]
        assert len(set(spans)) == 8 and len(spans) <= 9

    def events(self) -> tuple[FakeAnalyzer, list[Reply]]:
        return FakeAnalyzer([(TimeRange(0, 2000), "forty")]), [LOOK, LOOK, says("Forty [#1].", 1)]

    def test_in_the_consumer(self, opened: Callable[..., Session]) -> None:
        analyzer, replies = self.events()
        session = opened(*replies, analyzer=analyzer)
        with pytest.raises(KeyboardInterrupt):
            for event in session.stream("How much?"):
                if isinstance(event, Progress):
                    raise KeyboardInterrupt
        self.check_usable(session, analyzer)

    def test_a_generator_that_is_left_alone(self, opened: Callable[..., Session]) -> None:
        analyzer, replies = self.events()
        session = opened(*replies, analyzer=analyzer)
        left = session.stream("How much?")
        while not isinstance(next(left), ToolStarted):
            pass
        assert session.ask("again").finished == "answered"
        assert [t["answer"]["finished"] for t in session.store.history.turns("t")] == ["interrupted", "answered"]

    def test_closed(self, opened: Callable[..., Session]) -> None:
        analyzer, replies = self.events()
        session = opened(*replies, analyzer=analyzer)
        events = session.stream("How much?")
        while not isinstance(next(events), Progress):
            pass
        events.close()  # type: ignore[attr-defined]
        self.check_usable(session, analyzer)

    def test_closing_the_session_in_the_middle(self, opened: Callable[..., Session]) -> None:
        analyzer, replies = self.events()
        session = opened(*replies, analyzer=analyzer)
        events = session.stream("How much?")
        next(events)
        session.close()
        assert not [t for t in threading.enumerate() if t.name == "agent"]
        again = opened(LOOK, says("Forty [#1].", 1), analyzer=analyzer)
        self.check_usable(again, analyzer)

    def test_a_real_signal_while_an_analyzer_works(self, opened: Callable[..., Session]) -> None:
        class Interrupted(FakeAnalyzer):
            sent = False

            def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
                for number, found in enumerate(super().analyze(video, grains)):
                    if number == 2 and not self.sent:
                        self.sent = True
                        stop = session._turns._line[0].stop
                        os.kill(os.getpid(), signal.SIGINT)
                        assert stop.wait(PATIENCE_S)
                    yield found

        analyzer = Interrupted([(TimeRange(0, 2000), "forty")])
        session = opened(LOOK, LOOK, says("Forty [#1].", 1), analyzer=analyzer)
        with pytest.raises(KeyboardInterrupt):
            session.ask("How much?")
        assert len(analyzer.analyzed) <= 4, "the tool stopped at once"
        self.check_usable(session, analyzer)

    def test_cancelled_from_another_thread(self, opened: Callable[..., Session]) -> None:
        analyzer, replies = self.events()
        session = opened(*replies, analyzer=analyzer)
        with pytest.raises(Cancelled):
            for event in session.stream("How much?"):
                if isinstance(event, ToolStarted):
                    session.cancel()
        self.check_usable(session, analyzer)

    def test_indexing_works_after_a_cancelled_question(self, opened: Callable[..., Session]) -> None:
        session = opened()
        session.cancel()
        results: list[Any] = []
        for event in session.index_stream(["subtitles"]):
            results.append(event)
        assert any(isinstance(e, Progress) for e in results)


CHILD = textwrap.dedent("""
    import os, signal, sys
    sys.path[:] = {folders!r}
    from pathlib import Path
    from session_kit import LOOK, fake, says
    from test_interruptions import Counting
    from analyzer_agent.config import Settings
    from analyzer_agent.session import Session
    from analyzer_agent.testing import ScriptedModel

    def die(messages=None):
        os.kill(os.getpid(), signal.SIGKILL)

    replies, die_at = {replies}
    session = Session({clip!r}, name="t", settings=Settings(store=Path({store!r})), tools=("subtitles",), model=ScriptedModel(*replies))
    fake(session, Counting({log!r}, die_at, die))
    session.ask("How much?")
""")


class Counting(FakeAnalyzer):
    """Writes each grain to a file when it is done, and calls `die` instead at one of them."""

    def __init__(self, log: str, die_at: int = -1, die: Callable[[], object] = lambda: None) -> None:
        super().__init__([(TimeRange(0, 2000), "forty")])
        self.log, self.die_at, self.die = log, die_at, die

    def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
        for number, (grain, found) in enumerate(super().analyze(video, grains)):
            if number == self.die_at:
                self.die()
            with open(self.log, "a") as file:
                file.write(f"{grain.span}\n")
            yield grain, found


class TestKilled:
    """SIGKILL at any moment: what was finished stays, the question can be gone on with, nothing is done twice."""

    @pytest.fixture
    def killed(self, clip: Path, tmp_path: Path, opened: Callable[..., Session]) -> Callable[..., tuple[Session, Path]]:
        def run(replies: str, die_at: int, *rest: Reply) -> tuple[Session, Path]:
            log, store = tmp_path / "grains", tmp_path / "store.db"
            code = CHILD.format(
                folders=[str(Path(__file__).parent), *sys.path],
                replies=f"[{replies}], {die_at}",
                clip=str(clip),
                store=str(store),
                log=str(log),
            )
            child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
            assert child.returncode == -signal.SIGKILL, child.stderr
            return opened(*rest, analyzer=Counting(str(log))), log

        return run

    def finished(self, session: Session, log: Path) -> None:
        assert session.interrupted == "How much?"
        answers = [event.answer for event in session.resume() if isinstance(event, Answered)]
        assert [(a.text, a.finished, a.question) for a in answers] == [("Forty [#1].", "answered", "How much?")]
        grains = log.read_text().split()
        assert len(grains) == len(set(grains)) == 8, "every grain exactly once"
        turns = session.store.history.turns("t")
        assert len(turns) == 1 and turns[0]["answer"]["answer"] == "Forty [#1]."
        assert session.interrupted is None
        with pytest.raises(AgentError, match="no interrupted question"):
            next(iter(session.resume()))

    def test_in_the_middle_of_a_tool_call(self, killed: Callable[..., tuple[Session, Path]]) -> None:
        session, log = killed("LOOK", 3, says("Forty [#1].", 1))
        assert len(log.read_text().split()) == 3
        self.finished(session, log)

    def test_between_steps(self, killed: Callable[..., tuple[Session, Path]]) -> None:
        session, log = killed("LOOK, die", -1, says("Forty [#1].", 1))
        assert len(log.read_text().split()) == 8
        self.finished(session, log)

    def test_in_the_first_thought(self, killed: Callable[..., tuple[Session, Path]]) -> None:
        session, log = killed("die", -1, LOOK, says("Forty [#1].", 1))
        self.finished(session, log)

    def test_while_the_answer_is_verified(self, killed: Callable[..., tuple[Session, Path]]) -> None:
        session, log = killed("LOOK, says('Forty [#1].', 1, confidence='low'), die", -1, JUDGED)
        assert len(log.read_text().split()) == 8
        self.finished(session, log)
        asked: Any = session.model
        assert [tools[0]["function"]["name"] for _, tools in asked.requests] == ["judge"], "no step is done again"

    def test_a_new_question_closes_the_open_calls(self, killed: Callable[..., tuple[Session, Path]]) -> None:
        session, log = killed("LOOK", 3, LOOK, says("Forty [#1].", 1))
        answer = session.ask("Something else?")
        assert answer.question == "Something else?" and answer.finished == "answered"
        first: Any = session.model
        assert [m["role"] for m in first.requests[0][0]] == ["system", "user"], "nothing of the killed question is left"
        assert len(log.read_text().split()) == 8
        assert session.interrupted is None
