"""The manager loop within limits: steps, analyzer seconds, tokens, and being stopped."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import ToolStarted
from analyzer_agent.graph import NO_ANSWER, Limits
from analyzer_agent.protocols import Reply
from analyzer_agent.records import TokenUsage
from analyzer_agent.session.turn_queue import TurnQueue
from analyzer_agent.testing import call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from graph_kit import LOOK, Make, Watched, calls, says, talking
from patience import PATIENCE_S


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


class TestBudgets:
    def test_the_last_step_requires_finish_and_says_why(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says(), limits=Limits(steps=2))
        assert talk.ask().finished == "answered"
        every = ["find_fake", "overview", "read_notes", "search_notes", "find_all", "query", "finish"]
        assert talk.offered(0) == every == talk.offered(1)
        assert talk.sent(1)[-1] == {"role": "user", "content": talk.sent(1)[-1]["content"]}
        assert "This is the last of 2 steps. Call finish now" in talk.sent(1)[-1]["content"]

    def test_who_does_not_finish_then_is_out_of_steps(self, talks: Make) -> None:
        talk = talks(calls(LOOK), calls(LOOK), calls(LOOK), limits=Limits(steps=2))
        answer = talk.ask()
        assert (answer.text, answer.finished, len(answer.steps)) == (NO_ANSWER, "out_of_steps", 1)
        assert talk.offered(2) == ["finish"], "a server that does not heed which tool is required"

    def test_who_finishes_only_when_nothing_else_is_offered_has_finished(self, talks: Make) -> None:
        answer = talks(calls(LOOK), calls(LOOK), says(), limits=Limits(steps=2)).ask()
        assert (answer.text, answer.finished, answer.usage.llm_calls) == ("It costs forty [#1].", "answered", 3)

    def test_not_found_on_the_last_step_is_out_of_steps(self, talks: Make) -> None:
        answer = talks(calls(LOOK), says("Nothing.", [], found=False), limits=Limits(steps=2)).ask()
        assert answer.finished == "out_of_steps"

    def test_analyzer_seconds(self, talks: Make) -> None:
        slow = Tool(fake_spec(Watched(lambda: time.sleep(0.06)), grain=8000))
        talk = talks(calls(call("find_fake", ranges=[[0, 60]])), says(), tools=[slow], limits=Limits(analyzer_ms=100))
        answer = talk.ask()
        analyzer: Any = slow.spec.bind({})
        done = 8_000 * len(analyzer.analyzed)
        assert done in (8_000, 16_000), "on a loaded machine the first grain may take it all"
        assert answer.usage.media_ms_analyzed == done
        assert {(u.span, u.reason) for u in answer.not_examined} == {(TimeRange(done, 60_000), "budget")}
        assert "The budget of 0.1 analyzer seconds is spent." in talk.sent(1)[-1]["content"]
        assert f"Not examined, because the budget is spent: 0:{done // 1000:02}-1:00" in talk.sent(1)[-2]["content"]

    def test_calls_of_one_turn_share_the_budget(self, talks: Make) -> None:
        slow = Tool(fake_spec(Watched(lambda: time.sleep(0.06)), grain=8000))
        three = [call("find_fake", str(n), ranges=[[n * 16, n * 16 + 16]]) for n in range(3)]
        answer = talks(calls(*three), says(), tools=[slow], limits=Limits(analyzer_ms=100)).ask()
        assert answer.usage.media_ms_analyzed in (8_000, 16_000)

    def test_failures_cost_too(self, talks: Make) -> None:
        def fail() -> None:
            time.sleep(0.06)
            raise ValueError("broken")

        bad = Tool(fake_spec(Watched(fail)))
        talk = talks(calls(call("find_fake", ranges=[[0, 60]])), says("No.", [], found=False), tools=[bad], limits=Limits(analyzer_ms=100))
        answer = talk.ask()
        assert answer.finished == "out_of_budget" and answer.usage.analyzer_ms >= 100
        assert {u.reason for u in answer.not_examined} >= {"failed"}

    def test_a_budget_of_nothing_reads_what_is_there(self, talks: Make) -> None:
        talks(calls(LOOK), says()).ask()
        talk = talks(calls(LOOK), calls(call("find_fake", ranges=[[30, 40]])), says(), limits=Limits(analyzer_ms=0))
        assert talk.ask().finished == "answered"
        assert '"It costs forty"' in talk.sent(1)[-1]["content"] and "the budget is spent" in talk.sent(2)[-1]["content"]

    def test_tokens(self, talks: Make) -> None:
        talk = talks(calls(LOOK, usage=TokenUsage(400, 200)), says(), limits=Limits(tokens=500))
        answer = talk.ask()
        assert answer.finished == "answered", "whoever spends the last tokens on a look still gets to answer"
        assert "The budget of 500 tokens is spent." in talk.sent(1)[-1]["content"]
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (400, 200)

    def test_a_finish_that_spends_the_last_tokens_is_no_less_found_or_not(self, talks: Make) -> None:
        end = says("Nobody says.", [], found=False)
        answer = talks(calls(LOOK), Reply(calls=end.calls, usage=TokenUsage(600, 0)), limits=Limits(tokens=500)).ask()
        assert answer.finished == "not_found"

    def test_the_model_sees_what_is_left(self, talks: Make) -> None:
        talk = talks(calls(LOOK, usage=TokenUsage(100, 23)), says(), limits=Limits(5, 90_000, 1000))
        talk.ask()
        assert talk.sent(0)[-1]["content"].endswith("Step 1 of 5. 90 analyzer seconds left. 1000 tokens left.")
        assert talk.sent(1)[-1]["content"].endswith(
            "\n\nStep 2 of 5. 90 analyzer seconds left. 877 tokens left. Newly covered: fake 0:00-0:16."
        )


class TestStopping:
    def test_closing_the_events_stops_the_tools_and_keeps_what_was_found(self, talks: Make) -> None:
        stops: list[threading.Event] = []
        analyzer = Watched(lambda: stops and stops[0].wait(PATIENCE_S))
        talk = talks(
            calls(call("find_fake", ranges=[[0, 60]])),
            calls(call("find_fake", ranges=[[0, 60]])),
            says(),
            tools=[Tool(fake_spec(analyzer))],
        )
        turns = TurnQueue()
        stop = threading.Event()
        stops.append(stop)
        running = turns.read(lambda turn: talk.agent.ask("t", "How much?", (), 1, turn.emit, turn.stop), stop)
        while not isinstance(next(running), ToolStarted):
            pass
        running.close()
        assert len(analyzer.analyzed) <= 1
        assert not [t for t in threading.enumerate() if t.name in ("agent",)], "nothing runs on behind"
        assert talk.ask("again").finished == "answered"
        spans = [grain.span for grain in analyzer.analyzed]
        assert len(set(spans)) == 8 and len(spans) <= 9, "at most the grain in flight is done again"

    def test_stop_from_elsewhere(self, talks: Make) -> None:
        begun = threading.Event()

        def work() -> None:
            begun.set()
            talk.agent._nodes.cancel.wait(PATIENCE_S)

        talk = talks(calls(call("find_fake", ranges=[[0, 60]])), tools=[Tool(fake_spec(Watched(work)))])

        def stop() -> None:
            assert begun.wait(PATIENCE_S)
            talk.agent._nodes.cancel.set()

        threading.Thread(target=stop).start()
        with pytest.raises(Cancelled):
            talk.ask()

    def test_an_unexpected_error_comes_out(self, talks: Make) -> None:
        def bug(messages: object) -> Reply:
            raise ZeroDivisionError("a bug")

        talk = talks(bug, calls(LOOK), says())
        with pytest.raises(ZeroDivisionError, match="a bug"):
            talk.ask()
        assert talk.ask().finished == "answered"
