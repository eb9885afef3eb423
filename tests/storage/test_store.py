"""The store by itself: one door for writes, errors in a person's words, what is kept of videos, notes and questions."""

import gc
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, StoreError
from analyzer_agent.records import Observation, Provenance, ToolResult
from analyzer_agent.storage import ClaimLost, Ledger, Store, database
from analyzer_agent.timeline import TimeRange

RECIPE = Provenance("fake:1", "fake", "1", "engine", 0, "w@1", "", {"p": 1})
SPAN = TimeRange(0, 8_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.db") as opened:
        opened.notes.add_video("v", "v.mp4", "/v.mp4", 60_000)
        opened.notes.add_provenance(RECIPE)
        yield opened


def put(store: Store, span: TimeRange = SPAN, *found: Observation, step: int = 0, instants: tuple[int, ...] = (), video: str = "v") -> None:
    store.ledger.claim(video, RECIPE.key, [span])
    store.ledger.commit(video, RECIPE.key, span, step, instants, found, 1)


def seen(text: str, start: int = 0, end: int = 1_000, **detail: Any) -> Observation:
    return Observation(TimeRange(start, end), "text", text, 0.5, detail)


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_store_is_made_with_its_folders_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "s.db"
    for _ in range(2):
        with Store(path) as opened:
            assert opened.notes.provenances() == []
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_tables_are_named_for_people(store: Store) -> None:
    with store.connections.read() as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"videos", "provenances", "notes", "notes_fts", "coverage", "claims", "sessions", "turns", "tool_calls", "speeds"} <= names


def refused(action: Callable[..., Any]) -> str:
    with pytest.raises(StoreError) as told:
        action()
    assert told.value.hint and isinstance(told.value, AgentError)
    return str(told.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are not the notes you are looking for" * 50)
    assert "it is not an SQLite database" in refused(lambda: Store(tmp_path / "notes.txt"))


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    assert "it is a folder" in refused(lambda: Store(tmp_path))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made" in refused(lambda: Store(tmp_path / "file" / "s.db"))


def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as opened:
        opened.notes.add_video("v", "v", "v", 1)
        opened.notes.add_provenance(RECIPE)
        for n in range(200):
            put(opened, TimeRange(n * 1_000, n * 1_000 + 1_000), seen("word " * 50, n * 1_000, n * 1_000 + 500))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    message = refused(lambda: Store(path).notes.read("v", TimeRange(0, 300_000)))
    assert "it is damaged" in message and repr(str(path)) in message


def test_a_full_disk_keeps_what_was_finished(store: Store) -> None:
    put(store, SPAN, seen("kept"))
    with store.connections.read() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    other = TimeRange(8_000, 16_000)
    assert "the disk is full" in refused(lambda: put(store, other, seen("x" * 100_000, 8_000, 9_000)))
    with store.connections.read() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert [note.text for note in store.notes.read("v", TimeRange(0, 60_000))] == ["kept"]
    put(store, other, seen("later", 8_000, 9_000))
    assert len(store.notes.read("v", TimeRange(0, 60_000))) == 2


def as_somebody_else(action: Callable[..., Any], path: Path) -> str:
    """Run `action` in a child that may not write `path`, and return what it was told."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        told = "nothing went wrong"
        try:
            if os.getuid() == 0:
                os.setgid(65_534)
                os.setuid(65_534)
            action()
        except BaseException as error:
            told = f"{type(error).__name__}: {error} {getattr(error, 'hint', '')}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="acts as another user in a forked child")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_store_that_may_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    Store(path).close()
    for parent in list(path.parents)[:-2]:
        parent.chmod(0o755)
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        for told in (as_somebody_else(lambda: Store(path), path), as_somebody_else(lambda: Store(tmp_path / "new.db"), path)):
            assert told.startswith("StoreError: The store") and "--store" in told
        assert "StoreError: The store's folder" in as_somebody_else(lambda: Store(tmp_path / "new" / "s.db"), path)
    finally:
        tmp_path.chmod(0o755)


def test_a_write_to_a_read_only_store(store: Store) -> None:
    with store.connections.read() as db:
        db.execute("PRAGMA query_only = 1")
    assert "it cannot be written" in refused(lambda: store.notes.add_video("w", "w", "w", 1))


def test_a_store_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "s.db"
    with Store(path) as opened:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        assert "another process has kept it locked" in refused(lambda: opened.notes.add_video("v", "v", "v", 1))
        blocker.execute("COMMIT")
        blocker.close()
        opened.notes.add_video("v", "v", "v", 1)


def test_a_failed_commit_leaves_a_connection_that_works(store: Store) -> None:
    """A deferred constraint fails in COMMIT itself, after the block."""
    with store.connections.write() as db:
        db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE child (id INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)")
    with store.connections.read() as db:
        db.execute("PRAGMA foreign_keys = 1")
    with pytest.raises(sqlite3.IntegrityError), store.connections.write() as db:
        db.execute("INSERT INTO child VALUES (7)")
    with store.connections.write() as db:
        assert db.execute("SELECT count(*) FROM child").fetchone()[0] == 0


def test_connections_of_ended_threads_are_closed(store: Store) -> None:
    opened = []

    def work() -> None:
        with store.connections.read() as db:
            opened.append(db.conn)

    for _ in range(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    gc.collect()
    for conn in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            conn.execute("SELECT 1")


def test_threads_write_side_by_side(store: Store) -> None:
    errors = []

    def work(number: int) -> None:
        try:
            for n in range(20):
                store.history.add_speed("fake", "e", "cpu", 10, 5)
                store.notes.add_video(f"v{number}", str(n), "p", 1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with store.connections.read() as db:
        assert db.execute("SELECT media_ms, wall_ms FROM speeds").fetchone() == (1_200, 600)


# --- notes, coverage, claims ------------------------------------------------------------------------------------------


def test_a_note_comes_back_as_it_went_with_its_provenance(store: Store) -> None:
    found = Observation(TimeRange(10, 990), "object", "2 × Katze\n“hi”", 0.25, {"boxes": [[0.1, 2]], "language": "中文", "none": None})
    put(store, SPAN, found)
    (note,) = store.notes.read("v", SPAN)
    assert note.observation == found and (note.video, note.analyzer, note.key) == ("v", "fake", "fake:1")
    assert store.notes.provenance(note.key) == RECIPE == store.notes.provenances(video="v", analyzer="fake")[0]
    assert store.notes.get([note.id, 999]) == {note.id: note} and store.notes.get([]) == {}


def test_reading_goes_by_overlap(store: Store) -> None:
    put(store, TimeRange(0, 60_000), seen("long", 0, 50_000), seen("short", 10_000, 11_000))

    def read(start: int, end: int) -> list[str]:
        return [note.text for note in store.notes.read("v", TimeRange(start, end))]

    assert read(40_000, 41_000) == ["long"] and read(10_999, 12_000) == ["long", "short"]
    assert read(11_000, 12_000) == ["long"] and read(50_000, 60_000) == []


def test_a_grain_is_committed_whole_or_not_at_all(store: Store) -> None:
    store.ledger.claim("v", RECIPE.key, [SPAN])
    with pytest.raises(TypeError):
        store.ledger.commit("v", RECIPE.key, SPAN, 0, (), [seen("ok"), seen("bad", what=object())], 1)
    assert store.notes.read("v", SPAN) == [] and store.ledger.covered("v", [RECIPE.key], SPAN) == []


def test_nothing_is_stored_without_a_claim(store: Store) -> None:
    with pytest.raises(ClaimLost):
        store.ledger.commit("v", RECIPE.key, SPAN, 0, (), [seen("x")], 1)
    with pytest.raises(ClaimLost):
        store.ledger.fail("v", RECIPE.key, SPAN, 0, "broken")
    assert store.notes.read("v", SPAN) == [] and store.ledger.failures("v", RECIPE.key, SPAN) == []


def test_a_claim_holds_against_others_until_given_back(store: Store) -> None:
    other = Ledger(store.connections)
    grains = [TimeRange(n * 8_000, n * 8_000 + 8_000) for n in range(3)]
    assert store.ledger.claim("v", RECIPE.key, grains[:2]) == grains[:2]
    assert other.claim("v", RECIPE.key, grains) == grains[2:]
    assert other.claim("v", RECIPE.key, [TimeRange(0, 16_000)]) == [], "an overlap counts"
    assert other.claim("v", "fake:2", grains) == grains, "another key is another matter"
    store.ledger.release()
    assert other.claim("v", RECIPE.key, grains[:2]) == grains[:2]


def test_clearing_makes_whoever_is_refining_look_at_all_of_it_again(store: Store) -> None:
    put(store, SPAN, seen("at 0"), step=4_000, instants=(0, 4_000))
    store.ledger.claim("v", RECIPE.key, [SPAN])
    store.maintenance.clear(video="v")
    with pytest.raises(ClaimLost):
        store.ledger.commit("v", RECIPE.key, SPAN, 2_000, (2_000, 6_000), [], 1)
    assert store.ledger.covered("v", [RECIPE.key], SPAN) == []


def test_a_video_seen_again_keeps_its_notes_under_its_new_name(store: Store) -> None:
    put(store, SPAN, seen("x"))
    store.notes.add_video("v", "renamed.mp4", "/elsewhere/renamed.mp4", 60_000)
    assert len(store.notes.read("v", SPAN)) == 1
    assert [(video.name, video.path) for video in store.maintenance.videos()] == [("renamed.mp4", "/elsewhere/renamed.mp4")]


def test_facts_of_an_engine_are_kept(store: Store) -> None:
    assert store.notes.facts(RECIPE.key) == {} == store.notes.facts("unknown")
    store.notes.set_facts(RECIPE.key, {"classes": ["cat"]})
    assert store.notes.facts(RECIPE.key) == {"classes": ["cat"]}


def test_the_schema_keeps_no_secret_columns(store: Store) -> None:
    with store.connections.read() as db:
        columns = {c for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'") for c in _columns(db, t)}
    assert not {c for c in columns if "token" in c or "secret" in c or "api_key" in c}


def _columns(db: Any, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info('{table}')")]


# --- history ----------------------------------------------------------------------------------------------------------


def test_sessions_turns_and_calls(store: Store) -> None:
    assert store.history.open_session("s", ["v"]) == ["v"]
    assert store.history.open_session("s", ["other"]) == ["v"], "a session keeps the videos that it was begun with"
    turn = store.history.begin_turn("s", "When?", "rules", "", "digest")
    assert store.history.turns("s")[0]["answer"] is None
    store.history.end_turn(turn, {"answer": "at 0:01 – „schön“"})
    store.history.add_tool_call("s", turn, ToolResult("c", "text", (1, 2), SPAN, 3_000, 5_000, 42, "find_fake", {"ranges": [[0, 8]]}))
    ((row),) = store.history.turns("s")
    assert (row["question"], row["answer"]) == ("When?", {"answer": "at 0:01 – „schön“"})
    assert [(s["name"], s["turns"]) for s in store.history.sessions()] == [("s", 1)]
    with store.connections.read() as db:
        (call,) = db.query("SELECT * FROM tool_calls")
    assert json.loads(call["arguments"]) == {"ranges": [[0, 8]]}
    assert (call["start_ms"], call["end_ms"], call["reused_ms"], call["analyzed_ms"], call["wall_ms"]) == (0, 8_000, 3_000, 5_000, 42)


def test_speeds_add_up(store: Store) -> None:
    assert store.history.speed("fake", "e", "cpu") is None
    store.history.add_speed("fake", "e", "cpu", 8_000, 0)
    store.history.add_speed("fake", "e", "cpu", 8_000, 3_999)
    assert store.history.speed("fake", "e", "cpu") == 4.0


def test_the_store_needs_no_particular_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Store(Path("s.db")).close()
    assert (tmp_path / "s.db").exists()


def test_a_closed_store_says_so_and_is_not_opened_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.close()
    store.close()
    for use in (store.history.sessions, lambda: store.history.begin_turn("s", "?", "m", "m", "p")):
        with pytest.raises(StoreError, match="was closed meanwhile"):
            use()
