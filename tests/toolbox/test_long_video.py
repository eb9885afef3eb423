"""Long videos: what a step costs in tokens does not grow with the length, and only a part of a long video is looked at for a question."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.answers import build_answer
from analyzer_agent.events import discard
from analyzer_agent.evidence.rendering import examined_text
from analyzer_agent.graph import Agent, Limits, open_saver, outcome_of
from analyzer_agent.llm.rules.call_schedule import LONG_VIDEO_MS, schedule_windows
from analyzer_agent.llm.rules.manager import RulesManager
from analyzer_agent.protocols import Reply
from analyzer_agent.records import Answer, Observation, Unexamined
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, ScriptedModel, call, fake_spec
from analyzer_agent.timeline import TimeRange, clock, total
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.toolbox.analyzer_call import bind_analyzer
from note_lines import parse_note_lines
from toolbox_kit import analyzed

MINUTE, HOUR = 60_000, 3_600_000
ANALYZERS = {
    "speech": ("transcribe_speech", "speech", 120_000),
    "text": ("read_screen_text", "text", 8_000),
    "voice": ("find_voice", "voice", 60_000),
    "motion": ("find_motion", "motion", 60_000),
}
NEEDLES = {"speech": "the captain is called Margaret", "text": "TICKETS COST FORTY", "voice": "voice", "motion": "movement"}


def box(store: Store, duration: int, needles: Mapping[str, int] | None = None) -> Toolbox:
    """Return a toolbox over a made-up video with something every 20 s for each analyzer, and the needles at their times (ms)."""
    film = FakeVideo(duration, video_id=f"film{duration}")
    store.notes.add_video(film.id, film.name, str(film.path), film.duration)
    tools = {}
    for name, (tool, kind, grain) in ANALYZERS.items():
        events = [(TimeRange(at, at + 2_000), f"{name} number {at // 20_000}") for at in range(0, duration, 20_000)]
        if needles and name in needles:
            events.append((TimeRange(needles[name], needles[name] + 3_000), NEEDLES[name]))
        found = FakeAnalyzer(sorted(events), kind=kind)
        tools[name] = Tool(replace(fake_spec(found, name=name, grain=grain), tool=tool))
    return Toolbox(store, [SessionVideo(film.name, film, TimeRange(0, duration))], tools)


def asked(toolbox: Toolbox, model: Any, path: Path, question: str, *options: str) -> Answer:
    limits = Limits()
    with open_saver(str(path)) as saver:
        agent = Agent(toolbox, model, saver, limits)
        return build_answer(outcome_of(agent.ask(question, question, options, 1, discard)), toolbox, model, "t", 0)


class TestSpread:
    @given(st.integers(0, HOUR), st.integers(LONG_VIDEO_MS, 5 * HOUR), st.integers(1, 4), st.integers(2, 9))
    def test_never_more_than_a_quarter_and_nothing_twice(self, start: int, length: int, tools: int, rounds: int) -> None:
        scope, names = TimeRange(start, start + length), [f"tool{n}" for n in range(tools)]
        looks = schedule_windows(scope, names, rounds)
        assert sum(span.length for _, spans in looks for span in spans) <= length // 4
        for name in names:
            mine = [spans for tool, spans in looks if tool == name]
            flat = [span for spans in mine for span in spans]
            assert len(mine) <= rounds and total(flat) == sum(span.length for span in flat)
            assert all(scope.start <= span.start and span.end <= scope.end and span.start % 120_000 == 0 for span in flat)

    def test_coarse_to_fine(self) -> None:
        looks = schedule_windows(TimeRange(0, 3 * HOUR), ["a", "b"], 4)
        assert [(tool, len(spans)) for tool, spans in looks] == [
            ("a", 1),
            ("b", 1),
            ("a", 2),
            ("b", 2),
            ("a", 4),
            ("b", 4),
            ("a", 4),
            ("b", 4),
        ]
        far = sorted(span.start for tool, spans in looks for span in spans if tool == "a")
        gaps = [b - a for a, b in zip([*far], [*far[1:], 3 * HOUR], strict=True)]
        assert max(gaps) <= 3 * HOUR / 4 and far[0] == 0


class TestRulesOnLongVideos:
    QUESTIONS = (
        "What is the captain called?",
        "How much do the tickets cost?",
        "When does something move?",
        "When does somebody speak?",
        "Why?",
    )

    @pytest.mark.parametrize("duration", [30 * MINUTE, 47 * MINUTE, 3 * HOUR])
    @pytest.mark.parametrize("question", QUESTIONS)
    def test_at_most_a_quarter_is_looked_at(self, tmp_path: Path, duration: int, question: str) -> None:
        with Store(tmp_path / "s.db") as store:
            toolbox = box(store, duration)
            answer = asked(toolbox, RulesManager(), tmp_path / "s.db", question)
        assert 0 < answer.usage.media_ms_analyzed <= duration / 4
        assert answer.finished in ("answered", "not_found") and len(answer.steps) <= 11

    def test_it_says_what_was_not_examined(self, tmp_path: Path) -> None:
        with Store(tmp_path / "s.db") as store:
            answer = asked(box(store, 3 * HOUR), RulesManager(), tmp_path / "s.db", "What is the submarine called?")
        assert answer.text.startswith("Not found in the analyzed parts: no note contains enough of the question's words.")
        assert "Analyzed only in parts spread over the video: transcribe_speech 22:00, read_screen_text 22:00 of 3:00:00." in answer.text
        unseen = [u.span for u in answer.not_examined if u.analyzer == "speech"]
        assert total(unseen) == 3 * HOUR - 22 * MINUTE

    def test_a_count_is_at_least(self, tmp_path: Path) -> None:
        with Store(tmp_path / "s.db") as store:
            answer = asked(box(store, 3 * HOUR), RulesManager(), tmp_path / "s.db", "When does something move?")
        assert answer.text.startswith("At least ") and "find_motion 44:00 of 3:00:00" in answer.text
        assert answer.unsupported == (), "its own figures are no made-up times"

    def test_a_needle_in_a_window_is_found_although_not_all_is_shown(self, tmp_path: Path) -> None:
        with Store(tmp_path / "s.db") as store:
            toolbox = box(store, 3 * HOUR, {"speech": 91 * MINUTE})  # in the second window of all: half of the video
            answer = asked(toolbox, RulesManager(), tmp_path / "s.db", "What is the captain called?")
        assert "the captain is called Margaret" in answer.text and answer.usage.media_ms_analyzed <= 12 * MINUTE

    def test_what_is_covered_is_free(self, tmp_path: Path) -> None:
        with Store(tmp_path / "s.db") as store:
            toolbox = box(store, HOUR, {"motion": 59 * MINUTE})
            toolbox.run(call("find_motion", ranges=[[0, 3600]]), discard)
            answer = asked(toolbox, RulesManager(), tmp_path / "s.db", "When does something move?")
        assert answer.usage.media_ms_analyzed == 0 and "Analyzed only in parts" not in answer.text

    def test_a_video_that_is_not_long_is_looked_at_whole(self, tmp_path: Path) -> None:
        with Store(tmp_path / "s.db") as store:
            toolbox = box(store, 29 * MINUTE)
            asked(toolbox, RulesManager(), tmp_path / "s.db", "When does something move?")
            assert total(analyzed(toolbox, "motion")) == 29 * MINUTE


def planted(store: Store, toolbox: Toolbox, every: int) -> int:
    """Store notes of all analyzers over the whole video, one of each every so many ms, without running any."""
    count = 0
    (session_video,) = toolbox.session_videos.values()
    for tool in toolbox.tools.values():
        provenance = bind_analyzer(tool, session_video.video, {}).provenance
        store.notes.add_provenance(provenance)
        for grain in session_video.scope.grains(tool.spec.grain, session_video.scope.end):
            times = [(at, min(at + every // 2, grain.end)) for at in range(grain.start, grain.end, every)]
            kind, name = tool.spec.kinds[0], tool.spec.name
            found = [Observation(TimeRange(a, b), kind, f"{name} of minute {a // MINUTE}, {a}") for a, b in times]
            store.ledger.claim(session_video.video.id, provenance.key, [grain])
            store.ledger.commit(session_video.video.id, provenance.key, grain, 0, (), found, 1)
            count += len(found)
    return count


def tokens(request: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]) -> int:
    return len(json.dumps(request)) // 4


def finish(messages: Sequence[Mapping[str, Any]]) -> Reply:
    shown = parse_note_lines(str(messages[-1]["content"]))[0].id
    return Reply(calls=(call("finish", answer=f"So it is [#{shown}].", notes=[shown], confidence="high", found=True),))


def coarse_to_fine(duration: int) -> ScriptedModel:
    """Return a manager that looks at the overview, then at that of a part, searches, reads and finishes."""

    def part(messages: Sequence[Mapping[str, Any]]) -> Reply:
        return Reply(calls=(call("overview", range=[0, max(60, duration / 12_000)]),))

    steps = [
        call("search_notes", query="minute 0"),
        call("read_notes", range=[0, 60]),
        call("transcribe_speech", ranges=[[0, 20], [30, 50]]),
    ]
    return ScriptedModel(Reply(calls=(call("overview"),)), part, *(Reply(calls=(step,)) for step in steps), finish)


def steps_of(path: Path, duration: int, every: int) -> list[int]:
    with Store(path) as store:
        toolbox = box(store, duration)
        planted(store, toolbox, every)
        model = coarse_to_fine(duration)
        asked(toolbox, model, path, "What is said in minute 0?")
    return [tokens(request) for request in model.requests]


class TestTokens:
    def test_what_failed_here_and_there_is_told_in_short(self) -> None:
        failed = [Unexamined("text", TimeRange(at, at + 8_000), "failed", "damaged") for at in range(0, 3 * HOUR, 16_000)]
        told = examined_text("read_screen_text", [TimeRange(0, 3 * HOUR)], failed, True)
        assert len(told) < 500 and told.count("and 667 more parts") == 2

    @pytest.mark.parametrize("minutes", [30, pytest.param(180, marks=pytest.mark.slow)])
    def test_a_step_costs_the_same_whatever_the_length(self, tmp_path: Path, minutes: int) -> None:
        """At 3 h these are 54,000 notes."""
        short = steps_of(tmp_path / "short.db", MINUTE, 800)
        long = steps_of(tmp_path / "long.db", minutes * MINUTE, 800)
        assert len(short) == len(long) == 6
        assert all(b <= 1.2 * a for a, b in zip(short, long, strict=True)), (short, long)

    @pytest.mark.parametrize("minutes", [30, pytest.param(180, marks=pytest.mark.slow)])
    def test_looking_coarse_to_fine_takes_a_small_part(self, tmp_path: Path, minutes: int) -> None:
        """Speech in windows far apart, what that gave in parts, a search in it, and a close look at the moment that decides."""
        duration = minutes * MINUTE
        needle = duration // 3 + 5_000
        spots = [[clock(at), clock(at + 60_000)] for at in range(0, duration, duration // 3)]

        def close(messages: Sequence[Mapping[str, Any]]) -> Reply:
            (line,) = [line for line in parse_note_lines(str(messages[-1]["content"])) if "captain" in line.text]
            return Reply(calls=(call("read_screen_text", ranges=[[clock(line.span.start), clock(line.span.end)]]),))

        script = [call("transcribe_speech", ranges=spots), call("overview"), call("search_notes", query="captain")]
        model = ScriptedModel(*(Reply(calls=(step,)) for step in script), close, finish)
        with Store(tmp_path / "s.db") as store:
            toolbox = box(store, duration, {"speech": needle, "text": needle})
            answer = asked(toolbox, model, tmp_path / "s.db", "What is on the screen when the captain is named?")
        assert answer.finished == "answered" and 0 < answer.usage.media_ms_analyzed <= duration / 4
