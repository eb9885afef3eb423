"""Looking: which frames go out with which question, and what is kept of the answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.briefing import Briefing
from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.events import discard
from analyzer_agent.records import Observation, Provenance
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeEngine, FakeVideo, call
from analyzer_agent.timeline import TimeRange, merge
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.toolbox.answer_check import CheckedAnswer
from analyzer_agent.toolbox.completeness import completeness
from analyzer_agent.tools.engines.vision import Sight
from analyzer_agent.tools.look import SPEC

QUESTION = "Which colour has the flag?"


class Looker:
    """An engine that remembers what it was shown, and answers by a function of the times."""

    def __init__(self, say: Any = lambda times: Sight(f"It is red at {times[0]}.")) -> None:
        self.say, self.asked = say, list[tuple[str, list[int], list[int], bool]]()
        self.looked: Any = lambda images: None

    def answer(self, question: str, images: Any, times: Any, *, sheet: bool) -> Any:
        self.asked.append((question, [int(image[0, 0, 0]) for image in images], list(times), sheet))
        self.looked(images)
        return self.say(list(times))


class Desk:
    """A toolbox with `look` alone, over one video whose pictures carry their second in the blue bytes."""

    def __init__(self, store: Store, looker: Looker, duration: int = 150_000, start: int = 0, picture: Any = None) -> None:
        self.store, self.looker = store, looker
        at = (lambda pts: picture) if picture is not None else lambda pts: np.full((4, 4, 3), (0, 0, pts // 1000 % 256), np.uint8)
        film = FakeVideo(duration, start=start, picture_at=at)
        store.notes.add_video(film.id, film.name, str(film.path), film.duration)
        self.video = film
        self.box = Toolbox(store, [SessionVideo("film", film, TimeRange(0, duration))], {"look": Tool(SPEC, FakeEngine(looker))})

    def look(self, *ranges: list[Any], question: str = QUESTION, **more: Any) -> Any:
        given: dict[str, Any] = {"ranges": list(ranges)} if ranges else {}
        return self.box.run(call("look", question=question, **given, **more), discard)

    def notes(self) -> list[tuple[int, int, str]]:
        found = self.store.notes.read(self.video.id, TimeRange(0, self.video.duration))
        return [(note.span.start, note.span.end, note.text) for note in found]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "store.db") as opened:
        yield opened


def test_exactly_the_frames_of_a_range_are_shown(store: Store) -> None:
    desk = Desk(store, Looker())
    result = desk.look([5, "0:07.168"])
    ((question, _, times, sheet),) = desk.looker.asked
    assert (question, times, sheet) == (QUESTION, [5_000 + n * 271 for n in range(8)], False)
    assert result.text.startswith("look (fake; 8 frames, 0:05-0:06.897, every 0.27 s) analyzed 0:05-0:07.168:")
    (note,) = store.notes.read(desk.video.id, TimeRange(0, 150_000))
    assert note.observation.detail["question"] == QUESTION and len(note.observation.detail["frames"]) == 8  # type: ignore[arg-type]
    assert note.span == TimeRange(5_000, 7_168) and note.kind == "look" and result.analyzed_ms == 2_168


@given(
    ranges=st.lists(st.tuples(st.integers(0, 140_000), st.integers(1, 20_000)), min_size=1, max_size=5),
    every=st.none() | st.integers(40, 4_000),
    sheet=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_no_frame_beside_the_ranges_and_no_straggler(ranges: list[tuple[int, int]], every: int | None, sheet: bool) -> None:
    options: dict[str, Any] = {"question": QUESTION, "sheet": sheet, "every": None if every is None else every / 1000}
    asked = merge([TimeRange(start, min(start + length, 150_000)) for start, length in ranges], gap=-1)
    look = SPEC.bind(options | {"ranges": asked}, FakeEngine(None))
    grains = look.request_grains(FakeVideo(150_000))
    most = 16 if sheet else 8
    for span in asked:
        blocks = [grain for grain in grains if grain.span.overlaps(span)]
        times = [t for grain in blocks for t in grain.instants]
        wanted = range(span.start, span.end, every) if every else None
        assert times == list(wanted) if wanted else times[0] == span.start and len(times) <= most
        assert all(span.start <= t < span.end for t in times) and times == sorted(set(times))
        sizes = [len(grain.instants) for grain in blocks]
        assert max(sizes) <= most and max(sizes) - min(sizes) <= 1 and len(sizes) == -(-len(times) // most)
        assert [grain.span.start for grain in blocks] == [grain.instants[0] for grain in blocks]
        assert [grain.span.end for grain in blocks] == [*(grain.span.start for grain in blocks[1:]), span.end]


def test_coverage_tells_how_far_apart_the_frames_were(store: Store) -> None:
    desk = Desk(store, Looker())
    desk.look([0, 80])
    desk.look(compare=["0:05", ["2:00", "2:04"]])
    keys = [provenance.key for provenance in store.notes.provenances(video=desk.video.id)]
    assert sorted(part.step for part in store.ledger.covered(desk.video.id, keys, TimeRange(0, 150_000))) == [500, 500, 10_000]


def test_a_claim_on_everything_may_rest_on_several_looks_with_the_same_question(store: Store) -> None:
    desk = Desk(store, Looker(lambda times: None))
    ids = [*desk.look([0, 75]).note_ids, *desk.look([75, 150], every=15).note_ids]

    def holds(ids: Any) -> bool:
        found = completeness(desk.box, CheckedAnswer("None.", tuple(ids), claim="none"))
        return found is not None and found.holds

    assert not holds(ids), "every 9 s and every 15 s are not close enough"
    ids = [*desk.look([0, 75], every=8).note_ids, *desk.look([75, 150], every=5).note_ids]
    assert holds(ids)


def test_up_to_25_frames_a_second_and_never_a_frame_twice(store: Store) -> None:
    desk = Desk(store, Looker())
    desk.look([1, 1.1])
    desk.look([2, 2.4], every=0.001)
    assert [times for _, _, times, _ in desk.looker.asked[:1]] == [[1_000, 1_050]]
    assert sorted(t for _, _, times, _ in desk.looker.asked[1:] for t in times) == list(range(2_000, 2_400, 40))


def test_a_sweep_goes_in_sheets_at_any_step(store: Store) -> None:
    desk = Desk(store, Looker())
    result = desk.look([0, 140], every=4)
    assert sorted((len(times), sheet) for _, _, times, sheet in desk.looker.asked) == [(11, True), (12, True), (12, True)]
    assert "35 frames, 0:00-2:16, every 4 s, in 3 sheets" in result.text
    desk.look([0, 60], every=4, sheet=True)
    assert [(len(times), sheet) for _, _, times, sheet in desk.looker.asked[3:]] == [(15, True)]


def test_far_apart_moments_go_into_one_request(store: Store) -> None:
    desk = Desk(store, Looker())
    result = desk.look(compare=["0:05", 62.5, ["2:00", "2:04"]], question="Who wears the red hat?")
    ((_, seconds, times, _),) = desk.looker.asked
    assert times == [5_000, 62_500, 120_000, 120_800, 121_600, 122_400, 123_200] and seconds[:2] == [5, 62]
    assert desk.box.covered(desk.box.session_videos["film"]) == {
        "look": [TimeRange(5_000, 5_040), TimeRange(62_500, 62_540), TimeRange(120_000, 124_000)]
    }, "nothing between them counts as seen"
    assert [note[:2] for note in desk.notes()] == [(5_000, 5_040), (62_500, 62_540), (120_000, 124_000)] and result.analyzed_ms == 4_080
    assert "7 frames, 0:05, 1:02.5, 2:00, 2:00.8" in result.text
    assert desk.look(compare=["0:05", "1:02.5", "2:00-2:04"], question="Who wears the red hat?").analyzed_ms == 0, "as text, too"
    assert len(desk.looker.asked) == 1


def test_an_answer_stands_for_the_frames_that_show_it(store: Store) -> None:
    desk = Desk(store, Looker(lambda times: Sight("Red.", (2, 4)) if times[0] == 0 else Sight("Blue.")))
    desk.look([0, 8], [100, 108])
    assert desk.notes() == [(2_000, 5_000, "Red."), (100_000, 108_000, "Blue.")]


def test_an_answer_ends_at_a_known_cut(store: Store) -> None:
    desk = Desk(store, Looker(lambda times: Sight("Red.", (1,))))
    desk.look([0, 80])
    cut = Provenance("scenes:1", "scenes", "1", "x", 0, "", "", {})
    store.notes.add_provenance(cut)
    whole = TimeRange(0, 150_000)
    store.ledger.claim(desk.video.id, cut.key, [whole])
    pieces = [Observation(TimeRange(a, b), "scene", "", None, {"cut": True}) for a, b in ((0, 8_000), (8_000, 13_000), (13_000, 150_000))]
    store.ledger.commit(desk.video.id, cut.key, whole, 0, (), pieces, 1)
    (run,) = desk.box.reader.merged_notes(desk.video.id, whole, kinds=["look"])
    assert (run.span.start, run.span.end) == (10_000, 13_000)


def test_notes_of_the_first_version_are_still_read_and_cited(store: Store) -> None:
    desk = Desk(store, Looker())
    old = Provenance("look:old", "look", "1", "vision", 0, "m prompt-x", "lane", {"question": QUESTION, "step": 8_000})
    store.notes.add_provenance(old)
    span = TimeRange(0, 64_000)
    store.ledger.claim(desk.video.id, old.key, [span])
    store.ledger.commit(
        desk.video.id, old.key, span, 0, (), [Observation(TimeRange(16_000, 40_000), "look", "Red.", None, {"frames": [16_000]})], 1
    )
    desk.look([0, 64], every=8)
    assert desk.box.surveys == {}, "a question is not surveyed, however fast"
    assert '0:16-0:40 look "Red."' in desk.box.run(call("read_notes", range=[0, 64]), discard).text
    (note,) = store.notes.read(desk.video.id, span, keys=[old.key])
    assert desk.box.evidence([note.id])[note.id].text == "Red." and len(desk.looker.asked) == 1, "nothing is hidden, and a new look looks"


def test_the_same_request_is_asked_once_and_another_one_anew(store: Store) -> None:
    desk = Desk(store, Looker())
    first = desk.look([0, 60])
    again = desk.look([0, 60], question=f"  {QUESTION.replace(' ', '  ')} ")
    assert len(desk.looker.asked) == 1 and (again.analyzed_ms, again.reused_ms) == (0, 60_000) and again.note_ids == first.note_ids
    for more in ({"question": "How many flags?"}, {"every": 10}, {"region": "left half"}, {"sheet": True}):
        desk.look([0, 60], **more)
    desk.look([10, 20])
    assert len(desk.looker.asked) == 6
    assert set(first.note_ids) < {note.id for note in store.notes.read(desk.video.id, TimeRange(0, 64_000))}, "nothing is hidden"


def test_a_region_is_cut_out_before_the_frame_is_shrunk(store: Store) -> None:
    shapes: list[tuple[int, ...]] = []
    looker = Looker()
    looker.looked = lambda images: shapes.extend(image.shape for image in images)
    desk = Desk(store, looker, picture=np.zeros((1080, 1920, 3), np.uint8))
    desk.look([0, 0.04])
    desk.look([0, 0.04], region="top right")
    desk.look([0, 0.04], region=[0.5, 0.5, 0.6, 0.6])
    assert shapes == [(576, 1024, 3), (540, 960, 3), (108, 192, 3)]


def test_frames_that_do_not_show_it_leave_an_absence_that_says_what_was_looked_at(store: Store) -> None:
    desk = Desk(store, Looker(lambda times: None))
    result = desk.look([0, 16], [100, 108])
    first, second = (text for _, _, text in desk.notes())
    assert first == f'nothing that answers "{QUESTION}": looked at 8 frames, 0:00-0:14, every 2 s'
    assert second.endswith("looked at 8 frames, 1:40-1:47, every 1 s")
    assert len(result.note_ids) == 2 and desk.look([0, 16], [100, 108]).reused_ms == 24_000
    assert desk.box.covered(desk.box.session_videos["film"]) == {"look": [TimeRange(0, 16_000), TimeRange(100_000, 108_000)]}


def test_the_failure_of_a_request_sends_no_other_one_again(store: Store) -> None:
    def say(times: list[int]) -> Sight:
        if times[0] == 8_000:
            raise ValueError("no answer")
        return Sight("Red.")

    desk = Desk(store, Looker(say))
    result = desk.look(*([n * 8, n * 8 + 8] for n in range(8)))
    assert sorted(times[0] for _, _, times, _ in desk.looker.asked) == list(range(0, 64_000, 8_000)) and len(desk.notes()) == 7
    assert 'It failed (<notes>"ValueError: no answer"</notes>): 0:08-0:16' in result.text


def test_an_engine_without_an_answer_has_not_looked(store: Store) -> None:
    def silent(times: Any) -> str:
        raise ValueError("the vision model gave no answer")

    desk = Desk(store, Looker(silent))
    result = desk.look([0, 60])
    assert 'It failed (<notes>"ValueError: the vision model gave no answer"</notes>): 0:00-1:00' in result.text
    assert desk.box.covered(desk.box.session_videos["film"]) == {}


def test_only_the_part_with_a_picture_is_looked_at(store: Store) -> None:
    desk = Desk(store, Looker(), duration=130_000, start=70_100)
    desk.look([0, 70.9])
    assert [times for _, _, times, _ in desk.looker.asked] == [[70_100 + 100 * n for n in range(8)]]
    assert desk.box.covered(desk.box.session_videos["film"]) == {"look": [TimeRange(70_100, 70_900)]}
    assert desk.look([0, 70]).refusal == "there is no picture in these ranges."


def test_a_long_answer_is_kept_whole_and_shown_within_the_budget(store: Store) -> None:
    said = " ".join(f"word{n}" for n in range(300))
    desk = Desk(store, Looker(lambda times: Sight(said)))
    result = desk.look([0, 1])
    assert desk.notes()[0][2] == said and said in result.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"question": " "}, "'question' is empty"),
        ({"question": QUESTION, "every": 0}, "'every': cannot look every 0 seconds"),
        ({"question": QUESTION, "region": "the left"}, "'the left' is not a region; name one of left half"),
        ({"question": QUESTION, "region": [0, 0, 2, 1]}, "[0, 0, 2, 1] is not a region"),
        ({"question": QUESTION, "compare": ["0:05"]}, "give 'ranges' or 'compare', not both"),
        ({"question": QUESTION, "ranges": [[0, 150]], "every": 0.04}, "that is 3750 frames, and a call shows at most 1000"),
        ({}, "Missing argument 'question'"),
    ],
)
def test_what_cannot_be_asked_is_refused(store: Store, arguments: dict[str, Any], told: str) -> None:
    desk = Desk(store, Looker())
    events: list[Any] = []
    result = desk.box.run(call("look", **{"ranges": [[0, 1]], **arguments}), events.append)
    assert result.refused and told in result.text and events == []
    (tool,) = (tool["function"] for tool in desk.box.schemas() if tool["function"]["name"] == "look")
    assert tool["parameters"]["required"] == ["question"]
    with pytest.raises(Unavailable):
        SPEC.bind({"question": "x"})
    with pytest.raises(ToolRefusal):
        SPEC.bind({"question": ""}, FakeEngine(None))


def test_what_nobody_asked_about_is_no_gap(store: Store) -> None:
    desk = Desk(store, Looker())
    assert desk.box.unexamined() == [] and desk.box.usable_without_query == [] and len(desk.box.offered) == 1
    without = Toolbox(store, list(desk.box.session_videos.values()), {}, {"look": "no vision model"}, specs={"look": SPEC})
    assert without.unexamined() == [] and without.unavailable == {"look": "no vision model"}


def test_a_wide_look_is_told_to_later_questions(store: Store) -> None:
    desk = Desk(store, Looker())
    desk.look([10, 12], question="What does she hold?")
    assert Briefing(desk.box).covered() == "- nothing yet", "what was asked of a moment says nothing to others"
    desk.look([0, 150], question="Which objects fly past?", every=2)
    told = 'look "Which objects fly past?" all of it every 2 s'
    assert Briefing(desk.box).covered() == f"- {told}"
    assert desk.box.run(call("find_all", words="kite"), discard).text.endswith(f"Analyzed so far: {told}.")
    assert desk.box.run(call("search_notes", query="kite", range=[0, 75]), discard).text.endswith(f"Analyzed so far: {told}.")


def test_a_look_for_one_thing_is_no_absence_of_another(store: Store) -> None:
    desk = Desk(store, Looker())
    desk.look([0, 150], question="Which objects fly past?", every=2)
    result = desk.box.run(call("find_all", words="cart", kinds=["look"]), discard)
    assert [(str(note.span), note.text) for note in result.shown] == [
        ("0:00-2:30", "no 'cart' in the answers of look to 'Which objects fly past?': all of it every 2 s")
    ]
