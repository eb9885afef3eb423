"""The manager without a language model, on several videos: which one is meant, and what is said about each."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from analyzer_agent.answers import build_answer
from analyzer_agent.events import discard
from analyzer_agent.graph import Agent, Limits, open_saver, outcome_of
from analyzer_agent.llm.rules.answers import SIGNATURE, count_arguments, count_tracks
from analyzer_agent.llm.rules.manager import RulesManager
from analyzer_agent.llm.rules.video_summary import NEEDS_A_MODEL
from analyzer_agent.protocols import Grain, Spec, Video
from analyzer_agent.records import Answer, Observation, ShownNote
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from rules_kit import EVERYTHING, OFFERED, WHOLE, Ask, Said, about, next_step, note, result, used

HEARD: dict[str, Said] = {"speech": [(1, 3, "The captain is called Margaret.")]}


QUIET: dict[str, Said] = {"speech": [(1, 3, "Nothing of interest.")]}


class TestWhichVideos:
    """Which of several videos hold something: one search where all is known, looks at the others side by side."""

    @pytest.fixture
    def among(self, tmp_path: Path) -> Callable[..., Answer]:
        def asked(question: str, *said: str | None, steps: int = 12, known: bool = True) -> Answer:
            path = tmp_path / "store.db"
            with Store(path) as store, open_saver(str(path)) as saver:
                films = [FakeVideo(60_000, video_id=f"film{n}", sound=np.zeros(16_000, np.float32)) for n in range(len(said))]
                texts = {film.id: text for film, text in zip(films, said, strict=True)}
                found = SaysOfEach(texts)
                tools = {"speech": Tool(Spec("speech", "transcribe_speech", "Hear.", 60_000, lambda options, engine: found, ("speech",)))}
                for film in films:
                    store.notes.add_video(film.id, film.name, str(film.path), film.duration)
                session_videos = [SessionVideo(film.name, film, TimeRange(0, film.duration)) for film in films]
                toolbox = Toolbox(store, session_videos, tools)
                if known:
                    calls = [
                        toolbox.whole_scope_call(tools["speech"], session_video, f"c{n}")
                        for n, session_video in enumerate(session_videos)
                        if texts[session_video.video.id]
                    ]
                    toolbox.scheduler.run(calls, discard)
                limits, model = Limits(steps), RulesManager()
                agent = Agent(toolbox, model, saver, limits)
                return build_answer(outcome_of(agent.ask("t", question, (), 1, discard)), toolbox, model, "t", 0)

        return asked

    SAID = ("The captain sleeps.", "Good morning.", "Ask the captain.", "Good night.")

    @pytest.mark.parametrize(
        "question",
        [
            "Which lectures mention the captain?",
            "Which of these 4 recordings mention the captain?",
            "In which videos is the captain mentioned?",
            "Which of them talk about the captain?",
            "Do any of the clips say captain?",
            "List all recordings that mention the captain",
            "Where is the captain mentioned?",
        ],
    )
    def test_known_videos_take_one_search(self, among: Ask, question: str) -> None:
        answer = among(question, *self.SAID)
        assert answer.text.startswith("Found in 2 of 4 videos: film0.mp4 [#1], film2.mp4 [#3]. ")
        assert [(c.video, c.text) for c in answer.citations] == [("film0.mp4", self.SAID[0]), ("film2.mp4", self.SAID[2])]
        assert used(answer) == ["search_notes"] and answer.confidence == "medium" and answer.finished == "answered"

    def test_only_videos_that_nobody_heard_are_looked_at(self, among: Ask) -> None:
        answer = among("Which lectures mention the captain?", *self.SAID[:2], known=False)
        assert answer.text.startswith("Found in 1 of 2 videos: film0.mp4")
        assert [(s.tool, s.args.get("video")) for s in answer.steps[1:]] == [
            ("transcribe_speech", "film0.mp4"),
            ("transcribe_speech", "film1.mp4"),
        ]

    def test_a_few_steps_reach_all_videos(self, among: Ask) -> None:
        answer = among("Which lectures mention the captain?", *["Good morning."] * 7, "The captain.", steps=4, known=False)
        assert answer.text.startswith("Found in 1 of 8 videos: film7.mp4") and len(answer.steps) == 9

    def test_of_a_library_stored_notes_are_searched_and_what_was_not_examined_is_told(self, among: Ask) -> None:
        answer = among("Which lectures mention the captain?", *["Good morning."] * 39, "The captain.", known=False)
        assert used(answer) == ["search_notes", "find_videos"] and answer.finished != "answered"
        assert "Not examined, or only in part: 40 of 40 videos (film0.mp4, film1.mp4, film2.mp4 and 37 more)." in answer.text

    def test_what_was_not_examined_is_told(self, among: Ask) -> None:
        answer = among("Which lectures mention the captain?", *self.SAID, steps=2, known=False)
        assert answer.finished == "out_of_steps" and answer.confidence == "low"
        assert "Not examined, or only in part: 4 of 4 videos (film0.mp4, film1.mp4, film2.mp4 and 1 more)." in answer.text

    def test_nowhere(self, among: Ask) -> None:
        answer = among("Which lectures mention an orchestra?", *self.SAID)
        assert answer.text.startswith("Not found in any of the 4 videos.") and answer.finished == "not_found"

    def test_more_notes_than_a_search_shows(self, among: Ask) -> None:
        answer = among("Which lectures mention the captain?", *["The captain sleeps."] * 30)
        assert answer.text.startswith("Found in 30 of 30 videos") and len(answer.citations) == 30

    def test_a_question_that_names_nothing_else_is_no_search_for_videos(self, among: Ask) -> None:
        assert "of 2 videos" not in among("Which video is it?", *self.SAID[:2]).text


class SaysOfEach(FakeAnalyzer):
    """Hears in each video what it is told to, at its first second."""

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        super().__init__([], kind="speech")
        self.texts = texts

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        for grain in grains:
            text = self.texts[video.id]
            yield grain, [Observation(TimeRange(0, 1000), "speech", text)] if text and grain.span.start == 0 else []


class TestAbout:
    @pytest.mark.parametrize(
        "question",
        [
            "What is this video about?",
            "What's it about?",
            "What is the lecture all about?",
            "Summarize the video",
            "Please give me a short summary.",
            "tl;dr",
            "What happens in this clip?",
            "What is going on?",
            "Describe the video",
            "What are the main points?",
            "What kind of video is this?",
        ],
    )
    def test_the_parts_and_what_a_summary_takes(self, ask: Ask, question: str) -> None:
        answer = ask(question, **EVERYTHING)
        assert answer.text.startswith("In parts, by the words that set each apart:\n1. ")
        assert NEEDS_A_MODEL in answer.text and answer.text.endswith(SIGNATURE)
        assert (answer.finished, answer.confidence, answer.unsupported) == ("answered", "low", ())
        assert 1 <= len(answer.citations) <= 6
        assert used(answer) == ["overview", "read_subtitles", "overview"]

    @pytest.mark.parametrize(
        "question", ["What does the captain say about fish?", "Summarize the price", "What happens after lunch?", "Describe the harbour"]
    )
    def test_what_asks_for_more_is_searched_for(self, ask: Ask, question: str) -> None:
        assert used(ask(question, **EVERYTHING))[0] == "search_notes"

    def test_several_videos_one_line_each(self, ask: Ask) -> None:
        answer = ask("What are these about?", videos=2, **HEARD)
        assert "film0.mp4: called, captain, margaret [#" in answer.text and "film1.mp4: " in answer.text

    def test_nothing_to_tell(self, ask: Ask) -> None:
        answer = ask("Summarize this", speech=[])
        assert answer.finished == "not_found" and NEEDS_A_MODEL in answer.text


def tracked(*spans: tuple[float, float]) -> list[ShownNote]:
    return [note(n, round(a * 1000), round(b * 1000), "track", "person") for n, (a, b) in enumerate(spans, 1)]


class TestCounting:
    def test_different_ones_and_the_most_at_one_time(self) -> None:
        lines = tracked((0, 4), (2, 6), (8, 9))
        told = count_tracks(lines, lines)
        assert told is not None and (len(told.lines), told.most, told.clear) == (3, 2, 3)
        given = count_arguments(("How many people are there?"), told)
        assert given["answer"].startswith("3 people, at most 2 at the same time [#1][#2][#3]. ")
        assert (given["notes"], given["confidence"]) == ([1, 2, 3], "medium")
        assert told.number("How many people at once?") == 2 and told.number("How many people?") == 3

    def test_weak_detections_make_it_doubtful(self) -> None:
        lines = tracked((0, 4), (2, 6))
        told = count_tracks(lines, lines[:1])
        assert told is not None
        given = count_arguments("How many people are there?", told)
        assert "1 of them was detected with little confidence" in given["answer"] and given["confidence"] == "low"

    def test_the_counting_tool_is_used_where_it_is_offered(self) -> None:
        tools = [*OFFERED, "count_objects"]
        asked = "How many people are there?"
        (first,) = next_step(about(asked), tools).calls
        done = [result(tool=first.name, args=json.loads(first.arguments))]
        calls = [(c.name, json.loads(c.arguments)) for c in next_step(about(asked, *done), tools).calls]
        whole = WHOLE | {"classes": ["person"]}
        assert calls[0] == ("count_objects", whole)
        seen = [note(7, 1_000, 4_000, "track", "person"), note(9, 2_000, 5_000, "track", "person")]
        done += [result(*seen, tool="count_objects", args=whole)]
        done += [result(seen[0], tool="count_objects", args=whole | {"min_score": 0.65})]
        (last,) = next_step(about(asked, *done), tools).calls
        given = json.loads(last.arguments)
        assert last.name == "finish" and given["notes"] == [7, 9] and given["confidence"] == "low"
        assert given["answer"].startswith("2 people, at most 2 at the same time [#7][#9]. ")
