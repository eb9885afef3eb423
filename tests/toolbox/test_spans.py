"""The spans of what is sampled: no further than what was seen, and never over a cut."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from analyzer_agent.evidence.tracks import seen_span
from analyzer_agent.records import JSON, Note, Observation
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from graph_kit import calls, says, talking
from toolbox_kit import CLASSES, Detector, boxed, done, finds


class Cuts(FakeAnalyzer):
    """Finds prepared shots."""

    def _pieces(self, grain: Any) -> Any:
        for event, text in self.events:
            if piece := event.within(grain.span):
                yield Observation(piece, "scene", text, None, {"cut": piece.start == event.start, "frame": 0})


def cut_at(*times: int) -> Tool:
    edges = [0, *times, 60_000]
    shots = [(TimeRange(start, end), "") for start, end in pairwise(edges)]
    return Tool(fake_spec(Cuts(shots, kind="scene"), name="scenes"))


def told(result: Any) -> list[str]:
    return [f"{note.span} {note.text}" for note in result.shown]


def test_a_sample_does_not_run_over_the_cut_after_it(store: Store) -> None:
    box = boxed(
        store, finds((0, 36_600, "1 dog"), (40_000, 60_000, "a sign"), step=16_000, grain=16_000, kind="object"), cut_at(36_600, 50_000)
    )
    look = call("find_fake", ranges=[["0:00", "1:00"]])
    assert told(done(box, look)) == ["0:00-0:48 1 dog", "0:48-1:00 a sign"], "without cuts nobody knows better"
    done(box, call("find_scenes", ranges=[["0:00", "1:00"]]))
    for again in (look, call("read_notes", range=["0:00", "1:00"], kinds=["object"])):
        assert told(done(box, again)) == ["0:00-0:36.6 1 dog", "0:48-0:50 a sign"]
    between = done(box, call("find_fake", ranges=[["0:40", "0:47"]]))
    assert between.shown == () and "No frame was looked at there, as one is every 16 s" in between.text
    (dog, _) = done(box, look).note_ids
    assert box.evidence([dog])[dog].span == TimeRange(0, 36_600), "a citation has the same span"


def test_a_change_that_begins_no_shot_ends_no_note(store: Store) -> None:
    box = boxed(store, finds((0, 30_000, "1 dog"), step=16_000, grain=16_000, kind="object"), cut_at(80))
    for name in ("find_scenes", "find_fake"):
        done(box, call(name, ranges=[["0:00", "1:00"]]))
    assert told(done(box, call("read_notes", range=["0:00", "1:00"], kinds=["object"]))) == ["0:00-0:32 1 dog"]


def test_the_time_of_a_repeat_cites_the_repeat(tmp_path: Path) -> None:
    bottles = finds((0, 2_000, "3 bottle"), (10_000, 12_000, "3 bottle"), (20_000, 22_000, "3 bottle"), step=1_000, kind="object")
    look = calls(call("find_fake", ranges=[["0:00", "1:00"]]))
    with talking(tmp_path) as talks:
        talk = talks(look, says("Again at 0:10 [#1 0:10-0:12].", [1]), tools=[bottles])
        answer = talk.ask()
        assert [str(cited.span) for cited in answer.citations] == ["0:10-0:12"] and answer.unsupported == ()
        judge = calls(call("judge", sufficient=True, missing=""))
        talk = talks(look, says("Three at all of them [#1].", [1], claim="all"), judge, tools=[bottles], verify="always")
        talk.ask()
        assert "The text of #1 was also found at 0:10-0:12, 0:20-0:22." in str(talk.sent(2)[-1]["content"])
        talk = talks(look, says("All [#1] [#1 0:10-0:12] [#1 0:20-0:22].", claim="all"), judge, tools=[bottles], verify="always")
        talk.agent.ask("other", "How many?", (), 1, talk.events.append)
        assert "was also found" not in str(talk.sent(2)[-1]["content"]), "what is cited is not told again"


def test_what_is_not_sampled_and_what_is_seen_on_both_sides_stays_whole(store: Store) -> None:
    box = boxed(store, finds((0, 30_000, "A TITLE")), finds((0, 30_000, "1 dog"), name="dogs", step=2_000, kind="object"), cut_at(10_000))
    for name in ("find_fake", "find_dogs", "find_scenes"):
        done(box, call(name, ranges=[["0:00", "1:00"]]))
    assert told(done(box, call("read_notes", range=["0:00", "1:00"], kinds=["text", "object"]))) == ["0:00-0:30 A TITLE", "0:00-0:30 1 dog"]


def piece(start: int, end: int, **detail: Any) -> Note:
    given = {"grain": [0, 8_000], "seen": 4, "boxes": [], **detail}
    return Note(1, "fake", "tracks", "k", Observation(TimeRange(start, end), "track", "person", 0.9, given))


def test_a_track_is_seen_until_its_last_frame() -> None:
    assert seen_span([piece(1_000, 3_500)]) == TimeRange(1_000, 3_251)
    assert seen_span([piece(1_000, 3_400)]) == TimeRange(1_000, 3_251), "cut at the end of the picture"
    assert seen_span([piece(1_000, 4_000, step=500)]) == TimeRange(1_000, 3_501)
    assert seen_span([Note(1, "fake", "x", "k", Observation(TimeRange(0, 9), "text", "x"))]) is None


class Tracker(FakeAnalyzer):
    """Finds prepared tracks, each in one grain."""

    def _pieces(self, grain: Any) -> Any:
        for event, text in self.events:
            if grain.span.start <= event.start < grain.span.end:
                detail: dict[str, Any] = {"grain": [grain.span.start, grain.span.end], "seen": 4, "step": 250, "boxes": []}
                yield Observation(event, "track", text, 0.9, detail)


def counted(store: Store, events: Sequence[tuple[int, int]], start: float) -> str:
    tracks = Tracker([(TimeRange(*span), "person") for span in events], kind="track")
    return done(boxed(store, Tool(fake_spec(tracks))), call("find_fake", ranges=[[start, 8]])).text


def test_what_ends_before_the_asked_range_is_not_counted(store: Store) -> None:
    events = [(1_000, 3_500), (2_000, 7_000)]
    assert "Counted: 2 person" in counted(store, events, 3.2)
    assert "Counted: 1 person" in counted(store, events, 3.3), "the first one was last seen at 0:03.25"


def test_nothing_of_a_class_tells_what_was_found_instead(store: Store) -> None:
    def select(o: Observation, filters: Any) -> Observation | None:
        return o if not filters.get("classes") or o.text in filters["classes"] else None

    events = [(TimeRange(0, 3_000), "cell phone"), (TimeRange(4_000, 5_000), "person"), (TimeRange(5_000, 6_000), "cell phone")]
    box = boxed(store, Tool(fake_spec(Detector(events, kind="object"), name="objects", filters_schema=CLASSES, select=select)))
    text = done(box, call("find_objects", ranges=[[0, 8]], classes=["dog"])).text
    assert "Nothing was found there of dog; found there: cell phone, person:\n<notes>" in text
    assert "found there: nothing else" in done(box, call("find_objects", ranges=[[10, 20]], classes=["dog"])).text


class Heard(FakeAnalyzer):
    """Hears one word a second."""

    def _pieces(self, grain: Any) -> Any:
        for event, text in self.events:
            if grain.span.start <= event.start < grain.span.end:
                words: JSON = [[word, event.start + n * 1_000, event.start + n * 1_000 + 800, 0.9] for n, word in enumerate(text.split())]
                yield Observation(event, "speech", text, 0.9, {"words": words})


def test_words_are_read_with_their_times(store: Store) -> None:
    said = [(TimeRange(n * 8_000, n * 8_000 + 8_000), "one two three four five six seven eight") for n in range(7)]
    box = boxed(store, Tool(fake_spec(Heard(said, kind="speech"))), finds((2_000, 3_000, "A sign"), name="signs"))
    for name in ("find_fake", "find_signs"):
        done(box, call(name, ranges=[["0:00", "1:00"]]))
    read = done(box, call("read_notes", range=["0:01", "0:03.5"], detail="words"))
    assert 'seven eight" words: two@0:01 three@0:02 four@0:03\n' in read.text and 'text "A sign"\n' in read.text
    assert "words:" not in done(box, call("read_notes", range=["0:01", "0:03.5"])).text
    many = boxed(store, Tool(fake_spec(Heard([(at, "x" * 900) for at, _ in said], kind="speech"), name="long")))
    done(many, call("find_long", ranges=[["0:00", "1:00"]]))
    cut = done(many, call("read_notes", range=["0:00", "1:00"], kinds=["speech"], detail="words"))
    assert "more; narrow the range" in cut.text and len(cut.note_ids) < 14


def test_the_first_of_a_sampled_thing_begins_between_two_samples(tmp_path: Path) -> None:
    with talking(tmp_path) as make:
        seen = finds((13_500, 21_000, "EXIT"), step=2_000)
        look = calls(call("find_fake", ranges=[["0:00", "1:00"]]))
        (first,) = make(look, says("EXIT [#1].", claim="first"), tools=[seen]).ask().citations
        assert (first.between, first.times) == (TimeRange(12_000, 14_000), "0:14-0:22 (begins between 0:12 and 0:14)")
        last = make(look, says("EXIT [#1].", claim="last"), tools=[seen]).ask()
        assert last.citations[0].times == "0:14-0:22 (ends between 0:20 and 0:22)"
        assert last.to_dict()["citations"][0]["between"] == {"start": 20.0, "end": 22.0}
        (other,) = make(look, says("EXIT [#1].", claim="some"), tools=[seen]).ask().citations
        assert other.between is None and other.times == "0:14-0:22"


def test_a_refusal_names_every_class(store: Store) -> None:
    class Weights(Detector):
        known = tuple(f"class {n}" for n in range(80))  # type: ignore[assignment]

    box = boxed(store, Tool(fake_spec(Weights([], kind="object"), name="objects", filters_schema=CLASSES)))
    text = done(box, call("find_objects", ranges=[[0, 8]], classes=["dog"])).text
    assert all(f"class {n}" in text for n in range(80))
