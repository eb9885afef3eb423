"""What was looked for and not found leaves a note that can be cited, and that no search shows."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.protocols import Video
from analyzer_agent.records import ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from graph_kit import Make, calls, says, talking
from toolbox_kit import CLASSES, Broken, Detector, boxed, done, finds


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


def told(result: ToolResult) -> list[tuple[str, str]]:
    return [(str(note.span), note.text) for note in result.shown if note.kind == "absence"]


def test_it_tells_what_was_sought_and_how_it_was_looked_for(store: Store) -> None:
    signs = finds((30_000, 31_000, "EXIT"), step=2_000)
    animals = Tool(fake_spec(Detector([], kind="object"), name="objects", step=1_000, filters_schema=CLASSES))
    box = boxed(store, signs, animals)
    assert told(done(box, call("find_fake", ranges=[[0, 15]]))) == [("0:00-0:15", "no text: looked at 8 frames, one every 2 s")]
    assert told(done(box, call("find_fake", ranges=[[0, 15]], every=8))) == [("0:00-0:15", "no text: looked at 2 frames, one every 8 s")]
    seen = done(box, call("find_objects", ranges=[[0, 4]], classes=["dog", "person"], min_score=0.2))
    assert told(seen) == [("0:00-0:04", "no dog or person (min_score 0.2): looked at 4 frames, one every 1 s")]
    assert told(done(box, call("find_fake", ranges=[[0, 60]]))) == [], "something was found"


def test_nothing_is_told_of_what_could_not_be_examined(store: Store) -> None:
    box = boxed(store, Tool(fake_spec(Broken(8_000))))
    assert told(done(box, call("find_fake", ranges=[[2, 20]]))) == [
        ("0:02-0:08", "no text: examined whole"),
        ("0:16-0:20", "no text: examined whole"),
    ]


def test_the_same_absence_keeps_its_id_and_goes_with_its_coverage(store: Store) -> None:
    box = boxed(store, finds(step=2_000))
    look = call("find_fake", ranges=[[0, 15]])
    first, again = done(box, look), done(box, look)
    assert first.note_ids == again.note_ids and again.analyzed_ms == 0
    done(box, call("find_fake", ranges=[[0, 15]], every=0.5))
    assert store.notes.get(first.note_ids), "looking more closely leaves it true"
    assert store.maintenance.shares()[0].notes == 0, "it is no note of what was found"
    store.maintenance.clear()
    assert not store.notes.get(first.note_ids)
    assert done(box, look).note_ids > again.note_ids, "ids are never used again"


def test_it_goes_where_the_range_is_analyzed_anew(store: Store) -> None:
    for name, step in (("lasting", 0), ("sampled", 2_000)):
        box = boxed(store, finds(name=name, step=step))
        ids = done(box, call(f"find_{name}", ranges=[[0, 20]])).note_ids
        done(box, call(f"find_{name}", ranges=[[30, 40]]))
        assert set(ids) <= set(store.notes.get(ids)), "new coverage elsewhere changes nothing"
        box.force = True
        done(box, call(f"find_{name}", ranges=[[9, 10]]))
        assert not store.notes.get(ids)


def test_no_search_and_no_description_shows_it(store: Store) -> None:
    box = boxed(store, finds())
    (number,) = done(box, call("find_fake", ranges=[[0, 60]])).note_ids
    assert done(box, call("search_notes", query="text examined whole")).note_ids == ()
    assert done(box, call("read_notes", range=[0, 60])).note_ids == ()
    assert box.known(box.tools["fake"], box.session_videos["fake.mp4"]) == []
    assert [note.id for note in store.notes.read("fake", TimeRange(0, 60_000), kinds=["absence"])] == [number]


def test_an_answer_that_it_is_not_there_cites_what_was_looked_at(talks: Make) -> None:
    answer = talks(calls(call("find_fake", ranges=[[20, 30]])), says("Nobody says it.", [], outcome="not_found")).ask()
    (citation,) = answer.citations
    assert answer.finished == "not_found" and (citation.kind, str(citation.span)) == ("absence", "0:20-0:30")
    assert citation.text == "no text: examined whole"
    own = talks(calls(call("find_fake", ranges=[[20, 30]])), says("Nobody says it [#1].", [1], outcome="not_found"))
    assert [cited.note for cited in own.ask().citations] == [1]


SPAN = st.tuples(st.integers(0, 59), st.integers(1, 60)).map(lambda pair: [pair[0], min(60, pair[0] + pair[1])])


@settings(max_examples=25, deadline=None)
@given(st.lists(SPAN, min_size=1, max_size=4), st.sets(st.sampled_from(range(0, 60_000, 8_000)), max_size=4))
def test_an_absence_never_covers_what_was_not_examined(ranges: list[list[int]], bad: set[int]) -> None:
    with TemporaryDirectory() as folder, Store(Path(folder) / "store.db") as store:
        box = boxed(store, Tool(fake_spec(Broken(*bad))))
        result = done(box, call("find_fake", ranges=ranges))
        keys = [provenance.key for provenance in store.notes.provenances(video="fake")]
        seen = [covered.span for covered in store.ledger.covered("fake", keys, TimeRange(0, 60_000))]
        assert all(not note.span.minus(seen) for note in result.shown)


def test_what_is_too_small_to_be_found_is_told_where_nothing_was_found(store: Store) -> None:
    class Sees(Detector):
        def limits(self, video: Video) -> str:
            return f"objects smaller than about {video.size[0] // 40} pixels of this picture are not found"

    sees = Tool(fake_spec(Sees([], kind="object"), name="objects", step=1_000, filters_schema=CLASSES))
    small = "objects smaller than about 96 pixels of this picture are not found"
    video = FakeVideo(60_000, size=(3840, 2160))
    nothing = done(boxed(store, sees, videos=[video]), call("find_objects", ranges=[[0, 4]]))
    assert f"Nothing was found there; {small}" in nothing.text
    assert told(nothing) == [("0:00-0:04", f"no object: looked at 4 frames, one every 1 s; {small}")]
