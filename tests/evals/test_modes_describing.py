"""Descriptions: shots as headings, everything in time order under an id that exists, thinned by a rule that is stated."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer_agent.evals.modes import Description, describe
from analyzer_agent.evals.modes.summarizer import shots_between_samples
from analyzer_agent.events import discard
from analyzer_agent.protocols import Grain, Spec
from analyzer_agent.records import JSON, Observation
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from cli_kit import Cli, talk
from note_lines import parse_note_lines

Said = Sequence[tuple[float, float, str]]


class Cuts(FakeAnalyzer):
    """Shots that begin at the given seconds, as the analyzer of scenes stores them."""

    def __init__(self, *at: float) -> None:
        super().__init__([], kind="scene")
        self.at = [round(a * 1000) for a in at]

    def analyze(self, video: Any, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        for grain in grains:
            edges = [*self.at, grain.span.end]
            yield grain, [self._shot(a, b, grain.span.end) for a, b in pairwise(edges)]

    def _shot(self, a: int, b: int, end: int) -> Observation:
        marks: dict[str, JSON] = {"cut": True, "rate": "25", "first": a == 0, "last": b == end, "until": b}
        return Observation(TimeRange(a, b), "scene", "shot", None, marks)


class Scored(FakeAnalyzer):
    """Finds each event with the score that its text ends with."""

    def analyze(self, video: Any, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        for grain in grains:
            spans = [(event, text) for event, text in self.events if event.within(grain.span)]
            yield grain, [Observation(event, self.kind, text, float(text.split()[-1])) for event, text in spans]


def finds(name: str, kind: str, said: Said, duration: int = 60_000, analyzer: type[FakeAnalyzer] = FakeAnalyzer) -> Tool:
    events = [(TimeRange(round(a * 1000), round(b * 1000)), text) for a, b, text in said]
    return Tool(fake_spec(analyzer(events, kind=kind), name=name, grain=duration))


Make = Callable[..., Toolbox]


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Make]:
    stores: list[Store] = []

    def make(*tools: Tool, videos: int = 1, duration: int = 60_000, run: bool = True) -> Toolbox:
        stores.append(store := Store(tmp_path / f"{len(stores)}.db"))
        films = [FakeVideo(duration, video_id=f"film{n}") for n in range(videos)]
        for film in films:
            store.notes.add_video(film.id, film.name, str(film.path), film.duration)
        session_videos = [SessionVideo(film.name, film, TimeRange(0, film.duration)) for film in films]
        toolbox = Toolbox(store, session_videos, {tool.spec.name: tool for tool in tools})
        if run:
            look(toolbox)
        return toolbox

    yield make
    for store in stores:
        store.close()


def look(toolbox: Toolbox) -> None:
    for tool in toolbox.offered:
        for session_video in toolbox.session_videos.values():
            toolbox.run(toolbox.whole_scope_call(tool, session_video, "c"), discard)


def scenes(*at: float) -> Tool:
    analyzer = Cuts(*at)
    return Tool(Spec("scenes", "find_scenes", "Find shots.", 60_000, lambda options, engine: analyzer, ("scene",)))


def texts(told: Description) -> list[str]:
    return told.text.split("\n")


def test_shots_are_headings_and_repeats_are_folded_within_them(boxes: Make) -> None:
    speech = finds("speech", "speech", [(1, 3, "Good morning."), (11, 12, "It costs forty."), (21, 22, "It costs forty.")])
    objects = finds("objects", "object", [(2, 3, "2 persons"), (5, 6, "2 persons"), (12, 14, "2 persons"), (13, 15, "1 dog")])
    assert texts(describe(boxes(scenes(0, 10, 20), speech, objects))) == [
        '#1 0:00-0:10 scene (10 s) "shot 1"',
        '#4 0:01-0:03 speech "Good morning."',
        '#7 0:02-0:03 object "2 persons" again at 0:05-0:06',
        "",
        '#2 0:10-0:20 scene (10 s) "shot 2"',
        '#5 0:11-0:12 speech "It costs forty."',
        '#9 0:12-0:14 object "2 persons"',
        '#10 0:13-0:15 object "1 dog"',
        "",
        '#3 0:20-1:00 scene (40 s) "shot 3"',
        '#6 0:21-0:22 speech "It costs forty."',
    ]


def test_all_times_are_told_for_nobody_can_ask_for_more(boxes: Make) -> None:
    told = describe(boxes(finds("objects", "object", [(2 * n, 2 * n + 1, "1 dog") for n in range(6)])))
    assert told.text == '#1 0:00-0:01 object "1 dog" again at 0:02-0:03, 0:04-0:05, 0:06-0:07, 0:08-0:09, 0:10-0:11'
    many = describe(boxes(finds("objects", "object", [(n, n + 0.5, "1 dog") for n in range(50)]))).text
    assert many.endswith("0:40-0:40.5 and 9 more times until 0:49.5")


def test_in_brief_what_says_little_is_left_out(boxes: Make) -> None:
    objects = finds("objects", "object", [(2, 3, "dog 0.9"), (5, 6, "sink 0.3")], analyzer=Scored)
    tracks = finds("tracks", "track", [(2, 3, "person 0.4")], analyzer=Scored)
    voice, speech = finds("voice", "voice", [(0, 4, "voice"), (10, 12, "voice")]), finds("speech", "speech", [(1, 3, "Good morning.")])
    toolbox = boxes(objects, tracks, voice, speech)
    told = [line.runs[0].text for line in describe(toolbox, brief=True).lines]
    assert told == ["Good morning.", "dog 0.9", "person 0.4", "voice"] and len(describe(toolbox).lines) == 5


def test_shots_between_the_samples_are_told(boxes: Make) -> None:
    sign = Tool(fake_spec(FakeAnalyzer([(TimeRange(0, 60_000), "EXIT")], kind="text"), name="text", step=4_000, needs="picture"))
    assert shots_between_samples(boxes(scenes(0, 5, 8.5, 11.5), sign)) == "text 0:08.5-0:11.5"
    assert shots_between_samples(boxes(scenes(0, 4, 7.5), sign)) == ""


def test_several_videos_are_told_one_after_the_other_by_name(boxes: Make) -> None:
    told = describe(boxes(finds("text", "text", [(1, 3, "EXIT")]), videos=2))
    assert texts(told) == ['#1 film0.mp4 0:01-0:03 text "EXIT"', '#2 film1.mp4 0:01-0:03 text "EXIT"']


def test_only_some_analyzers(boxes: Make) -> None:
    toolbox = boxes(finds("text", "text", [(1, 3, "EXIT")]), finds("speech", "speech", [(1, 3, "Out.")]))
    assert texts(describe(toolbox, ["speech"])) == ['#2 0:01-0:03 speech "Out."']
    assert texts(describe(toolbox, ["speech"], covered=True)) == ['#2 0:01-0:03 speech "Out."']


def test_what_was_asked_before_does_not_change_it(boxes: Make) -> None:
    sign = FakeAnalyzer([(TimeRange(0, 60_000), "EXIT"), (TimeRange(1000, 1900), "BRIEF")], kind="text")
    tool = Tool(fake_spec(sign, name="text", step=4_000))
    fine = boxes(tool, run=False)
    call = fine.whole_scope_call(tool, fine.session_videos["film0.mp4"], "fine", every=0.5)
    fine.run(call, discard)
    look(fine)
    seen = [(line.runs[0].span, line.runs[0].text) for line in describe(fine).lines]
    assert seen == [(TimeRange(0, 60_000), "EXIT")]
    assert seen == [(line.runs[0].span, line.runs[0].text) for line in describe(boxes(tool)).lines]
    assert "BRIEF" in describe(fine, covered=True).text


class TestThinned:
    def test_the_best_of_neighbours_stays_and_the_text_says_so(self, boxes: Make) -> None:
        motion = finds("motion", "motion", [(n, n + 1, f"m {(n * 7 % 10) / 10}") for n in range(8)], analyzer=Scored)
        speech = finds("speech", "speech", [(n, n + 0.5, f"word{n}.") for n in range(8)])
        toolbox = boxes(motion, speech)
        whole = describe(toolbox)
        assert whole.thinned == "" and len(whole.lines) == 16
        half = describe(toolbox, tokens=(len(whole.text) - 1) // 4)
        assert half.thinned == (
            "Thinned to fit: of each 2 neighbouring notes of a kind the one with the highest score is told; "
            "of speech and subtitles all are told"
        )
        assert [line.runs[0].text for line in half.lines if line.runs[0].kind == "motion"] == ["m 0.7", "m 0.4", "m 0.8", "m 0.9"]
        assert sum(line.runs[0].kind == "speech" for line in half.lines) == 8

    def test_words_go_last(self, boxes: Make) -> None:
        toolbox = boxes(finds("speech", "speech", [(n, n + 0.5, f"word{n}.") for n in range(50)]), finds("text", "text", [(1, 2, "EXIT")]))
        told = describe(toolbox, tokens=200)
        assert len(told.text) <= 800 and told.thinned.endswith("of speech and subtitles one of each 4 is told")
        assert len(told.lines) == 14

    def test_one_note_of_each_kind_always_stays(self, boxes: Make) -> None:
        toolbox = boxes(finds("speech", "speech", [(n, n + 0.5, f"word{n}.") for n in range(50)]), finds("text", "text", [(1, 2, "EXIT")]))
        assert [line.runs[0].kind for line in describe(toolbox, tokens=1).lines] == ["speech", "text"]


EVENTS = st.lists(st.tuples(st.integers(0, 58_000), st.integers(1, 2_000), st.sampled_from(["a", "b", "c d"])), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.sets(st.integers(1, 59), max_size=4),
    found=st.dictionaries(st.sampled_from(["speech", "text", "object", "caption"]), EVENTS, max_size=3),
    tokens=st.none() | st.integers(1, 300),
)
def test_lines_stand_in_time_order_under_ids_that_exist(
    boxes: Make, cuts: set[int], found: Mapping[str, list[tuple[int, int, str]]], tokens: int | None
) -> None:
    tools = [finds(kind, kind, [(a / 1000, (a + n) / 1000, text) for a, n, text in events]) for kind, events in found.items()]
    toolbox = boxes(scenes(0, *sorted(cuts)), *tools)
    told = describe(toolbox, tokens=tokens)
    starts = [line.runs[0].span.start for line in told.lines]
    assert starts == sorted(starts)
    notes = toolbox.store.notes.get(line.id for line in told.lines)
    assert [notes[line.id].span.start for line in told.lines] == starts
    read = parse_note_lines(told.text)
    assert [(line.id, line.span, line.kind) for line in read] == [(n.id, n.runs[0].span, n.runs[0].kind) for n in told.lines]
    kinds = [line.runs[0].kind for line in told.lines]
    assert tokens is None or told.thinned or len(told.text) <= tokens * 4 or len(set(kinds)) == len(kinds), "one of a kind always stays"
    if not told.thinned:
        everything = {note.id for run in toolbox.reader.merged_notes("film0", TimeRange(0, 60_000)) for note in run.notes}
        assert {note.id for line in told.lines for run in line.runs for note in run.notes} == everything


class TestCommand:
    @pytest.fixture
    def cli(self, tmp_path: Path) -> Cli:
        return Cli(tmp_path)

    @pytest.fixture
    def video(self, tmp_path: Path) -> Path:
        return talk(tmp_path / "talk.mp4")

    WITH = ("--with", "scenes,subtitles")
    TEXT = (
        '#1 0:00-0:02 scene (2 s) "shot 1"\n#2 0:00.1-0:00.9 subtitle "Good morning everybody."\n'
        '#3 0:01-0:01.8 subtitle "One basket of fish costs forty dollars."\n'
    )

    def test_the_description_is_all_that_goes_to_stdout(self, cli: Cli, video: Path) -> None:
        result = cli("describe", video, *self.WITH)
        assert result.stdout == self.TEXT and "find_scenes" in result.stderr
        again = cli("describe", video, *self.WITH)
        assert again.stdout == self.TEXT and "nothing new" in again.stderr

    def test_what_is_covered(self, cli: Cli, video: Path) -> None:
        nothing = cli("describe", video, "--covered")
        assert nothing.stdout == "" and nothing.stderr == "No notes on talk.mp4.\n"
        cli("describe", video, *self.WITH)
        known = cli("describe", video, "--covered")
        assert known.stdout == self.TEXT and known.stderr == ""

    def test_a_part(self, cli: Cli, video: Path) -> None:
        assert cli("describe", video, "--with", "subtitles", "--from", "0.95").stdout == self.TEXT.split("\n")[2].replace("#3", "#2") + "\n"

    def test_thinned(self, cli: Cli, video: Path) -> None:
        shown = cli("describe", video, *self.WITH, "--max-tokens", "25").stdout
        first, empty, *lines = shown.split("\n")
        assert first.startswith("Thinned to fit: ") and first.endswith("; of speech and subtitles one of each 2 is told.") and empty == ""
        assert lines == [*self.TEXT.split("\n")[:2], ""]

    def test_as_an_object(self, cli: Cli, video: Path) -> None:
        given_ = cli.json("describe", video, *self.WITH, "--json")
        assert (given_["video"], given_["start"], given_["end"], given_["thinned"]) == ("talk.mp4", 0.0, 2.0, "")
        assert given_["text"] + "\n" == self.TEXT and given_["not_examined"] == []
        assert given_["lines"][2] == {
            **{"id": 3, "kind": "subtitle", "analyzer": "subtitles", "start": 1.0, "end": 1.8, "score": None, "uncertain": False},
            **{"text": "One basket of fish costs forty dollars.", "again": []},
        }
        covered = cli.json("describe", video, "--covered", "--with", "motion", "--json")
        assert covered["lines"] == [] and [u["analyzer"] for u in covered["not_examined"]] == ["motion"]

    @pytest.mark.parametrize("more", [[], ["--covered"]])
    def test_unknown_analyzers(self, cli: Cli, video: Path, more: list[str]) -> None:
        said = cli("describe", video, "--with", "speach", *more, code=1)
        assert said.stdout == "" and said.stderr.startswith("Error: Unknown analyzer 'speach'.\nHint: Did you mean 'speech'? ")

    def test_an_analyzer_that_does_not_apply(self, cli: Cli, tmp_path: Path) -> None:
        silent = talk(tmp_path / "silent.mp4", sound=False)
        said = cli("describe", silent, "--with", "subtitles,voice", code=1)
        assert len(said.stdout.splitlines()) == 2 and "silent.mp4 has no sound, so voice has nothing" in said.stderr

    def test_a_mode_in_the_environment_is_for_questions(self, cli: Cli, video: Path) -> None:
        assert json.loads(cli("describe", video, *self.WITH, "--json", ANALYZER_AGENT_MODE="frames").stdout)["lines"]
        cli("index", video, "--with", "subtitles", ANALYZER_AGENT_MODE="blind")
