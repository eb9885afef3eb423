"""Reading against the uncut timeline: what grains cut apart comes back whole, whatever range is asked."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer_agent.events import discard
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.merging import CONTEXT_MS, NoteReader
from analyzer_agent.evidence.plan import SampleGrid
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.protocols import Grain, Spec
from analyzer_agent.records import JSON, Observation
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange, instants, merge, sample_end

GRAIN = 8_000
LENGTH = 61_000
_numbers = itertools.count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store") / "s.db") as opened:
        yield opened


class Prepared(FakeAnalyzer):
    """Yields observations as they are given, each in the grain that it starts in."""

    def _pieces(self, grain: Grain) -> Iterator[Observation]:
        found: Sequence[Any] = self.events
        return iter(o for o in found if grain.span.start <= o.span.start < grain.span.end)


class Shelf:
    """A made-up video with notes on it."""

    def __init__(self, store: Store, duration: int = LENGTH, **about: Any) -> None:
        self.store = store
        self.video = FakeVideo(duration, video_id=f"v{next(_numbers)}", **about)
        store.notes.add_video(self.video.id, self.video.name, str(self.video.path), duration)
        self.specs: dict[str, Spec] = {}

    @property
    def reader(self) -> NoteReader:
        return NoteReader(self.store, self.specs)

    def fill(
        self,
        events: Sequence[Any],
        *spans: tuple[int, int],
        kind: str = "text",
        step: int = 0,
        name: str = "fake",
        engine: str = "fake",
        tier: int = 0,
        lane: str = "",
        params: Mapping[str, JSON] | None = None,
        prepared: bool = False,
        **spec: Any,
    ) -> str:
        """Look at `spans` (the whole video by default) with an analyzer that finds `events`; return its key."""
        analyzer = (Prepared if prepared else FakeAnalyzer)(events, kind=kind, engine=engine, params=params)
        analyzer.lane = lane
        about = fake_spec(analyzer, name=name, step=step, grain=spec.pop("grain", GRAIN), **spec)
        self.specs[name] = about
        provenance = make_provenance(about, analyzer, self.video, tier=tier, uncertain=tier > 0)
        gap_runner = GapRunner(self.store, self.video, BoundAnalyzer(about, analyzer, provenance, pinned=True))
        ranges = [TimeRange(*pair) for pair in spans] or [TimeRange(0, self.video.duration)]
        gap_runner.run(gap_runner.plan(ranges, step), "call", discard)
        return provenance.key

    def told(self, start: int = 0, end: int | None = None, **how: Any) -> list[tuple[int, int, str]]:
        """Return what is read of a range: start, end and text of each run."""
        span = TimeRange(start, self.video.duration if end is None else end)
        return [(run.span.start, run.span.end, run.text) for run in self.reader.merged_notes(self.video.id, span, **how)]

    def grid(self, step: int) -> SampleGrid:
        assert self.video.picture
        return SampleGrid(step, self.video.picture.start // 125 * 125, self.video.picture.end)


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return Shelf(store)


# --- joins ------------------------------------------------------------------------------------------------------------

texts = st.sampled_from(["a", "b", "A title"])
spans = st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 40_000)).map(lambda p: TimeRange(p[0], min(LENGTH, p[0] + p[1])))
events = st.lists(st.tuples(spans, texts), max_size=6)


def overlapping(expected: Sequence[tuple[int, int, str]], span: TimeRange) -> list[tuple[int, int, str]]:
    return sorted(e for e in expected if TimeRange(e[0], e[1]).overlaps(span))


@settings(max_examples=60, deadline=None)
@given(events, spans)
def test_what_lasts_is_whole_again_whatever_range_is_asked(store: Store, happened: list[tuple[TimeRange, str]], asked: TimeRange) -> None:
    shelf = Shelf(store)
    shelf.fill(happened)
    uncut = [(r.start, r.end, text) for text in ("a", "b", "A title") for r in merge(e for e, t in happened if t == text)]
    assert sorted(shelf.told(asked.start, asked.end)) == overlapping(uncut, asked)


@st.composite
def apart(draw: st.DrawFn) -> list[tuple[TimeRange, str]]:
    """Findings of a kind that is never joined unless a piece says so: one after the other, often touching."""
    marks = sorted(draw(st.sets(st.integers(0, LENGTH), min_size=2, max_size=9)))
    pairs = [TimeRange(a, b) for a, b in itertools.pairwise(marks)]
    return [(span, draw(texts)) for span in pairs if draw(st.integers(0, 3))]


@settings(max_examples=60, deadline=None)
@given(apart(), spans)
def test_findings_side_by_side_stay_apart_and_cut_ones_are_joined(
    store: Store, happened: list[tuple[TimeRange, str]], asked: TimeRange
) -> None:
    shelf = Shelf(store)
    shelf.fill(happened, kind="motion")
    uncut = [(span.start, span.end, text) for span, text in happened]
    assert sorted(shelf.told(asked.start, asked.end)) == overlapping(uncut, asked)


def test_findings_that_overlap_go_on_each_with_its_own(shelf: Shelf) -> None:
    shelf.fill([(TimeRange(5_000, 12_000), "long"), (TimeRange(7_000, 7_900), "short"), (TimeRange(7_950, 9_000), "late")], kind="subtitle")
    assert shelf.told() == [(5_000, 12_000, "long"), (7_000, 7_900, "short"), (7_950, 9_000, "late")]


def test_a_piece_with_other_words_goes_on_from_the_one_before_it(shelf: Shelf) -> None:
    def piece(start: int, end: int, text: str, **detail: Any) -> Observation:
        return Observation(TimeRange(start, end), "motion", text, 0.5, detail)

    shelf.fill([piece(1_000, 8_000, "left"), piece(8_000, 9_000, "right", continues=True)], kind="motion", prepared=True)
    assert shelf.told() == [(1_000, 9_000, "left")]


steps = st.sampled_from([250, 1_000, 2_000, 8_000, 16_000, 32_000])


@settings(max_examples=80, deadline=None)
@given(events, spans, steps, st.lists(st.tuples(steps, spans), max_size=3), st.sampled_from([0, 4_500]))
@example([(TimeRange(0, 32_001), "a")], TimeRange(40_000, 40_001), 16_000, [], 0)
def test_a_grid_reads_the_same_whatever_was_sampled_besides(
    store: Store, happened: list[tuple[TimeRange, str]], asked: TimeRange, step: int, others: list[tuple[int, TimeRange]], late: int
) -> None:
    shelf = Shelf(store, start=late)
    for other, span in others:
        shelf.fill(happened, (span.start, span.end), step=other)
    shelf.fill(happened, step=step)
    whole = TimeRange(0, LENGTH)
    assert shelf.video.picture
    samples = [TimeRange(t, sample_end(t, step, LENGTH)) for t in instants(whole, step, shelf.video.picture)]
    seen = {text: merge(s for s in samples if any(e.start <= s.start < e.end for e, t in happened if t == text)) for _, text in happened}
    expected = [(r.start, r.end, text) for text, ranges in seen.items() for r in ranges]
    assert sorted(shelf.told(asked.start, asked.end, grid=shelf.grid(step))) == overlapping(expected, asked)


@pytest.mark.parametrize("finer", [False, True])
def test_a_sample_that_stands_for_long_is_found_from_its_end(shelf: Shelf, finer: bool) -> None:
    if finer:
        shelf.fill([(TimeRange(0, 100), "title")], step=250)
    shelf.fill([(TimeRange(0, 100), "title")], step=32_000)
    assert shelf.told(30_000, 31_000, grid=shelf.grid(32_000)) == [(0, 32_000, "title")]


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Observation], list[tuple[int, int, str]]]:
    """Sentences of words, with pauses over two seconds between them, as a speech analyzer stores them: cut at grains' edges."""
    at, pieces, whole = draw(st.integers(0, 4_000)), [], []
    for number in range(draw(st.integers(1, 5))):
        words = []
        for n in range(draw(st.integers(1, 12))):
            length = draw(st.integers(100, 1_500))
            edge = (at // GRAIN + 1) * GRAIN
            length = min(length, edge - at)
            words.append((at, at + length, f"s{number}w{n}"))
            at += length + draw(st.integers(0, 400))
        cut = [list(group) for _, group in itertools.groupby(words, key=lambda w: w[0] // GRAIN)]
        pieces += [
            Observation(TimeRange(c[0][0], c[-1][1]), "speech", " ".join(w[2] for w in c), 0.5, {"continues": True} if n else {})
            for n, c in enumerate(cut)
        ]
        whole.append((words[0][0], words[-1][1], " ".join(w[2] for w in words)))
        at += draw(st.integers(2_000, 6_000))
    return pieces, whole


@settings(max_examples=60, deadline=None)
@given(sentences(), st.integers(0, 100_000), st.integers(1, 30_000))
def test_sentences_are_whole_again(
    store: Store, said: tuple[list[Observation], list[tuple[int, int, str]]], start: int, length: int
) -> None:
    pieces, whole = said
    shelf = Shelf(store, 120_000)
    shelf.fill(pieces, kind="speech", prepared=True)
    assert shelf.told(start, start + length) == overlapping(whole, TimeRange(start, start + length))


def test_a_sentence_is_followed_across_a_pause_at_the_edge_of_the_first_look(shelf: Shelf) -> None:
    def piece(start: int, end: int, text: str, **detail: Any) -> Observation:
        return Observation(TimeRange(start, end), "speech", text, 0.5, detail)

    shelf.fill(
        [piece(14_000, 15_900, "one two"), piece(17_000, 27_500, "three", continues=True)], kind="speech", prepared=True, grain=16_000
    )
    assert shelf.told(26_500, 27_000) == [(14_000, 27_500, "one two three")]


def test_a_title_of_ninety_seconds_is_found_from_its_middle(store: Store) -> None:
    shelf = Shelf(store, 200_000)
    shelf.fill([(TimeRange(0, 90_000), "THE TITLE")], step=1_000)
    assert shelf.told(40_000, 50_000) == [(0, 90_000, "THE TITLE")]
    ids = {
        run.id for start in range(0, 90_000, 7_000) for run in shelf.reader.merged_notes(shelf.video.id, TimeRange(start, start + 1_000))
    }
    assert len(ids) == 1


def test_the_context_is_declared_and_bounded(store: Store) -> None:
    shelf = Shelf(store, 3_600_000)
    shelf.fill([(TimeRange(0, 3_600_000), "logo")], grain=64_000)
    ((start, end, _),) = shelf.told(1_800_000, 1_801_000)
    assert 1_800_000 - CONTEXT_MS - 64_000 < start <= 1_800_000 - CONTEXT_MS
    assert 1_801_000 + CONTEXT_MS <= end < 1_801_000 + CONTEXT_MS + 64_000


def test_reading_analyzes_nothing_and_goes_no_further_than_what_is_known(shelf: Shelf) -> None:
    shelf.fill([(TimeRange(0, 40_000), "sign")], (8_000, 24_000))
    assert shelf.told() == [(8_000, 24_000, "sign")]


def test_a_citation_of_any_piece_gives_the_whole_run(shelf: Shelf) -> None:
    shelf.fill([(TimeRange(0, 40_000), "sign")])
    notes = shelf.store.notes.read(shelf.video.id, TimeRange(0, LENGTH))
    runs = [shelf.reader.merged_note_of(note) for note in notes]
    assert len(notes) == 5 and {(r.id, r.span) for r in runs} == {(notes[0].id, TimeRange(0, 40_000))}


# --- engines ----------------------------------------------------------------------------------------------------------

ALWAYS = TimeRange(0, LENGTH)


def test_each_grain_shows_the_best_engine_that_looked_there(shelf: Shelf) -> None:
    shelf.fill([(ALWAYS, "weak")], engine="w", tier=1)
    shelf.fill([(ALWAYS, "strong")], (16_000, 24_000), engine="s", tier=0)
    assert shelf.told() == [(0, 16_000, "weak"), (16_000, 24_000, "strong"), (24_000, LENGTH, "weak")]
    marks = [run.uncertain for run in shelf.reader.merged_notes(shelf.video.id, ALWAYS)]
    assert marks == [True, False, True]


def test_a_better_engine_that_found_nothing_hides_the_weaker_ones_notes(shelf: Shelf) -> None:
    shelf.fill([(ALWAYS, "weak")], (0, 16_000), engine="w", tier=1)
    shelf.fill([], (0, 8_000), engine="s", tier=0)
    assert shelf.told() == [(8_000, 16_000, "weak")]
    assert [run.text for run in shelf.reader.search("weak", [shelf.video.id])] == ["weak"]


def test_a_weaker_engine_afterwards_hides_nothing(shelf: Shelf) -> None:
    shelf.fill([(ALWAYS, "strong")], (0, 8_000), engine="s", tier=0)
    shelf.fill([(ALWAYS, "weak")], engine="w", tier=1)
    assert shelf.told() == [(0, 8_000, "strong"), (8_000, LENGTH, "weak")]


def test_the_newest_of_equals_is_shown_and_the_others_stay_stored(shelf: Shelf) -> None:
    old = shelf.fill([(ALWAYS, "old")], params={"p": 1})
    shelf.fill([(ALWAYS, "new")], (0, 8_000), params={"p": 2})
    assert shelf.told() == [(0, 8_000, "new"), (8_000, LENGTH, "old")]
    assert shelf.told(keys=[old]) == [(0, LENGTH, "old")]


def test_lanes_and_other_analyzers_do_not_compete(shelf: Shelf) -> None:
    shelf.fill([(ALWAYS, "track 1")], lane="1", tier=1)
    shelf.fill([(ALWAYS, "track 2")], lane="2", tier=0)
    shelf.fill([(ALWAYS, "other")], name="another")
    assert sorted(text for *_, text in shelf.told()) == ["other", "track 1", "track 2"]


def test_a_better_engines_coarse_look_does_not_hide_what_another_saw_in_between(shelf: Shelf) -> None:
    shelf.fill([(TimeRange(1_000, 2_000), "flash"), (TimeRange(0, 500), "weak")], step=1_000, engine="w", tier=1)
    shelf.fill([(TimeRange(0, 500), "strong")], step=8_000, engine="s", tier=0)
    assert sorted(text for *_, text in shelf.told()) == ["flash", "strong"]


def test_hidden_notes_are_not_found_by_search(shelf: Shelf) -> None:
    shelf.fill([(ALWAYS, "muddled zebra")], (0, 8_000), engine="w", tier=1)
    shelf.fill([(ALWAYS, "clear zebra")], (0, 8_000), engine="s", tier=0)
    assert [run.text for run in shelf.reader.search("zebra", [shelf.video.id])] == ["clear zebra"]


# --- search -----------------------------------------------------------------------------------------------------------


def test_search_knows_word_forms_several_words_and_accents(shelf: Shelf) -> None:
    happened = [(1, "the prices of cafés"), (2, "running fast"), (3, "it costs forty euros"), (4, "Straße in München"), (5, "हिन्दी में")]
    shelf.fill([(TimeRange(n * 5_000, n * 5_000 + 1_000), text) for n, text in happened])

    def found(query: str) -> list[str]:
        return [run.text for run in shelf.reader.search(query, [shelf.video.id])]

    assert found("price") == found("CAFE") == found("cafe\u0301s") == ["the prices of cafés"]
    assert found("run") == ["running fast"]
    assert found("forty running")[0] in ("it costs forty euros", "running fast") and len(found("forty running")) == 2
    assert found("forty euros running")[0] == "it costs forty euros"
    assert found("munchen") == found("straße") == ["Straße in München"]
    assert found("हिन्दी") == ["हिन्दी में"]
    assert found("zebra") == found("") == found("?!") == []


@pytest.mark.parametrize(
    "query",
    ['"', "forty*", "NEAR(forty", "text:forty", "forty AND", "-forty", "^forty", "(forty", "'; DROP TABLE notes; --", "\x00forty", "{a b}"],
)
def test_search_syntax_in_a_query_is_only_words(shelf: Shelf, query: str) -> None:
    shelf.fill([(TimeRange(0, 1_000), "it costs forty")])
    found = [run.text for run in shelf.reader.search(query, [shelf.video.id])]
    assert found == (["it costs forty"] if "forty" in query else [])


@given(st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_query_is_harmless(store: Store, query: str) -> None:
    NoteReader(store, {}).search(query, ["v0"])


def test_search_stays_within_videos_kinds_and_range(store: Store) -> None:
    one, other = Shelf(store), Shelf(store)
    one.fill([(TimeRange(0, 1_000), "zebra one")])
    other.fill([(TimeRange(0, 1_000), "zebra early"), (TimeRange(40_000, 41_000), "zebra late")])
    other.fill([(TimeRange(30_000, 31_000), "zebra said")], kind="speech", name="speech")

    def found(videos: Sequence[str], **how: Any) -> list[str]:
        return sorted(run.text for run in NoteReader(store, other.specs).search("zebra", videos, **how))

    assert found([one.video.id]) == ["zebra one"]
    assert found([other.video.id]) == ["zebra early", "zebra late", "zebra said"]
    assert found([one.video.id, other.video.id], span=TimeRange(0, 5_000)) == ["zebra early", "zebra one"]
    assert found([other.video.id], kinds=["speech"]) == ["zebra said"] and found([]) == []


def test_a_common_word_in_newer_videos_does_not_crowd_a_match_out(store: Store) -> None:
    mine, newer = Shelf(store), Shelf(store, 3_000_000)
    mine.fill([(TimeRange(0, 1_000), "okapi")])
    newer.fill([(TimeRange(n * 1_000, n * 1_000 + 1), f"okapi {n}") for n in range(2_500)], grain=1_000_000)
    assert [run.text for run in mine.reader.search("okapi", [mine.video.id])] == ["okapi"]


def test_a_title_that_stays_is_one_result_and_hides_no_other(store: Store) -> None:
    shelf = Shelf(store, 700_000)
    shelf.fill([(TimeRange(60_000, 660_000), "gnu"), (TimeRange(5_000, 6_000), "a gnu and a lion and a bear walk by")], step=1_000)
    assert sorted(run.text for run in shelf.reader.search("gnu", [shelf.video.id], limit=5)) == [
        "a gnu and a lion and a bear walk by",
        "gnu",
    ]


# --- filters ----------------------------------------------------------------------------------------------------------


def test_filters_select_on_reading_and_by_their_defaults(shelf: Shelf) -> None:
    scored = [Observation(TimeRange(n * 1_000, n * 1_000 + 900), "text", f"t{n}", n / 10) for n in range(1, 7)]
    about: dict[str, Any] = {"filters_schema": {"min_score": {"type": "number", "default": 0.3}}}
    shelf.fill(scored, prepared=True, **about)
    assert [text for *_, text in shelf.told()] == ["t3", "t4", "t5", "t6"]
    assert [text for *_, text in shelf.told(filters={"min_score": 0.5})] == ["t5", "t6"]
    assert len(shelf.told(filters={"min_score": 0})) == 6
    assert shelf.reader.search("t2", [shelf.video.id]) == []
    hidden = next(n for n in shelf.store.notes.read(shelf.video.id, ALWAYS) if n.text == "t2")
    assert shelf.reader.merged_note_of(hidden).text == "t2", "a note that was cited can still be shown"


def test_an_analyzer_may_select_for_itself(shelf: Shelf) -> None:
    def select(found: Observation, wanted: Mapping[str, list[str]]) -> Observation | None:
        return replace(found, text=found.text.upper()) if found.text in wanted.get("classes", ["cat", "dog"]) else None

    happened = [(TimeRange(0, 500), "cat"), (TimeRange(1_000, 1_500), "dog"), (TimeRange(2_000, 2_500), "ufo")]
    shelf.fill(happened, filters_schema={"classes": {"type": "array"}}, select=select)
    assert [text for *_, text in shelf.told()] == ["CAT", "DOG"]
    assert [text for *_, text in shelf.told(filters={"classes": ["dog"]})] == ["DOG"]


def test_kinds_and_keys_limit_what_is_read(shelf: Shelf) -> None:
    key = shelf.fill([(TimeRange(0, 500), "x")])
    shelf.fill([(TimeRange(0, 500), "y")], kind="motion", name="motion")
    assert [t for *_, t in shelf.told(kinds=["motion"])] == ["y"] and [t for *_, t in shelf.told(keys=[key])] == ["x"]
    assert shelf.told(kinds=[]) == [] and shelf.told(keys=[]) == []
