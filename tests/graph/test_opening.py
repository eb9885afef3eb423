"""What a question opens with: the survey of a short clip, or all notes where they are few, so that one call may do."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.events import ToolFinished, ToolStarted
from analyzer_agent.graph import Limits, opening
from analyzer_agent.records import Observation
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from graph_kit import EVENTS, LOOK, Make, calls, says, talking


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


def cheap(events: Sequence[tuple[TimeRange, str]] = EVENTS) -> list[Tool]:
    """Return two analyzers that need no measurement to be called cheap."""
    return [
        Tool(fake_spec(FakeAnalyzer(events, kind="subtitle"), name="subtitles")),
        Tool(fake_spec(FakeAnalyzer([]), name="scenes")),
    ]


class TestSurvey:
    def test_a_short_clip_is_answered_in_one_call(self, talks: Make) -> None:
        talk = talks(says(), tools=cheap())
        answer = talk.ask()
        assert (answer.finished, answer.usage.llm_calls) == ("answered", 1)
        assert [step.tool for step in answer.steps] == ["survey"] and answer.usage.media_ms_analyzed == 120_000
        _, user, made, result = talk.sent(0)
        assert user["content"].startswith("How much?") and made["tool_calls"][0]["function"]["name"] == "survey"
        assert result["tool_call_id"] == made["tool_calls"][0]["id"] and '#1 0:03-0:05 subtitle "It costs forty"' in result["content"]
        assert "Step" not in user["content"] and "- survey" not in user["content"], "the survey is made, and its result says the step"
        assert result["content"].endswith("Step 1 of 12. Newly covered: scenes 0:00-1:00; subtitles 0:00-1:00.")
        assert [type(event) for event in talk.events if isinstance(event, ToolStarted | ToolFinished)] == [ToolStarted, ToolFinished]

    def test_the_next_question_tells_nothing_again(self, talks: Make) -> None:
        talk = talks(says(), says("Forty [#1]."), tools=cheap())
        talk.ask()
        assert talk.ask("Sure?").steps == ()
        assert talk.sent(1)[: len(talk.sent(0))] == talk.sent(0) and "Notes so far" not in str(talk.sent(1))

    @pytest.mark.parametrize("more", [{"videos": [FakeVideo(120_001)]}, {"limits": Limits(analyzer_ms=0)}], ids=["long", "no budget"])
    def test_nothing_runs_unasked_where_it_is_not_small(self, talks: Make, more: dict[str, Any]) -> None:
        talk = talks(says("Nothing.", [], found=False), says("Nothing.", [], found=False), tools=cheap(), **more)
        assert talk.ask().steps == () and [message["role"] for message in talk.sent(0)] == ["system", "user"]

    def test_what_became_cheap_since_is_no_reason_to_survey_again(self, talks: Make) -> None:
        talk = talks(says(), says("Forty [#1]."), tools=[*cheap(), Tool(fake_spec(FakeAnalyzer([]), name="objects"))])
        talk.ask()
        talk.toolbox.store.history.add_speed("objects", "fake", "cpu", 600_000, 1_000)
        talk.toolbox.__dict__.pop("surveys", None)
        assert talk.ask("Sure?").steps == ()

    def test_doubtful_notes_are_left_out_where_there_are_sure_ones(self, talks: Make) -> None:
        class Seen(FakeAnalyzer):
            def analyze(self, video: Any, grains: Any) -> Any:
                for grain in grains:
                    found = [("1 dog", 0.9), ("1 sink", 0.3)] if grain.span.start == 0 else []
                    yield grain, [Observation(TimeRange(0, 900), "object", text, score) for text, score in found]

        talk = talks(calls(LOOK), says(), tools=[Tool(fake_spec(Seen([], kind="object")))])
        talk.ask()
        opened = opening.known_notes(talk.toolbox, [])[0]
        assert "1 dog" in opened and "1 sink" not in opened and opened.endswith("Left out, read_notes tells them: doubtful ones: 1.")

    def test_classes_that_nobody_asked_for_are_one_line(self, talks: Make) -> None:
        events = [(TimeRange(n * 1_000, n * 1_000 + 900), text) for n in range(20) for text in ("bottle", "sink", "table")]

        def select(found: Observation, wanted: Any) -> Observation | None:
            return found if not wanted.get("classes") or found.text in wanted["classes"] else None

        classes = {"classes": {"type": "array", "items": {"type": "string"}}}
        spec = fake_spec(FakeAnalyzer(events, kind="object"), filters_schema=classes, select=select)
        talk = talks(calls(call("find_fake", ranges=[[0, 60]], classes=["bottle"])), says("A bottle [#1]."), tools=[Tool(spec)])
        talk.ask()
        told, ids = opening.known_notes(talk.toolbox, [], [1])
        assert '"bottle"' in told and '"sink"' not in told and ids == [1, 4, 7, 10]
        assert told.endswith("Left out, read_notes tells them: of classes that were not asked for: sink, table.")
        assert '"sink"' in opening.known_notes(talk.toolbox, [])[0], "another session knows nothing of what was asked for"

    def test_one_analyzer_is_for_the_model_to_choose(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says())
        talk.ask()
        assert len(talk.sent(0)) == 2

    def test_an_interrupted_survey_is_resumed(self, talks: Make) -> None:
        def stop() -> None:
            raise KeyboardInterrupt

        talk = talks(says(), tools=cheap())
        run = talk.toolbox.scheduler.run
        talk.toolbox.scheduler.run = lambda *_, **__: stop()  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            talk.ask()
        talk.toolbox.scheduler.run = run  # type: ignore[method-assign]
        assert talk.finish(talk.agent.resume("t", talk.events.append)).finished == "answered"


class TestNotes:
    def test_few_notes_come_with_the_question_and_may_be_cited(self, talks: Make) -> None:
        talks(calls(LOOK), says()).ask()
        talk = talks(says())
        state = talk.agent.ask("other", "How much?", (), 1, talk.events.append)
        answer = talk.finish(state)
        assert (answer.finished, answer.usage.llm_calls, [c.note for c in answer.citations]) == ("answered", 1, [1])
        assert '<notes>\n#1 0:03-0:05 text "It costs forty"\n</notes>' in talk.sent(0)[-1]["content"]

    @pytest.mark.parametrize(("few", "come"), [(10, True), (0, False)])
    def test_few_notes_of_a_long_video_come_too(self, talks: Make, monkeypatch: pytest.MonkeyPatch, few: int, come: bool) -> None:
        monkeypatch.setattr(opening, "_FEW_NOTES", few)
        talks(calls(LOOK), says(), videos=[FakeVideo(3_600_000)]).ask()
        talk = talks(*([says()] if come else [calls(LOOK), says()]), videos=[FakeVideo(3_600_000)])
        talk.agent.ask("other", "How much?", (), 1, talk.events.append)
        assert ('#1 0:03-0:05 text "It costs forty"' in talk.sent(0)[-1]["content"]) is come

    def test_many_notes_do_not(self, talks: Make) -> None:
        events = [(TimeRange(n * 500, n * 500 + 400), f"sentence {n} is rather long, and unlike all of the others") for n in range(120)]
        tool = [Tool(fake_spec(FakeAnalyzer(events)))]
        whole = call("find_fake", ranges=[[0, 60]])
        talks(calls(whole), says("It is [#1]."), tools=tool).ask()
        talk = talks(calls(whole), says("It is [#1]."), tools=tool)
        talk.agent.ask("other", "How much?", (), 1, talk.events.append)
        assert "Notes so far" not in talk.sent(0)[-1]["content"]

    def test_where_nothing_was_analyzed_the_model_has_to_look(self, talks: Make) -> None:
        talk = talks(says(), calls(LOOK), says())
        assert talk.ask().finished == "answered"
        assert "nothing has been examined yet" in talk.sent(1)[-1]["content"]
