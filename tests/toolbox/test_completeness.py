"""Claims on all of a scope: caught where what they rest on has looked at less, told with what was looked at."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.evidence.coverage_steps import finest_steps, spans_by_step
from analyzer_agent.graph import Limits
from analyzer_agent.records import Claim, Completeness
from analyzer_agent.storage import Covered, Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange, total
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.toolbox.answer_check import CheckedAnswer
from analyzer_agent.toolbox.completeness import completeness, gaps_text
from graph_kit import Make, calls, says, talking
from toolbox_kit import boxed, done, finds

CLAIMS = ("all", "none", "count", "first", "last")
CARDS = [(start, start + 1_000, "COUNTER") for start in (3_000, 21_000, 45_000)]


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


def claimed(box: Toolbox, claim: Claim, *cited: int, **more: object) -> Completeness:
    told = completeness(box, CheckedAnswer("x", cited, claim=claim, **more))  # type: ignore[arg-type]
    assert told is not None
    return told


def spans(parts: object) -> list[str]:
    return [str(part) for part in parts]  # type: ignore[attr-defined]


class TestOneVideo:
    def test_a_tenth_is_not_all(self, store: Store) -> None:
        box = boxed(store, finds(*CARDS))
        (card,) = done(box, call("find_fake", ranges=[[0, 6]])).note_ids
        told = claimed(box, "count", card)
        assert (
            not told.holds
            and spans(told.over) == ["0:00-0:08 of fake.mp4, fake"]
            and spans(told.lacking) == ["0:08-1:00 of fake.mp4, fake"]
        )
        assert gaps_text(box, told) == "find_fake 0:08-1:00"
        assert told.to_dict() == {
            "claim": "count",
            "holds": False,
            "over": [{"analyzer": "fake", "step": 0.0, "start": 0.0, "end": 8.0, "video": "fake.mp4"}],
            "lacking": [{"analyzer": "fake", "step": 0.0, "start": 8.0, "end": 60.0, "video": "fake.mp4"}],
        }
        done(box, call("find_fake", ranges=[[0, 60]]))
        whole = claimed(box, "count", card)
        assert whole.holds and str(whole) == "Complete for 0:00-1:00, fake" and "lacking" not in whole.to_dict()

    def test_a_coarse_pass_is_not_a_whole_one(self, store: Store) -> None:
        box = boxed(store, finds(*CARDS, step=1_000))
        (card,) = done(box, call("find_fake", ranges=[[44, 60]])).note_ids
        done(box, call("find_fake", ranges=[[0, 60]], every=8))
        told = claimed(box, "all", card)
        assert not told.holds and gaps_text(box, told) == "find_fake 0:00-0:40 (every 1 s)"
        assert spans(told.over) == ["0:00-0:40 of fake.mp4, fake every 8 s", "0:40-1:00 of fake.mp4, fake every 1 s"]
        assert str(told).startswith("Not complete: not looked at 0:00-0:40, fake every 1 s; looked at")
        done(box, call("find_fake", ranges=[[0, 60]]))
        assert claimed(box, "all", card).holds

    def test_what_was_not_found_counts_as_looked_at(self, store: Store) -> None:
        box = boxed(store, finds())
        (nothing,) = done(box, call("find_fake", ranges=[[0, 60]])).note_ids
        assert claimed(box, "none", nothing).holds
        (part,) = done(box, call("find_fake", ranges=[[5, 60]])).note_ids
        assert not claimed(box, "none", part).holds, "nothing is told of what was found before it"
        assert not claimed(box, "none").holds, "a claim that cites nothing rests on nothing"

    def test_the_first_needs_only_what_comes_before_it(self, store: Store) -> None:
        box = boxed(store, finds(*CARDS))
        cards = done(box, call("find_fake", ranges=[[0, 30]])).note_ids
        assert claimed(box, "first", cards[0]).holds and claimed(box, "first", *cards).holds
        assert not claimed(box, "last", *cards).holds
        assert spans(claimed(box, "last", *cards).lacking) == ["0:32-1:00 of fake.mp4, fake"]
        assert "0:04-0:32 of fake.mp4, fake" in spans(claimed(box, "last", *cards).over)
        late = done(box, call("find_fake", ranges=[[45, 46]])).note_ids
        assert not claimed(box, "first", *late).holds
        assert not claimed(box, "first", cards[0], *late).holds, "a note cited beside it hides no gap"

    def test_a_question_about_a_part_needs_only_this_part(self, store: Store) -> None:
        box = boxed(store, finds(*CARDS))
        (card,) = done(box, call("find_fake", ranges=[[0, 8]])).note_ids
        assert claimed(box, "all", card, part=(0, 8_000)).holds and not claimed(box, "all", card, part=(0, 8_001)).holds
        assert claimed(box, "all", card, part=(0, 8_000)).over[0].span == TimeRange(0, 8_000)

    def test_another_analyzer_that_only_confirms_need_not_look_elsewhere(self, store: Store) -> None:
        box = boxed(
            store, finds(*CARDS), finds((3_000, 4_000, "a card"), (50_000, 51_000, "else"), name="close"), finds(name="cuts", kind="scene")
        )
        cards = done(box, call("find_fake", ranges=[[0, 60]])).note_ids
        close = done(box, call("find_close", ranges=[[3, 4]])).note_ids
        assert claimed(box, "count", *cards, *close).holds
        elsewhere = done(box, call("find_close", ranges=[[50, 51]])).note_ids
        assert not claimed(box, "count", *cards, *elsewhere).holds
        assert not claimed(box, "count", *close).holds

    def test_shots_that_cover_everything_do_not_stand_for_what_is_in_them(self, store: Store) -> None:
        box = boxed(store, finds(*CARDS), finds((0, 60_000, "speech"), name="voice", kind="voice"))
        (card,) = done(box, call("find_fake", ranges=[[0, 6]])).note_ids
        (voice,) = done(box, call("find_voice", ranges=[[0, 60]])).note_ids
        assert not claimed(box, "all", card, voice).holds and claimed(box, "all", voice).holds


def test_of_several_videos_all_are_needed_or_the_one_that_is_asked_about(store: Store) -> None:
    films = [FakeVideo(video_id=name) for name in ("one", "two")]
    box = boxed(store, finds(*CARDS), videos=films)
    (card, *_) = done(box, call("find_fake", ranges=[[0, 60]], video="two.mp4")).note_ids
    assert not claimed(box, "all", card).holds and claimed(box, "all", card, video="two.mp4").holds
    assert not claimed(box, "first", card).holds and claimed(box, "last", card).holds
    assert gaps_text(box, claimed(box, "all", card)) == "find_fake on one.mp4 0:00-1:00"


PART = st.tuples(st.integers(0, 59), st.integers(1, 30), st.sampled_from([0.5, 1, 2, 8, 16])).map(
    lambda p: (p[0], min(60, p[0] + p[1]), p[2])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(PART, max_size=5), st.sampled_from(CLAIMS), st.sampled_from([0, 2_000]))
def test_a_claim_holds_only_where_every_instant_was_looked_at(parts: list[tuple[int, int, float]], claim: Claim, step: int) -> None:
    with TemporaryDirectory() as folder, Store(Path(folder) / "store.db") as store:
        box = boxed(store, finds(*[(at, at + 500, f"at {at}") for at in range(0, 60_000, 2_000)], step=step))
        seen: set[int] = set()
        cited: set[int] = set()
        for start, end, every in parts:
            look = call("find_fake", ranges=[[start, end]], every=every) if step else call("find_fake", ranges=[[start, end]])
            cited |= set(done(box, look).note_ids)
            for grain in TimeRange(start * 1000, end * 1000).grains(max(8_000, round(every * 1000) if step else 0), 60_000):
                seen |= {t for t in range(grain.start, grain.end, 2_000) if not step or t % (every * 1000) == 0 or every < 2}
        told = claimed(box, claim, *sorted(cited))
        times = sorted(note.span.start for note in store.notes.get(cited).values() if note.kind != "absence")
        wanted = set(range(0, 60_000, 2_000))
        runs = [run for run in box.evidence(cited).values() if run.kind != "absence"]
        if claim == "first" and times:
            wanted = {t for t in wanted if t < max(run.span.start for run in runs)}
        if claim == "last" and times:
            wanted = {t for t in wanted if t >= min(run.span.end for run in runs)}
        if not times:
            nothing = [run.span for run in box.evidence(cited).values()]
            seen = {t for t in seen if any(span.start <= t < span.end for span in nothing)}
        assert told.holds == (bool(cited) and wanted <= seen)
        assert told.holds == (not told.lacking and bool(cited))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20), st.sampled_from([0, 1, 2, 4])), max_size=6))
def test_each_place_has_its_finest_step(parts: list[tuple[int, int, int]]) -> None:
    covered = [Covered(TimeRange(start, start + length), step, "k") for start, length, step in parts]
    whole = TimeRange(10, 60)
    told = finest_steps(covered, whole)
    for at in range(10, 60):
        steps = [step for span, step, _ in covered if span.start <= at < span.end]
        assert [step for step, span in told if span.start <= at < span.end] == ([min(steps)] if steps else [])
    lengths = [total(spans) for _, spans in spans_by_step(covered, whole)]
    assert lengths == sorted(set(lengths)), "a coarser step adds something, or is not told"


class TestConversation:
    """A scripted model that claims all from a tenth is caught, every time."""

    @pytest.mark.parametrize("claim", CLAIMS)
    def test_it_goes_back_once_and_is_marked_then(self, talks: Make, claim: str) -> None:
        late = calls(call("find_fake", ranges=[[20, 26]]))
        talk = talks(late, says("All [#1].", claim=claim), says("All [#1].", claim=claim), tools=[finds((22_000, 23_000, "x"))])
        answer = talk.ask()
        back = str(talk.sent(2)[-1]["content"])
        assert (f'claims "{claim}"' in back and "find_fake 0:0" in back) or "find_fake 0:32" in back
        assert answer.complete and not answer.complete.holds and answer.confidence == "medium"
        assert "Not complete: not looked at" in str(answer) and answer.to_dict()["complete"]["holds"] is False

    def test_the_counter_card(self, talks: Make) -> None:
        coarse, fine = (calls(call("find_fake", ranges=[[0, 60]], every=every)) for every in (8, 1))
        tool = finds(*[(start, start + 1_000, "COUNTER") for start in (8_000, 21_000, 45_000)], step=1_000)
        talk = talks(coarse, says("Once [#1].", claim="count"), fine, says("Three times [#1].", claim="count"), tools=[tool])
        answer = talk.ask("How many times does the counter card appear?")
        assert "Not looked at: find_fake 0:00-1:00 (every 1 s)" in talk.sent(2)[-1]["content"]
        assert answer.complete and answer.complete.holds and "Complete for 0:00-1:00, fake every 1 s" in str(answer)
        assert answer.confidence == "high"

    def test_a_claim_of_none_cites_what_was_looked_at(self, talks: Make) -> None:
        talk = talks(calls(call("find_fake", ranges=[[0, 60]])), says("None.", [], claim="none", outcome="not_found"), tools=[finds()])
        answer = talk.ask()
        assert answer.complete and answer.complete.holds and [cited.kind for cited in answer.citations] == ["absence"]

    def test_what_the_proof_does_not_need_is_not_told_to_be_missing(self, talks: Make) -> None:
        none = says("No dog [#1].", [1], claim="none", found=False)
        tools = [finds(step=1_000), finds(name="sounds", kind="sound")]
        proved = talks(calls(call("find_fake", ranges=[[0, 60]])), none, tools=tools).ask()
        assert proved.complete and proved.complete.holds and proved.not_examined == ()
        open_one = talks(calls(call("find_fake", ranges=[[0, 60]])), says("Unknown.", [], found=False), tools=tools).ask()
        assert [u.analyzer for u in open_one.not_examined] == ["sounds"]

    def test_what_was_shown_whole_and_holds_nothing_is_cited_as_an_absence(self, talks: Make) -> None:
        bare = says("No dog.", [], claim="none", found=False)
        talk = talks(calls(call("find_fake", ranges=[[0, 60]])), bare, tools=[finds(*CARDS, step=1_000)])
        answer = talk.ask("Is there a dog?")
        assert answer.complete and answer.complete.holds and answer.usage.llm_calls == 2
        (cited,) = answer.citations
        assert (cited.kind, str(cited.span)) == ("absence", "0:00-1:00")
        assert cited.text == 'nothing that answers "Is there a dog?": looked at 60 frames, one every 1 s'

    def test_a_claim_that_rests_on_nothing_is_told_what_to_name(self, talks: Make) -> None:
        bare, named = says("No dog.", [], claim="none", found=False), says("No dog.", [1], claim="none", found=False)
        talk = talks(calls(call("find_fake", ranges=[[0, 30]])), bare, named, tools=[finds(*CARDS, step=1_000)])
        answer = talk.ask()
        assert "Name in `notes` one note of each analyzer" in talk.sent(2)[-1]["content"]
        assert answer.complete and not answer.complete.holds, "only half of it was looked at"

    def test_it_does_not_go_back_where_nothing_more_can_be_done(self, talks: Make) -> None:
        last = talks(calls(call("find_fake", ranges=[[0, 6]])), says(claim="all"), limits=Limits(steps=2)).ask()
        assert last.complete and not last.complete.holds

    def test_claims_of_some_and_of_recorded_conversations_are_not_checked(self, talks: Make) -> None:
        for more in ({"claim": "some"}, {}, {"claim": "dunno"}):
            answer = talks(calls(call("find_fake", ranges=[[0, 6]])), says(**more)).ask()  # type: ignore[arg-type]
            assert answer.complete is None and answer.to_dict()["complete"] is None


def test_coverage_is_told_with_its_step(store: Store) -> None:
    box = boxed(store, finds(step=1_000), finds(name="lasting"))
    done(box, call("find_fake", ranges=[[0, 60]], every=8))
    done(box, call("find_fake", ranges=[[8, 24]]))
    done(box, call("find_lasting", ranges=[[0, 60]]))
    done(box, call("find_fake", ranges=[[8, 16]], every=0.5))
    sentence = "Analyzed so far: fake all of it every 8 s, 0:16-0:24 every 1 s, 0:08-0:16 every 0.5 s; lasting all of it."
    assert done(box, call("search_notes", query="nothing")).text.endswith(sentence), "each part once, at its finest step"


def test_what_another_one_tells_as_well_is_not_told_to_be_missing(store: Store) -> None:
    why = {"tags": "no weights", "objects": "no weights", "sounds": "extra sounds"}
    specs = {name: fake_spec(FakeAnalyzer([]), name=name) for name in (*why, "captions", "speech")}
    film = FakeVideo(60_000)
    store.notes.add_video(film.id, film.name, str(film.path), film.duration)

    def missing(*able: str) -> list[str]:
        tools = {name: Tool(specs[name]) for name in able}
        box = Toolbox(store, [SessionVideo("film", film, TimeRange(0, 60_000))], tools, why, specs=specs)
        return [u.analyzer for u in box.unexamined() if u.reason == "unavailable"]

    assert missing() == ["tags", "objects", "sounds"]
    assert missing("captions") == ["sounds"] and missing("captions", "speech") == []
