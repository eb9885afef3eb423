"""The survey: what it runs, when it is offered, what it tells."""

from typing import Any

import pytest

from analyzer_agent.briefing import Briefing
from analyzer_agent.errors import Unavailable
from analyzer_agent.events import discard
from analyzer_agent.protocols import Track
from analyzer_agent.records import ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from note_lines import parse_note_lines

EVENTS = {"voice": (10_000, "voice", "voice"), "motion": (5_000, "movement", "motion"), "text": (1_000, "EXIT", "text")}
START: Any = {"step": 0, "analyzer_ms": 0, "input_tokens": 0, "output_tokens": 0}


def box(store: Store, duration: int = 60_000, names: tuple[str, ...] = ("voice", "motion", "text"), every: int = 0, **more: Any) -> Toolbox:
    film = FakeVideo(duration)
    store.notes.add_video(film.id, film.name, "", duration)
    tools = {}
    for name in names:
        at, text, kind = EVENTS[name]
        times = range(at, duration, every) if every else (at,)
        found = FakeAnalyzer([(TimeRange(t, t + 900), f"{text} {t}" if every else text) for t in times], kind=kind)
        tools[name] = Tool(fake_spec(found, name=name, grain=10_000))
    return Toolbox(store, [SessionVideo(film.name, film, TimeRange(0, duration))], tools, **more)


def run(toolbox: Toolbox, **more: Any) -> tuple[list[Any], ToolResult]:
    events: list[Any] = []
    return events, toolbox.run(call("survey"), events.append, **more)


def offered(toolbox: Toolbox) -> list[str]:
    survey = toolbox.surveys.get(next(iter(toolbox.session_videos)))
    names = [tool["function"]["name"] for tool in toolbox.schemas()]
    assert ("survey" in names) is (survey is not None) and names[-1] == "finish"
    return [tool.spec.name for tool in survey.tools] if survey else []


def measured(store: Store, name: str, media_s: float, wall_s: float) -> None:
    store.history.add_speed(name, "fake", "cpu", round(media_s * 1000), round(wall_s * 1000))


class TestOffer:
    def test_a_short_video_before_anything_was_measured(self, store: Store) -> None:
        assert offered(box(store)) == ["voice", "motion"]
        assert offered(box(store, names=("voice", "text"))) == []
        assert offered(box(store, 120_001)) == []

    def test_what_was_measured_as_cheap_or_dear(self, store: Store) -> None:
        measured(store, "text", 60, 9.9)
        assert offered(box(store)) == ["voice", "motion", "text"]
        measured(store, "voice", 60, 10.2)
        assert offered(box(store)) == ["motion", "text"]

    def test_the_cheapest_that_are_cheap_together(self, store: Store) -> None:
        for name, wall_s in (("voice", 4), ("motion", 5), ("text", 6)):
            measured(store, name, 60, wall_s)
        assert offered(box(store)) == ["voice", "motion"]

    def test_a_long_video_where_all_of_it_is_cheap(self, store: Store) -> None:
        measured(store, "voice", 3600, 4)
        measured(store, "motion", 3600, 5.9)
        assert offered(box(store, 3_600_000)) == ["voice", "motion"]
        assert offered(box(store, 3_900_000)) == []

    def test_the_briefing_tells_what_it_costs(self, store: Store) -> None:
        assert Briefing(box(store)).surveys() == ["- survey (find_voice, find_motion over all of it): not all measured yet"]
        measured(store, "voice", 60, 1)
        measured(store, "motion", 60, 2)
        toolbox = box(store)
        assert Briefing(toolbox).surveys() == ["- survey (find_voice, find_motion over all of it): at most about 3 s"]
        toolbox.run(call("find_voice"), discard)
        assert Briefing(toolbox).surveys()
        run(toolbox)
        assert Briefing(toolbox).surveys() == [] and "survey" in str(toolbox.schemas()), "it costs nothing, and the tool stays"

    @pytest.mark.parametrize(
        ("wall_s", "told"),
        [(0.02, "0.02 s"), (3.2, "3 s"), (27.0, "30 s"), (48.0, "50 s"), (59.0, "60 s"), (90.0, "90 s"), (150.0, "2:30")],
    )
    def test_costs_are_told_in_round_figures(self, store: Store, wall_s: float, told: str) -> None:
        measured(store, "voice", 60, wall_s)
        assert f"find_voice: about {told} per minute of video" in Briefing(box(store)).costs()


class TestRun:
    def test_one_description_in_time_order(self, store: Store) -> None:
        events, result = run(box(store))
        assert next(type(event).__name__ for event in events) == "ToolStarted"
        assert sum(type(event).__name__ == "ToolStarted" for event in events) == 1 and len(events) > 5
        assert [(line.kind, line.span.start) for line in parse_note_lines(result.text)] == [("motion", 5_000), ("voice", 10_000)]
        assert [line.id for line in parse_note_lines(result.text)] == list(result.note_ids)
        assert result.text.startswith("find_voice, find_motion analyzed 0:00-1:00:\n<notes>")
        assert (result.analyzed_ms, result.reused_ms, result.tool) == (120_000, 0, "survey")

    def test_what_is_on_another_track_is_told_once(self, store: Store) -> None:
        film = FakeVideo(60_000)
        film.other_pictures = [Track(2, "h264", language="eng")]
        store.notes.add_video(film.id, film.name, "", film.duration)
        tools = {name: Tool(fake_spec(FakeAnalyzer([]), name=name, needs="picture")) for name in ("scenes", "motion")}
        result = run(Toolbox(store, [SessionVideo(film.name, film, TimeRange(0, 60_000))], tools))[1]
        told = result.text.split("\n<notes>\n")[0]
        assert told == (
            "find_scenes, find_motion analyzed 0:00-1:00.\nNothing was found there.\n"
            'Not examined, because it is on another track (<notes>"video track 2 (eng)"</notes>): 0:00-1:00.\nFound:'
        )

    def test_again_it_costs_nothing(self, store: Store) -> None:
        toolbox = box(store)
        first = run(toolbox)[1]
        again = run(toolbox)[1]
        assert (again.analyzed_ms, again.reused_ms, again.text) == (0, 120_000, first.text)

    def test_too_much_is_told_in_parts(self, store: Store) -> None:
        measured(store, "text", 600, 1)
        result = run(box(store, every=300))[1]
        assert len(result.text) < 7_000 and "part 12," in result.text and result.note_ids

    def test_within_the_budget(self, store: Store) -> None:
        result = run(box(store), budget_ms=0)[1]
        assert result.analyzed_ms == 0 and {u.reason for u in result.not_examined} == {"budget"}

    def test_what_the_user_declines_is_left_out(self, store: Store) -> None:
        result = run(box(store, 100_000, approve=lambda start: start.tool != "find_voice"))[1]
        assert "find_voice was left out: the user declined this step" in result.text and "motion" in result.text
        assert [line.kind for line in parse_note_lines(result.text)] == ["motion"]

    def test_which_of_several_videos_must_be_named(self, store: Store) -> None:
        toolbox = box(store)
        long = FakeVideo(7_200_000, video_id="long")
        store.notes.add_video(long.id, long.name, "", long.duration)
        toolbox.session_videos[long.name] = SessionVideo(long.name, long, TimeRange(0, long.duration))
        (schema,) = [tool["function"] for tool in toolbox.schemas() if tool["function"]["name"] == "survey"]
        assert schema["parameters"]["properties"]["video"]["enum"] == ["fake.mp4"] and schema["parameters"]["required"] == ["video"]
        assert run(toolbox)[1].text == "Refused: Missing argument 'video'."
        assert Briefing(toolbox).surveys() == ["- survey of fake.mp4 (find_voice, find_motion over all of it): not all measured yet"]

    def test_where_it_is_not_offered_it_is_refused(self, store: Store) -> None:
        refused = run(box(store, 7_200_000))[1].text
        assert "'survey' is not a tool" in refused and "overview, read_notes, search_notes, find_all, query, finish" in refused


def test_an_analyzer_that_cannot_be_loaded_leaves_the_others_running(store: Store) -> None:
    class Unloadable(FakeAnalyzer):
        def analyze(self, video: Any, grains: Any) -> Any:
            raise Unavailable(
                "Finding movement needs 'cv2', which is installed but cannot be loaded: no libGL.", hint="pip install it anew"
            )

    toolbox = box(store)
    toolbox.tools["motion"] = broken = Tool(fake_spec(Unloadable((), kind="motion"), name="motion", grain=10_000))
    toolbox = Toolbox(store, list(toolbox.session_videos.values()), toolbox.tools)
    _, result = run(toolbox)
    assert [line.kind for line in parse_note_lines(result.text)] == ["voice"]
    (refused,) = (toolbox.run(call(broken.spec.tool, ranges=[["0:00", "0:30"]]), discard),)
    assert "cannot run here: Finding movement needs 'cv2'" in refused.text and "install it anew" in refused.text
    left = [one for one in toolbox.unexamined() if one.analyzer == "motion"]
    assert [(one.reason, one.span) for one in left] == [("unavailable", TimeRange(0, 60_000))] and "no libGL" in left[0].detail
