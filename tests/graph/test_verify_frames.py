"""A judge that sees is shown the cited frames, tells what is there, and then judges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.records import Note, Observation
from analyzer_agent.testing import call
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox.cited_frames import cited_pictures
from graph_kit import Make, calls, says, talking
from toolbox_kit import finds


class Album:
    """Makes pictures that say what is on them."""

    def part(self, video: Any, times: Sequence[int], region: Any) -> Mapping[str, Any] | None:
        return {"type": "image_url", "image_url": {"url": f"{video.id} {list(times)}"}}


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


LOOK = calls(call("find_fake", ranges=[["0:00", "1:00"]]))
SIGN = finds((3_000, 9_000, "EXIT"), step=1_000, kind="caption")
JUDGED = calls(call("judge", seen="A sign.", sufficient=True, missing=""))


def judge(talk: Any) -> tuple[Any, Any, Any]:
    messages, tools = talk.model.requests[-1][:2]
    return messages[0]["content"], messages[1]["content"], tools[0]["function"]["parameters"]


def test_it_sees_the_cited_frames_and_first_says_what_is_there(talks: Make) -> None:
    talk = talks(LOOK, says("EXIT [#1]."), JUDGED, tools=[SIGN], verify="always", pictures=Album())
    assert talk.ask().missing is None
    rules, asked, schema = judge(talk)
    assert 'First say in "seen"' in rules and next(iter(schema["properties"])) == "seen" and "seen" in schema["required"]
    shown = [part.get("text", part.get("image_url", {}).get("url")) for part in asked[1:]]
    assert shown == ["#1 0:04", "fake [4000]", "#1 0:07", "fake [7000]"]
    assert "EXIT" in asked[0]["text"]


def test_the_words_of_the_draft_are_no_evidence_for_it(talks: Make) -> None:
    view, end = calls(call("view", ranges="0:04")), says("A whale is shown [#1].")
    talk = talks(view, end, JUDGED, tools=[SIGN], verify="always", pictures=Album())
    talk.ask()
    asked = judge(talk)[1]
    cited = asked[0]["text"].partition("Cited notes:")[2]
    assert '"seen in its frames"' in cited and "whale" not in cited and asked[2]["image_url"]["url"] == "fake [4000]"


def test_a_range_between_two_frames_of_a_sheet_shows_both(talks: Make) -> None:
    view, end = calls(call("view", ranges="0:04-0:12", every=2, sheet=True)), says("A hand takes it [#1 0:06-0:10].")
    talk = talks(view, end, JUDGED, tools=[SIGN], verify="always", pictures=Album())
    talk.ask()
    assert judge(talk)[1][2]["image_url"]["url"] == "fake [6000, 8000, 10000]"


def test_a_claim_on_all_is_judged_with_what_was_viewed_for_the_question(talks: Make) -> None:
    view, end = calls(call("view", ranges="0:00-1:00", every=2, sheet=True)), says("No hand takes it [#1] [#2].", claim="count")
    talk = talks(view, end, JUDGED, tools=[SIGN], verify="always", pictures=Album())
    talk.ask()
    assert "Frames viewed for this question: all of it every 2 s." in judge(talk)[1][0]["text"]


def test_a_named_moment_is_shown_at_its_middle(talks: Make) -> None:
    talk = talks(LOOK, says("EXIT [#1 0:05-0:06]."), JUDGED, tools=[SIGN], verify="always", pictures=Album())
    talk.ask()
    assert [part["text"] for part in judge(talk)[1] if part["type"] == "text"][1:] == ["#1 0:05.5"]


@pytest.mark.parametrize(
    ("tool", "more"), [(SIGN, {}), (finds((0, 9_000, "so"), kind="speech"), {"pictures": Album()})], ids=["blind", "heard"]
)
def test_without_pictures_it_is_asked_in_words_alone(talks: Make, tool: Any, more: dict[str, Any]) -> None:
    talk = talks(LOOK, says("EXIT [#1]."), JUDGED, tools=[tool], verify="always", **more)
    talk.ask()
    rules, asked, schema = judge(talk)
    assert isinstance(asked, str) and "seen" not in schema["properties"] and "frames from the cited times" not in rules


def run(number: int, kind: str, *starts: int, **detail: Any) -> MergedNote:
    notes = tuple(Note(number, "v", "x", "k", Observation(TimeRange(at, at + 1_000), kind, "x", None, detail)) for at in starts)
    return MergedNote(notes, TimeRange(starts[0], starts[-1] + 1_000), "x", None)


def test_few_frames_of_each_note_and_those_that_a_look_was_shown() -> None:
    many = [run(n, "object", *range(20_000 * n, 20_000 * n + 20_000, 1_000)) for n in range(9)]
    assert [one.times for one in cited_pictures(many[:1])] == [(5_000,), (15_000,)]
    (sheet,) = cited_pictures(many)
    assert sheet.times == tuple(20_000 * n + 5_000 for n in range(9)), "one of each, small ones on a sheet"
    assert sheet.label.startswith("#0 with #1, #2, #3, #4, #5, #6, #7, #8 a sheet of 9 frames: 0:05, 0:25, ")
    (few,) = cited_pictures(many[:3])
    assert few.times == (5_000, 15_000, 25_000, 45_000), "a second one where there are few"
    assert len(cited_pictures([*many[:1], run(9, "text", *range(0, 20_000, 1_000))])) == 2, "what two notes rest on is shown once"
    close_ups = [run(n, "look", n * 1_000, frames=[n * 1_000]) for n in range(20, 25)]
    assert [one.number for one in cited_pictures([*many, *close_ups])] == [20, 21, 22, 23, 24, 0], "what was looked at stays as it was seen"
    looked = run(1, "look", 0, frames=[200, 400, 600, 800])
    assert [one.times for one in cited_pictures([looked])] == [(200, 400, 600, 800)], "what happens is seen on the sheet"
    assert [one.times for one in cited_pictures([looked], [(1, 300, 700)])] == [(400, 600)]
    assert [one.times for one in cited_pictures([looked], [(1, 400, 800)])] == [(400, 600, 800)], "a range names its last frame, too"
    sure, doubtful = (replace(run(3, "text", 5_000), score=score) for score in (0.95, 0.8))
    assert cited_pictures([sure]) == [] and len(cited_pictures([doubtful])) == 1, "what was surely read needs no picture"
    close = run(2, "motion", 0)
    assert len(cited_pictures([run(1, "look", 0, frames=[20]), close])) == 1, "nor is what looks the same"
    assert cited_pictures([run(2, "speech", 0), run(3, "absence", 0), run(4, "scene", 0)]) == []
