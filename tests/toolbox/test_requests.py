"""What a model writes as arguments of a call: ranges, fields, and what is refused with a way out."""

import re
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.events import ToolStarted
from analyzer_agent.protocols import Cue, Track
from analyzer_agent.records import ToolCall
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool, Toolbox
from analyzer_agent.toolbox.scheduler import CallScheduler
from analyzer_agent.toolbox.schemas import decode, time_range, time_ranges
from toolbox_kit import CLASSES, SCOPE, Detector, analyzed, boxed, done, finds

FAKE_TOOLS = ["find_fake", "overview", "read_notes", "search_notes", "find_all", "query", "finish"]


class TestRanges:
    @pytest.mark.parametrize(
        "given_",
        [
            [["0:10", "0:20"]],
            [[10, 20]],
            [[10.0, 20.0]],
            [["10", "20s"]],
            ["0:10", "0:20"],
            [10, 20],
            "0:10-0:20",
            ["0:10-0:20"],
            ["0:10 - 0:20"],
            ["0:10–0:20"],
            ["0:10 to 0:20"],
            [{"start": "0:10", "end": "0:20"}],
            [{"end": "0:20", "start": "0:10"}],
            {"start": 10, "end": "0:20"},
        ],
    )
    def test_every_way_of_writing_one_range(self, given_: Any) -> None:
        assert time_ranges(given_, SCOPE) == [TimeRange(10_000, 20_000)]

    @pytest.mark.parametrize(
        "given_",
        [[["0:10", "0:20"], ["0:30", "0:40"]], [[10, 20], [30, 40]], ["0:10-0:20", "0:30-0:40"], ["0:10-0:20", ["0:30", "0:40"]]],
    )
    def test_every_way_of_writing_two(self, given_: Any) -> None:
        assert time_ranges(given_, SCOPE) == [TimeRange(10_000, 20_000), TimeRange(30_000, 40_000)]

    def test_a_list_may_be_one_text_with_commas(self, store: Store) -> None:
        toolbox = boxed(store, finds((11_000, 12_000, "A"), (31_000, 32_000, "B")))
        result = done(toolbox, call("find_fake", ranges="0:10-0:20, 0:30-0:40"))
        assert result.text.startswith("find_fake analyzed 0:10-0:20, 0:30-0:40") and result.note_ids == (1, 2)
        assert done(toolbox, call("read_notes", range="0:10-0:20", kinds="text, text")).note_ids == (1,)
        assert "'speach' is not a valid 'kinds'" in done(toolbox, call("read_notes", range="0:10-0:20", kinds="text,speach")).text
        assert done(toolbox, call("find_fake", ranges="")).refusal == "'ranges' is empty. Name at least one: \"0:00-0:30, 1:00-1:10\"."
        sent = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in toolbox.schemas()}
        assert sent["find_fake"]["ranges"] == sent["find_all"]["kinds"] == {"type": "string"}
        assert "text" in sent["read_notes"]["kinds"]["description"]

    @pytest.mark.parametrize(
        ("every", "told"),
        [
            (3, "find_fake (every 2 s, not 3: steps are ... 4, 2, 1 ...) analyzed"),
            (0.05, "find_fake (every 0.125 s, not 0.05: steps are ... 0.25, 0.125 ...) analyzed"),
            (2, "find_fake analyzed"),
        ],
    )
    def test_a_step_that_was_not_asked_for_is_told(self, store: Store, every: float, told: str) -> None:
        assert done(boxed(store, finds(step=1_000)), call("find_fake", ranges="0:00-0:08", every=every)).text.startswith(told)

    def test_what_is_of_no_use_is_not_offered(self, store: Store) -> None:
        options = {"track": {"type": ["integer", "string"], "description": "which"}}
        tool = Tool(fake_spec(FakeAnalyzer([]), options_schema=options))
        film = FakeVideo()
        film.audio_tracks = [Track(1, "aac"), Track(2, "aac")]
        boxes = boxed(store, tool), boxed(store, tool, videos=[film])
        alone, choice = (box.schemas()[0]["function"]["parameters"]["properties"] for box in boxes)
        assert "track" not in alone and choice["track"] == {"type": "string", "description": "which"}

    @pytest.mark.parametrize(
        ("given_", "told"),
        [
            ([], "'ranges' is empty"),
            ([["0:20", "0:10"]], "0:20-0:10 is not a range: its end must come after its start"),
            ([["0:10", "0:10"]], "is not a range"),
            ([["1:10", "1:20"]], "1:10-1:20 lies outside of what can be analyzed, 0:00-1:00"),
            ([["soon", "later"]], "'soon' is not a time; give seconds (64.2) or a clock"),
            ([[-5, 10]], "-5 is not a time"),
            ([[True, 10]], "True is not a time"),
            ([[0, 1e400]], "inf is not a time"),
            ([[0, 1e308]], "A range is two times"),
            ([["0:10"]], "['0:10'] is not a time range"),
            ([10, 20, 30], "10 is not a time range"),
            ([None], "None is not a time range"),
            ([{"from": 1, "to": 2}], "is not a time range"),
            ("", "'' is not a time"),
            (7, "7 is not a time range"),
        ],
    )
    def test_what_is_no_range_is_refused_with_the_valid_forms(self, given_: Any, told: str) -> None:
        with pytest.raises(ToolRefusal) as refused:
            time_ranges(given_, SCOPE)
        assert told in str(refused.value)

    def test_clips_what_reaches_beyond(self) -> None:
        assert time_range(["0:50", "9:00"], SCOPE) == TimeRange(50_000, 60_000)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
        )
    )
    def test_nothing_but_a_refusal_whatever_is_written(self, value: Any) -> None:
        try:
            found = time_ranges(value, SCOPE)
        except ToolRefusal:
            return
        assert found and all(0 <= r.start < r.end <= 60_000 for r in found)


class TestArguments:
    @pytest.mark.parametrize("text", ["{", "[]", "3", "null", '"x"', "{'a': 1}", "[" * 100_000, '{"n": ' + "1" * 5000 + "}", "\ud800"])
    def test_wrong_json_is_refused(self, text: str) -> None:
        with pytest.raises(ToolRefusal, match="JSON"):
            decode(text, {"n": {"type": "integer"}}, [])

    def test_an_unknown_argument_is_refused_with_a_suggestion(self) -> None:
        with pytest.raises(ToolRefusal, match=re.escape("Unknown argument 'rnages'; did you mean 'ranges'? Valid ones: ranges, every.")):
            decode('{"rnages": []}', {"ranges": {}, "every": {}}, [])

    def test_null_is_absent(self) -> None:
        assert decode('{"every": null}', {"every": {"type": "number"}}, []) == {}
        with pytest.raises(ToolRefusal, match="Missing argument 'every'"):
            decode('{"every": null}', {"every": {"type": "number"}}, ["every"])

    @given(st.text())
    def test_any_text_decodes_or_is_refused(self, text: str) -> None:
        with suppress(ToolRefusal):
            assert isinstance(decode(text, {}, []), dict)


class TestRefusals:
    def refused(self, toolbox: Toolbox, wanted: ToolCall) -> str:
        result = done(toolbox, wanted)
        assert result.refused and not result.note_ids and result.tool == wanted.name
        assert result.text.startswith("Refused: ")
        return result.text

    def test_missing_ranges(self, store: Store) -> None:
        assert "Missing argument 'ranges'" in self.refused(boxed(store, finds()), call("find_fake"))

    def test_a_refused_call_keeps_what_was_asked(self, store: Store) -> None:
        toolbox = boxed(store, finds())
        assert done(toolbox, call("find_fake", ranges=[[9, 3]])).args == {"ranges": [[9, 3]]}
        assert done(toolbox, ToolCall("1", "find_fake", "{oh")).args == {"arguments": "{oh"}

    @pytest.mark.parametrize("every", [0, -1, 1e9, float("nan")])
    def test_every_must_be_positive(self, store: Store, every: float) -> None:
        text = self.refused(boxed(store, finds(step=1000)), call("find_fake", ranges=[[0, 5]], every=every))
        assert "'every'" in text and ("give a number" if every != every else "give a positive number") in text

    def test_every_is_unknown_where_nothing_is_sampled(self, store: Store) -> None:
        assert "Unknown argument 'every'" in self.refused(boxed(store, finds()), call("find_fake", ranges=[[0, 5]], every=1))

    def test_every_of_the_wrong_type(self, store: Store) -> None:
        text = self.refused(boxed(store, finds(step=1000)), call("find_fake", ranges=[[0, 5]], every="often"))
        assert "'every' must be of type number, not 'often'" in text

    def test_an_unknown_tool_lists_the_valid_ones_and_what_cannot_run(self, store: Store) -> None:
        absent = fake_spec(FakeAnalyzer([]), name="objects")
        toolbox = boxed(store, finds(), missing={"objects": "no weights"}, specs={"fake": finds().spec, "objects": absent})
        text = self.refused(toolbox, call("find_fakes"))
        assert "'find_fakes' is not a tool; did you mean 'find_fake'?" in text
        assert "Valid ones: find_fake, overview, read_notes, search_notes, find_all, query, finish." in text
        assert "find_objects cannot run here: no weights" in text

    def test_a_tool_that_cannot_run_says_why(self, store: Store) -> None:
        absent = fake_spec(FakeAnalyzer([]), name="objects")
        toolbox = boxed(store, finds(), missing={"objects": "no weights"}, specs={"objects": absent})
        assert self.refused(toolbox, call("find_objects", ranges=[[0, 5]])) == "Refused: find_objects cannot run here: no weights"

    def test_no_audio(self, store: Store) -> None:
        toolbox = boxed(store, finds(), finds(name="speech", needs="audio"))
        assert [t["function"]["name"] for t in toolbox.schemas()] == FAKE_TOOLS
        text = self.refused(toolbox, call("find_speech", ranges=[[0, 5]]))
        assert text == "Refused: fake.mp4 has no sound, so find_speech has nothing to analyze."

    def test_no_audio_in_one_of_two(self, store: Store) -> None:
        heard = FakeVideo(video_id="heard", cues=[Cue(TimeRange(0, 1), "x")])
        toolbox = boxed(store, finds(name="cues", needs="subtitles"), videos=[FakeVideo(), heard])
        assert "fake.mp4 has no subtitles" in self.refused(toolbox, call("find_cues", ranges=[[0, 5]], video="fake.mp4"))
        assert not done(toolbox, call("find_cues", ranges=[[0, 5]], video="heard.mp4")).refused

    def test_an_unknown_video_lists_them(self, store: Store) -> None:
        toolbox = boxed(store, finds(), videos=[FakeVideo(video_id="one"), FakeVideo(video_id="two")])
        assert "Choose one of one.mp4, two.mp4" in self.refused(toolbox, call("find_fake", ranges=[[0, 5]], video="tow.mp4"))
        assert "Missing argument 'video'" in self.refused(toolbox, call("find_fake", ranges=[[0, 5]]))

    def test_an_unknown_class_suggests_and_lists(self, store: Store) -> None:
        tool = Tool(fake_spec(Detector([]), name="objects", filters_schema=CLASSES))
        text = self.refused(boxed(store, tool), call("find_objects", ranges=[[0, 5]], classes=["persn"]))
        assert "'persn' is not a class that these weights know; did you mean 'person'?" in text
        assert "Valid ones: person, dog, cell phone." in text
        assert tool.spec.bind({}).analyzed == []  # type: ignore[attr-defined]

    def test_a_thousand_classes_are_not_all_listed(self, store: Store) -> None:
        detector = Detector([])
        detector.known = tuple(f"class{n}" for n in range(1200))  # type: ignore[assignment]
        toolbox = boxed(store, Tool(fake_spec(detector, filters_schema=CLASSES)))
        text = self.refused(toolbox, call("find_fake", ranges=[[0, 5]], classes=["x"]))
        assert "class99 and 1100 more" in text and len(text) < 2000

    def test_the_user_declines(self, store: Store) -> None:
        asked: list[ToolStarted] = []

        def no(start: ToolStarted) -> bool:
            asked.append(start)
            return False

        toolbox = boxed(store, finds(), videos=[FakeVideo(600_000)], approve=no)
        text = self.refused(toolbox, call("find_fake", ranges=[[0, 600]]))
        assert "the user declined this step, which would take about 10:00. Narrow the range." in text
        assert asked[0].new_ms == 600_000 and analyzed(toolbox) == []
        assert not done(toolbox, call("find_fake", ranges=[[0, 30]])).refused, "a short step is not asked for"
        assert len(asked) == 1

    def test_what_is_covered_needs_no_consent(self, store: Store) -> None:
        toolbox = boxed(store, finds(), videos=[FakeVideo(600_000)], approve=lambda start: True)
        done(toolbox, call("find_fake", ranges=[[0, 600]]))
        toolbox.scheduler = CallScheduler(toolbox, lambda start: False)
        assert not done(toolbox, call("find_fake", ranges=[[0, 600]])).refused

    def test_the_time_that_the_user_takes_is_not_the_steps(self, store: Store) -> None:
        def slowly(start: ToolStarted) -> bool:
            time.sleep(0.3)
            return True

        toolbox = boxed(store, finds(), videos=[FakeVideo(600_000)], approve=slowly)
        began = time.monotonic()
        result = done(toolbox, call("find_fake", ranges=[[0, 600]]))
        took = round((time.monotonic() - began) * 1000)
        assert 0 <= result.wall_ms <= took - 300 and toolbox.scheduler.seconds_waited(began) >= 0.3
