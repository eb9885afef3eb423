"""The manager loop with a scripted model: think, act, finish; calls side by side; history; checkpoints; what a step costs."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.events import Progress, TextDelta, Thinking, ToolStarted
from analyzer_agent.graph import NO_ANSWER, Limits, history
from analyzer_agent.protocols import Reply
from analyzer_agent.testing import FakeAnalyzer, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from graph_kit import LOOK, Make, Talk, Watched, calls, says, talking
from patience import PATIENCE_S, processor_time, wait_for


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


class TestLoop:
    def test_think_act_finish(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says())
        answer = talk.ask()
        assert (answer.text, answer.finished, answer.confidence) == ("It costs forty [#1].", "answered", "high")
        assert [(c.note, c.span, c.text) for c in answer.citations] == [(1, TimeRange(3000, 5000), "It costs forty")]
        assert [type(e) for e in talk.events if not isinstance(e, TextDelta)][:2] == [Thinking, ToolStarted]
        assert [e.step for e in talk.events if isinstance(e, Thinking)] == [1, 2]
        assert (answer.usage.llm_calls, answer.usage.media_ms_analyzed, len(answer.steps)) == (2, 16_000, 1)
        assert not talk.model.replies

    def test_an_answer_without_a_finish_call(self, talks: Make) -> None:
        answer = talks(calls(LOOK), Reply("It costs forty [#1].")).ask()
        assert (answer.text, answer.finished, answer.unsupported) == ("It costs forty [#1].", "answered", ())

    def test_a_refusal_goes_back_as_text(self, talks: Make) -> None:
        talk = talks(calls(call("find_fake", ranges=[[9, 3]])), calls(LOOK), says())
        assert talk.ask().finished == "answered"
        assert talk.sent(1)[-1]["role"] == "tool" and talk.sent(1)[-1]["content"].startswith("Refused: 0:09-0:03 is not a range")

    def test_finish_beside_other_calls_is_handled_apart(self, talks: Make) -> None:
        talk = talks(calls(says().calls[0], LOOK), says())
        assert talk.ask().finished == "answered"
        told = [m["content"] for m in talk.sent(1) if m["role"] == "tool"]
        assert told[0].startswith("Not accepted: call finish alone") and "It costs forty" in told[1]

    def test_every_call_gets_its_result_in_order_even_with_equal_ids(self, talks: Make) -> None:
        same = [call("find_fake", "x", ranges=[[0, 5]]), call("search_notes", "x", query="forty"), call("nothing", "x")]
        talk = talks(calls(*same), says())
        talk.ask()
        told = [m["content"] for m in talk.sent(1) if m["role"] == "tool"]
        assert [text[:12] for text in told] == ["find_fake an", told[1][:12], "Refused: 'no"] and "find_fake analyzed" not in told[1]

    def test_state_is_carried_with_its_calls(self, talks: Make) -> None:
        talk = talks(calls(LOOK, state={"items": [1, "ä", None]}), says(), calls(LOOK), says())
        talk.ask()
        assert [m.get("state") for m in talk.sent(1) if m["role"] == "assistant"] == [{"items": [1, "ä", None]}]
        talk.ask()
        assert talk.sent(2)[: len(talk.sent(1))] == talk.sent(1), "a request begins with the one before"

    def test_text_streams(self, talks: Make) -> None:
        talk = talks(Reply("Let me see.", calls=(LOOK,)), says())
        talk.ask()
        assert [e.text for e in talk.events if isinstance(e, TextDelta)] == ["Let me see."]

    def test_an_empty_reply_is_sent_back_and_never_repeated_to_the_model(self, talks: Make) -> None:
        talk = talks(calls(LOOK), Reply(), says())
        assert talk.ask().finished == "answered"
        assert all(m["content"] or m.get("tool_calls") for m in talk.sent(2))


class TestSideBySide:
    def test_different_resources_at_the_same_time(self, talks: Make) -> None:
        meet = threading.Barrier(2, timeout=PATIENCE_S)
        both = [
            Tool(fake_spec(Watched(meet.wait), name=name, grain=60_000, resource=resource))
            for name, resource in (("one", "cpu"), ("two", "network"))
        ]
        talk = talks(calls(call("find_one", ranges=[[0, 9]]), call("find_two", ranges=[[0, 9]])), says(), tools=both)
        assert talk.ask().finished == "answered", "the barrier opens only if both run at once"

    def test_one_resource_one_after_the_other(self, talks: Make) -> None:
        inside, most = [0], [0]

        def work() -> None:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            inside[0] -= 1

        both = [Tool(fake_spec(Watched(work), name=name, grain=60_000)) for name in ("one", "two")]
        talk = talks(calls(call("find_one", ranges=[[0, 9]]), call("find_two", ranges=[[0, 9]])), says(), tools=both)
        talk.ask()
        assert most == [1]
        assert [e.tool for e in talk.events if isinstance(e, ToolStarted)] == ["find_one", "find_two"]

    def test_results_come_in_the_order_of_the_calls(self, talks: Make) -> None:
        quick = threading.Event()
        slow = Tool(fake_spec(Watched(lambda: quick.wait(PATIENCE_S)), name="slow", grain=60_000))
        fast = Tool(fake_spec(Watched(quick.set), name="fast", grain=60_000, resource="gpu"))
        talk = talks(calls(call("find_slow", ranges=[[0, 9]]), call("find_fast", ranges=[[0, 9]])), says(), tools=[slow, fast])
        answer = talk.ask()
        assert [s.tool for s in answer.steps] == ["find_slow", "find_fast"]
        assert [m["tool_call_id"] for m in talk.sent(1) if m["role"] == "tool"] == ["call-find_slow", "call-find_fast"]

    def test_an_error_ends_the_question_and_what_others_finished_is_kept(self, talks: Make) -> None:
        met = threading.Barrier(2, timeout=PATIENCE_S)

        def fails() -> None:
            met.wait()
            wait_for(lambda: any(isinstance(event, Progress) for event in talk.events))
            raise AgentError("No weights.", hint="Get some.")

        good = Tool(fake_spec(Watched(met.wait), name="good", grain=60_000))
        bad = Tool(fake_spec(Watched(fails), name="bad", resource="gpu"))
        talk = talks(
            calls(call("find_good", ranges=[[0, 9]]), call("find_bad", ranges=[[0, 9]])),
            calls(call("search_notes", query="forty")), says(),
            tools=[good, bad],
        )  # fmt: skip
        with pytest.raises(AgentError, match="No weights"):
            talk.ask("first")
        assert talk.ask("second").finished == "answered"
        assert "It costs forty" in talk.sent(2)[-1]["content"], "found by a search: the good one's notes were kept"
        (asked,) = [m["content"] for m in talk.sent(1) if m["role"] == "user"]
        assert asked.startswith("second\n")


class TestHistory:
    def test_later_turns_follow_the_earlier_ones_as_they_were_sent(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says(), calls(call("search_notes", query="forty")), says("Still forty [#1]."))
        talk.ask("How much?")
        talk.ask("Sure?")
        sent = talk.sent(2)
        assert sent[: len(talk.sent(1))] == talk.sent(1)
        assert [m["role"] for m in sent[len(talk.sent(1)) :]] == ["assistant", "tool", "user"]
        assert (
            sent[-2]["content"]
            == 'The user has your answer. It cites:\nCited notes:\n<notes>\n#1 0:03-0:05 text "It costs forty"\n</notes>'
        )
        assert sent[-1]["content"].startswith("Sure?\n\n# State\nCovered so far:\n- fake: 0:00-0:16")

    def test_when_they_are_long_they_are_told_in_brief_once(self, talks: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(history, "MAX_KEPT_TOKENS", 500)
        talk = talks(*[reply for _ in range(4) for reply in (calls(LOOK), says())])
        for n in range(4):
            talk.ask(f"{n}?")
        begins = [talk.sent(n)[: len(talk.sent(n - 1))] == talk.sent(n - 1) for n in range(1, 8)]
        assert begins.count(False) == 1
        first = begins.index(False) + 1
        answer = "<notes>\nIt costs forty [#1 0:03-0:05].\n</notes>"
        assert {"role": "assistant", "content": answer} in talk.sent(first)
        assert not any(m["role"] == "tool" for m in talk.sent(first))

    def test_a_note_shown_in_an_earlier_turn_may_be_cited(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says(), says("Forty, as I said [#1]."))
        talk.ask()
        answer = talk.ask("Sure?")
        assert answer.finished == "answered" and [c.note for c in answer.citations] == [1] and answer.steps == ()

    def test_a_question_without_an_answer_leaves_no_empty_message(self, talks: Make) -> None:
        talk = talks(calls(LOOK), Reply(), Reply(), says())
        assert talk.ask("first").text == NO_ANSWER
        talk.ask("second")
        assert all(m["content"] or m.get("tool_calls") for m in talk.sent(3))


class TestCheckpoints:
    def rows(self, talk: Talk) -> tuple[int, int]:
        with sqlite3.connect(talk.toolbox.store.path) as db:
            found = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("checkpoints", "writes")]
        db.close()
        return found[0], found[1]

    def test_one_of_an_older_version_is_closed(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says())
        talk.ask()
        config: Any = {"configurable": {"thread_id": "t"}}
        state = talk.agent.graph.get_state(config).values
        verdict = {name: value for name, value in state["verdict"].items() if name != "stopped"}
        old = verdict | {"text": "", "cited": [], "problem": "", "missing": "", "spent": "This is the last of 12 steps."}
        (row,) = state["results"]
        rows = [{**{n: v for n, v in row.items() if n != "refusal"}, "refused": True, "text": "Refused: there is no sound"}]
        talk.agent.graph.update_state(config, {"verdict": old, "doubted": {}, "results": rows}, as_node="finish")
        assert talk.agent.interrupted("t")
        answer = talk.finish(talk.agent.resume("t", talk.events.append))
        assert (answer.text, answer.finished) == (NO_ANSWER, "out_of_steps")
        assert [step.refusal for step in answer.steps] == ["there is no sound"]

    def test_only_the_newest_stays(self, talks: Make) -> None:
        talk = talks(calls(LOOK), calls(LOOK), says(), calls(LOOK), says())
        talk.ask()
        first = self.rows(talk)
        talk.ask()
        assert first[0] == 1 and self.rows(talk) == first and first[1] < 20

    def test_also_after_an_error(self, talks: Make) -> None:
        def fails(messages: object) -> Reply:
            raise AgentError("no network")

        talk = talks(calls(LOOK), calls(LOOK), fails)
        with pytest.raises(AgentError):
            talk.ask()
        assert self.rows(talk)[0] == 1

    def test_the_file_grows_no_more_than_linearly(self, talks: Make) -> None:
        long = [(TimeRange(n * 1000, n * 1000 + 900), f"a rather long line of text, number {n}, " + "x" * 300) for n in range(60)]
        all_of_it = call("find_fake", ranges=[[0, 60]])
        replies = [r for _ in range(30) for r in (calls(all_of_it), calls(all_of_it), says("Forty [#1]."))]
        talk = talks(*replies, tools=[Tool(fake_spec(FakeAnalyzer(long)))])
        sizes = []
        for n in range(30):
            talk.ask(f"question {n}")
            sizes.append(talk.toolbox.store.path.stat().st_size + Path(f"{talk.toolbox.store.path}-wal").stat().st_size)
        assert sizes[29] - sizes[14] <= max(100_000, (sizes[14] - sizes[0]) * 1.2), sizes


def test_what_a_step_costs(talks: Make) -> None:
    """The framework's own time per step, without model and analyzer: in processor time."""
    search = calls(call("search_notes", query="forty"))
    talk = talks(*[search] * 20, says("No.", [], found=False), limits=Limits(steps=30))
    before = processor_time()
    talk.ask()
    per_step = (processor_time() - before) / 21 * 1000
    print(json.dumps({"ms_per_step": round(per_step, 1)}))
    assert per_step < 250
