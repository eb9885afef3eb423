"""Many questions in one session: what is told of the earlier ones, that it does not grow, and that what they cited can be built upon."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.fencing import unfenced
from analyzer_agent.graph import history
from analyzer_agent.protocols import Reply
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from analyzer_agent.toolbox.citations import cited_ids
from cli_kit import talk
from graph_kit import LOOK, calls, says, talking
from openai_server import OpenAIServer, Turn

ROUNDS = 50
TIMES = "0:01-0:01.8"


def told(turns: int, answer: str = "Forty [#{n}].", marks: int = 1) -> list[dict[str, Any]]:
    kept: list[Any] = []
    for n in range(1, turns + 1):
        kept = history.with_turn(kept, f"Question {n}?", answer.format(n=n), {n + m: f"[#{n + m} 0:0{m}-0:09]" for m in range(marks)})
    return history.messages(json.loads(json.dumps(kept)))


class TestWhatIsTold:
    def test_nothing_at_first(self) -> None:
        assert told(0) == []

    def test_the_latest_as_they_were_with_times(self) -> None:
        assert told(1)[1]["content"] == "<notes>\nForty [#1 0:00-0:09].\n</notes>", "an answer may repeat what stands in the video"
        plain = [(m["role"], unfenced(m["content"])) for m in told(2)]
        assert plain == [
            ("user", "Question 1?"), ("assistant", "Forty [#1 0:00-0:09]."),
            ("user", "Question 2?"), ("assistant", "Forty [#2 0:00-0:09]."),
        ]  # fmt: skip

    def test_older_ones_in_a_line_each_and_still_older_ones_as_a_number(self) -> None:
        messages = told(13)
        assert [m["role"] for m in messages] == ["user", "assistant"] * history.FULL_TURNS
        head, _, asked = messages[0]["content"].partition("\n\nAfter that I asked:\n\n")
        assert asked == "Question 10?" and [m["content"] for m in messages[2::2]] == [f"Question {n}?" for n in (11, 12, 13)]
        assert unfenced(head).splitlines() == [
            "Asked earlier in this session, with short answers (3 before these are left out; what was found for them is in the notes):",
            *(f"- Question {n}?: Forty [#{n} 0:00-0:09]." for n in range(4, 10)),
        ]
        assert "left out" not in told(10)[0]["content"]

    def test_marks_survive_where_text_is_cut(self) -> None:
        (_, answer) = told(1, "word " * 400 + "[#{n}].", marks=12)
        assert len(answer["content"]) < 1500 and answer["content"].count("word") == 240
        assert cited_ids(answer["content"]) == [1, 2, 3, 4, 5, 6, 7, 8] and "word… [#1 0:00-0:09] [#2 0:01-0:09]" in answer["content"]
        line = told(5, "word " * 400 + "[#{n}].", marks=12)[0]["content"].splitlines()[2]
        assert line.endswith("word… [#1 0:00-0:09] [#2 0:01-0:09]") and len(line) < 200

    def test_no_half_mark_is_left(self) -> None:
        text = "x" * 1190 + " [#1] and more and more"
        (_, answer) = told(1, text)
        assert unfenced(answer["content"]).endswith("x… [#1 0:00-0:09]")

    def test_marks_that_stand_in_the_list_of_notes_only(self) -> None:
        assert unfenced(told(1, "Forty.")[1]["content"]) == "Forty. [#1 0:00-0:09]"

    def test_a_long_question_and_a_text_without_spaces(self) -> None:
        kept = history.with_turn([], "x" * 50_000, "y" * 50_000, {})
        assert len(str(history.messages(kept))) < 3000
        assert len(str(history.messages(history.with_turn(kept * 9, "?", "!", {})))) < 12_000


def test_the_video_is_named_where_there_are_several(tmp_path: Path) -> None:
    with talking(tmp_path) as make:
        films = [FakeVideo(video_id="one"), FakeVideo(video_id="two")]
        look = call("find_fake", ranges=[[0, 10]], video="two.mp4")
        talks = make(calls(look), says(), says(), videos=films)
        talks.ask()
        talks.ask("And then?")
        assert '#1 two.mp4 0:03-0:05 text "It costs forty"' in talks.sent(2)[-2]["content"]
        told = talks.agent.graph.get_state({"configurable": {"thread_id": "t"}}).values["earlier"]
        assert told[0]["answer"] == "It costs forty [#1 0:03-0:05] (two.mp4)."


def test_what_a_model_copies_from_the_history_is_a_mark(tmp_path: Path) -> None:
    with talking(tmp_path) as make:
        answers = make(calls(LOOK), says(), says("As I said, forty [#1 0:03-0:05].", []))
        answers.ask()
        answer = answers.ask("Sure?")
        assert answer.text == "As I said, forty [#1]." and answer.citations[0].note == 1 and not answer.unsupported


def test_a_follow_up_finds_its_times_in_the_history(tmp_path: Path) -> None:
    def right_after(messages: Any) -> Reply:
        (end,) = re.findall(r"#1 \S+-(\S+) text", messages[-2]["content"])
        return calls(call("find_fake", ranges=[[end, "0:08"]]))

    with talking(tmp_path) as make:
        answers = make(calls(LOOK), says(), right_after, says("Then nothing [#1]."))
        answers.ask()
        after = answers.ask("And what happens right after that?")
        assert answers.sent(3)[-1]["content"].startswith("find_fake analyzed 0:05-0:08.\nNothing was found there:")
        assert (after.usage.media_ms_analyzed, after.usage.analyzer_ms, after.usage.media_ms_reused) == (0, 0, 8000)


def test_a_follow_up_gets_the_times_of_the_part_that_was_cited(tmp_path: Path) -> None:
    with talking(tmp_path) as make:
        lasting = Tool(fake_spec(FakeAnalyzer([(TimeRange(0, 60_000), "a red car")]), grain=60_000))
        answers = make(calls(LOOK), says("It stops then [#1 0:20-0:22]."), says("Yes [#1]."), tools=[lasting])
        answers.ask()
        answers.ask("And right after that?")
        assert '#1 0:20-0:22 text "a red car"' in answers.sent(2)[-2]["content"]
        told = answers.agent.graph.get_state({"configurable": {"thread_id": "t"}}).values["earlier"]
        assert told[0]["marks"] == ["[#1 0:20-0:22]"]


class Manager:
    """Reads the subtitles, then answers at length; keeps how long the last request of each round was."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.sizes: list[int] = []
        self.seen: list[Any] = []

    def __call__(self, body: dict[str, Any]) -> Turn:
        if body["messages"][-1]["role"] != "tool":
            return Turn(calls=[("read_subtitles", {"ranges": [["0:00", "0:02"]]})])
        self.sizes.append(len(json.dumps(body, ensure_ascii=False)))
        self.seen.append(body["messages"])
        return Turn(calls=[("finish", {"answer": self.answer, "notes": [2], "confidence": "high", "found": True})])


@pytest.mark.parametrize("words", [700, 60, 5], ids=["long", "middling", "short"])
def test_fifty_rounds(tmp_path: Path, words: int) -> None:
    video = talk(tmp_path / "talk.mp4")
    with OpenAIServer() as server:
        server.answer = manager = Manager("".join(f"And word {n} is also said " for n in range(words // 6)) + "of fish [#2].")
        settings = Settings(store=tmp_path / "s.db", base_url=server.url, model="m", tools=("subtitles",))
        with Session(video, settings=settings) as session:
            answers = [session.ask(f"What happens right after that, for the {n}th time of asking?") for n in range(1, ROUNDS + 1)]
    print(json.dumps({"round 5": manager.sizes[4], "round 50": manager.sizes[49], "times": round(manager.sizes[49] / manager.sizes[4], 3)}))
    rounds = max(later - size for size, later in pairwise(manager.sizes))
    assert len(manager.sizes) == ROUNDS and max(manager.sizes) <= manager.sizes[0] + 8 * history.MAX_KEPT_TOKENS + rounds
    assert {a.finished for a in answers} == {"answered"} and all(a.citations[0].note == 2 for a in answers)
    assert [a.usage.media_ms_analyzed > 0 for a in answers] == [True] + [False] * (ROUNDS - 1), "what is covered costs nothing"
    assert answers[-1].usage.analyzer_ms == 0
    brief = [seen for seen in manager.seen if "Asked earlier in this session" in seen[1]["content"]]
    assert brief, "the messages of earlier questions were long at some time"
    assert f"[#2 {TIMES}]" in brief[-1][1]["content"]
    begins = [later[: len(seen)] == seen for seen, later in pairwise(manager.seen)]
    assert begins.count(False) <= ROUNDS // 3
