"""The store by what it takes: what a question reads does not grow with what else is stored, and is what a plain filter gives."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlite_utils import Database

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.records import Observation, Provenance, Sample
from analyzer_agent.storage import CHAPTER, Covered, Failed, Store
from analyzer_agent.storage.migrations import migrations
from analyzer_agent.timeline import TimeRange

MINUTE = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.db") as opened:
        yield opened


def known(store: Store, *names: str, tier: int = 0, video: str = "v") -> list[str]:
    """Make a video and recipes known, and return their keys."""
    store.notes.add_video(video, video, f"/{video}", 10**9)
    for name in names:
        store.notes.add_provenance(Provenance(f"{name}:{tier}", name, "1", f"e{tier}", tier, "", "", {}))
    return [f"{name}:{tier}" for name in names]


def put(
    store: Store, key: str, span: TimeRange, *found: Observation, step: int = 0, instants: Sequence[int] = (), video: str = "v"
) -> None:
    store.ledger.claim(video, key, [span])
    store.ledger.commit(video, key, span, step, instants, found, 1)


def seen(kind: str, start: int, length: int, text: str | None = None) -> Observation:
    return Observation(TimeRange(start, start + length), kind, text or f"the word {start}", 0.5, {"n": start})


def minutes(store: Store, number: int, video: str = "v", names: Sequence[str] = ("speech", "text")) -> None:
    """Store so many minutes in grains of ten seconds with a note every second, and of a minute with one note."""
    known(store, *names, "voice", video=video)
    for at in range(0, number * MINUTE, MINUTE):
        for name in names:
            notes = [seen(name, at + n * 1_000, 1_000) for n in range(60)]
            for start in range(at, at + MINUTE, 10_000):
                put(store, f"{name}:0", TimeRange(start, start + 10_000), *notes[(start - at) // 1_000 :][:10], video=video)
        put(store, "voice:0", TimeRange(at, at + MINUTE), seen("voice", at + 20_000, 15_000), video=video)


# --- the same as a plain filter ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_reading_gives_what_a_plain_filter_gives(store: Store, seed: int) -> None:
    """Notes and grains of all lengths, also very long ones of one kind; a better engine hides what a weaker one saw."""
    chance = random.Random(seed)
    keys = [*known(store, "a", "b"), *known(store, "a", tier=1)]
    stored: list[tuple[str, Observation]] = []
    looked: list[tuple[str, TimeRange]] = []
    for key in keys:
        for start in range(0, 600_000, 20_000):
            if chance.random() < 0.6:
                grain = TimeRange(start, start + 20_000 * chance.choice((1, 1, 1, 5)))
                grain = grain if all(not grain.overlaps(other) for k, other in looked if k == key) else TimeRange(start, start + 1_000)
                notes = [seen(chance.choice("xyz"), start + chance.randrange(900), chance.choice((0, 90, 500, 250_000))) for _ in range(3)]
                put(store, key, grain, *notes)
                looked = [(k, other) for k, other in looked if k != key or not (grain.start <= other.start and other.end <= grain.end)]
                looked.append((key, grain))
                stored = [(k, o) for k, o in stored if k != key or not grain.start <= o.span.start < grain.end]
                stored += [(key, o) for o in notes]
    hidden = {
        n for n, (key, o) in enumerate(stored) if key == "a:1" and any(k == "a:0" and g.start <= o.span.start < g.end for k, g in looked)
    }
    for _ in range(40):
        start = chance.randrange(600_000)
        span = TimeRange(start, start + chance.choice((1, 500, 30_000, 300_000)))
        kinds = chance.choice((None, ["x"], ["y", "z"]))
        truth = [o for n, (_, o) in enumerate(stored) if n not in hidden and o.span.overlaps(span) and (kinds is None or o.kind in kinds)]
        told = [note.observation for note in store.notes.read("v", span, kinds=kinds)]
        assert sorted(told, key=_order) == sorted(truth, key=_order)
        assert [o.span.start for o in told] == sorted(o.span.start for o in told)
        begun = [o for n, (_, o) in enumerate(stored) if n not in hidden and span.start <= o.span.start < span.end and o.kind in "xy"]
        assert sorted((b.start, b.text) for b in store.notes.brief("v", span, ["x", "y"])) == sorted((o.span.start, o.text) for o in begun)
        grains = sorted(grain for key, grain in looked if key == "b:0" and grain.overlaps(span))
        assert store.ledger.covered("v", ["b:0"], span) == [Covered(grain, 0, "b:0") for grain in grains]


def _order(o: Observation) -> tuple[TimeRange, str, str]:
    return (o.span, o.kind, o.text)


def test_failures_of_a_range(store: Store) -> None:
    (key,) = known(store, "a")
    spans = [TimeRange(0, 5_000), TimeRange(5_000, 65_000), TimeRange(70_000, 75_000)]
    for span in spans:
        store.ledger.claim("v", key, [span])
        store.ledger.fail("v", key, span, 0, "broken")
    for asked in (TimeRange(0, 100_000), TimeRange(64_000, 70_000), TimeRange(66_000, 70_000), TimeRange(74_999, 80_000)):
        assert store.ledger.failures("v", key, asked) == [Failed(span, key, 1, "broken") for span in spans if span.overlaps(asked)]


def test_the_state_changes_with_what_is_known_and_not_else(store: Store) -> None:
    key, search, chapters = known(store, "a", "moments", "overview")
    span, states = TimeRange(0, 8_000), [store.notes.state("v")]

    def changed(action: Callable[[], object]) -> bool:
        action()
        states.append(store.notes.state("v"))
        return states[-1] not in states[:-1]

    assert changed(partial(put, store, key, span))
    assert changed(partial(put, store, key, span, seen("text", 0, 10))), "done again, under --refresh"
    assert changed(partial(put, store, key, span, seen("text", 0, 10))), "with the same result: the notes have other ids"
    assert changed(partial(put, store, key, TimeRange(8_000, 16_000), Sample(TimeRange(8_000, 9_000), "s", "", vector=b"1")))
    assert changed(partial(store.ledger.keep, "v", search, [span], [seen("moment", 0, 10)]))
    assert not changed(partial(store.ledger.keep, "v", search, [span], [seen("moment", 0, 10)])), "found again"
    assert changed(partial(store.ledger.keep, "v", search, [span], [seen("moment", 5, 10)]))
    assert not changed(partial(store.ledger.keep, "v", chapters, (), [seen(CHAPTER, 0, 10)]))
    assert not changed(partial(minutes, store, 1, "another"))
    before = store.notes.state("v")
    assert changed(partial(store.maintenance.clear, video="v", analyzer="a")) and store.notes.read("v", span) != []
    assert changed(partial(put, store, key, span)) and before not in states[-2:]


# --- what it takes ----------------------------------------------------------------------------------------------------

ASKED: dict[str, Callable[[Store, TimeRange], object]] = {
    "read": lambda store, span: store.notes.read("v", span),
    "read kinds": lambda store, span: store.notes.read("v", span, kinds=["speech"]),
    "brief": lambda store, span: store.notes.brief("v", span, ["speech", "text"]),
    "runs": lambda store, span: NoteReader(store, {}).merged_notes("v", span),
    "state": lambda store, span: store.notes.state("v"),
    "recipes": lambda store, span: store.notes.provenances(video="v"),
    "recipe": lambda store, span: store.notes.provenance("speech:0"),
    "facts": lambda store, span: store.notes.facts("speech:0"),
    "get": lambda store, span: store.notes.get([1, 50, 100]),
    "covered": lambda store, span: store.ledger.covered("v", ["speech:0", "voice:0"], span),
    "failures": lambda store, span: store.ledger.failures("v", "speech:0", span),
    "vectors": lambda store, span: store.vectors.read("v", "speech:0"),
    "speed": lambda store, span: store.history.speed("speech", "e0", "cpu"),
    "turns": lambda store, span: store.history.turns("s"),
    "commit": lambda store, span: put(store, "text:0", span, seen("text", span.start, 10), step=1_000, instants=[span.start]),
    "keep": lambda store, span: store.ledger.keep("v", "text:0", [span], [seen("text", span.start, 10)]),
}


@contextmanager
def traced(store: Store) -> Iterator[list[str]]:
    """Collect the statements that are run, with their values."""
    statements: list[str] = []
    with store.connections.read() as db:
        db.conn.set_trace_callback(statements.append)
        yield statements
        db.conn.set_trace_callback(None)


SMALL = re.compile(r"SCAN (s|l|k|claims|videos|looks|shelves|keys)\b(?! USING)|SCAN j VIRTUAL TABLE|SCAN CONSTANT ROW|SCAN \(subquery")


@pytest.mark.parametrize("what", [*ASKED, "search"])
def test_no_question_scans_a_table(store: Store, what: str) -> None:
    """Claims are those of running processes; the index of words is only read where a word stands in it."""
    minutes(store, 3)
    span = TimeRange(MINUTE, MINUTE + 10_000)
    with traced(store) as statements:
        if what == "search":
            list(store.notes.search("the word", videos=["v"], span=span, kinds=["speech"]))
        else:
            ASKED[what](store, span)
    plans = {}
    with store.connections.read() as db:
        for statement in statements:
            if not statement.startswith(("SELECT", "UPDATE", "DELETE")) or "notes_fts'" in statement or "'notes_fts" in statement:
                continue
            plans[statement] = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plans
    for statement, steps in plans.items():
        for step in steps:
            scanned = step.startswith("SCAN") and not re.fullmatch(r"SCAN (f|notes_fts) VIRTUAL TABLE INDEX \d+:.*[MR=<>].*", step)
            assert not scanned or SMALL.match(step), f"{step}: {statement}"


def steps(store: Store, asked: Callable[[], object]) -> int:
    """Return how many steps SQLite's machine takes, in tens."""
    taken = [0]

    def count() -> None:
        taken[0] += 1

    with store.connections.read() as db:
        db.conn.set_progress_handler(count, 10)
        asked()
        db.conn.set_progress_handler(None, 10)
    return taken[0]


@pytest.mark.parametrize("what", ASKED)
def test_what_it_takes_does_not_grow(store: Store, what: str) -> None:
    """Not with the length of the video, asked at its end, nor with other videos. A read is one of ten seconds."""
    minutes(store, 4)
    small = steps(store, lambda: ASKED[what](store, TimeRange(3 * MINUTE, 3 * MINUTE + 10_000)))
    minutes(store, 40)
    minutes(store, 20, "other")
    large = steps(store, lambda: ASKED[what](store, TimeRange(38 * MINUTE, 38 * MINUTE + 10_000)))
    assert large <= small * 1.3 + 5


def test_a_search_takes_no_more_than_its_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from analyzer_agent.storage import search

    monkeypatch.setattr(search, "RARE_WORD_NOTES", 100)
    monkeypatch.setattr(search, "_NEWEST", 100)
    minutes(store, 4)
    small = steps(store, lambda: next(store.notes.search("the word", videos=["v"])))
    minutes(store, 40)
    assert steps(store, lambda: next(store.notes.search("the word", videos=["v"]))) <= small * 1.3 + 5


# --- stores of earlier versions ---------------------------------------------------------------------------------------


def test_a_store_of_an_earlier_version_is_made_quick_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = Database(path)
    migrations.apply(old, stop_before="m004_bounds")
    old.execute("INSERT INTO videos (id, name, path, duration_ms, longest_ms, added) VALUES ('v', 'v', '/v', 100000, 100000, '')")
    old.execute(
        "INSERT INTO keys (key, analyzer, version, engine, tier, weights, lane, params) VALUES ('a:0', 'a', '1', 'e', 0, '', '', '{}')"
    )
    for n in range(50):
        place = ["v", "a:0", n * 1_000, n * 1_000 + 1_000]
        old.execute("INSERT INTO notes (video, key, start_ms, end_ms, kind, text) VALUES (?, ?, ?, ?, 'text', ?)", [*place, f"ferry w{n}"])
        old.execute("INSERT INTO coverage (video, key, start_ms, end_ms, step_ms, state, at) VALUES (?, ?, ?, ?, 0, 'done', '')", place)
    old.execute("INSERT INTO notes (video, key, start_ms, end_ms, kind, text) VALUES ('v', 'a:0', 0, 60000, 'topic', 'harbour')")
    old.execute("DELETE FROM notes WHERE text = 'ferry w7'")
    old.close()
    for _ in range(2):
        with Store(path) as store:
            assert [note.text for note in store.notes.read("v", TimeRange(30_000, 32_000))] == ["harbour", "ferry w30", "ferry w31"]
            assert len(list(store.notes.search("ferries", videos=["v"]))) == 49
            assert [note.text for note in store.notes.search("w8 harbour", videos=["v"], span=TimeRange(8_500, 9_000))] == [
                "harbour",
                "ferry w8",
            ]
            assert len(store.ledger.covered("v", ["a:0"], TimeRange(0, 60_000))) == 50 and store.notes.state("v") == (1, 50)
            with store.connections.read() as db:
                db.execute("INSERT INTO notes_fts (notes_fts, rank) VALUES ('integrity-check', 1)")


def test_refining_leaves_the_words_as_they_are(store: Store) -> None:
    (key,) = known(store, "a")
    put(store, key, TimeRange(0, 8_000), seen("text", 0, 8_000, "first"), step=8_000, instants=[0])
    with store.connections.read() as db:
        before = db.execute("SELECT id, block FROM notes_fts_data ORDER BY id").fetchall()
    put(store, key, TimeRange(0, 8_000), step=2_000, instants=[2_000, 4_000, 6_000])
    with store.connections.read() as db:
        assert db.execute("SELECT id, block FROM notes_fts_data ORDER BY id").fetchall() == before
    assert [(n.text, n.span.end) for n in store.notes.search("first", videos=["v"])] == [("first", 2_000)]
