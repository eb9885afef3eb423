"""A store from before the tables were renamed opens with everything that it holds."""

from pathlib import Path

from sqlite_utils import Database

from analyzer_agent.storage import Store
from analyzer_agent.storage.migrations import migrations
from analyzer_agent.timeline import TimeRange

RENAMED = {"keys": "provenances", "looks": "coverage_stats", "shelves": "note_extents"}


def test_renaming_tables_keeps_rows_ids_and_references(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = Database(path)
    migrations.apply(old, stop_before="m006_table_names")
    old.execute("INSERT INTO videos (id, name, path, duration_ms, added) VALUES ('v', 'v', '/v', 100000, '')")
    old.execute(
        "INSERT INTO keys (key, analyzer, version, engine, tier, weights, lane, params, facts) "
        """VALUES ('a:0', 'a', '1', 'e', 0, 'w', '', '{"p": 1}', '{"known": true}')"""
    )
    for n in (3, 7, 8):
        place = ["v", "a:0", n * 1_000, n * 1_000 + 1_000]
        old.execute(
            "INSERT INTO notes (id, video, key, start_ms, end_ms, kind, text) VALUES (?, ?, ?, ?, ?, 'text', ?)", [n, *place, f"ferry {n}"]
        )
        old.execute("INSERT INTO coverage (video, key, start_ms, end_ms, step_ms, state, at) VALUES (?, ?, ?, ?, 0, 'done', '')", place)
    old.execute("INSERT INTO looks VALUES ('v', 'a:0', 1000, 3)")
    old.execute("INSERT INTO shelves VALUES ('v', 'a:0', 'text', 1000)")
    old.execute("DELETE FROM notes WHERE id = 8")
    columns = {table: ", ".join(old.table(table).columns_dict) for table in (*RENAMED, "notes", "coverage")}
    rows = {table: list(old.execute(f"SELECT {columns[table]} FROM {table}")) for table in columns}
    old.close()
    for _ in range(2):
        with Store(path) as store:
            assert [(note.id, note.text) for note in store.notes.read("v", TimeRange(0, 10_000))] == [(3, "ferry 3"), (7, "ferry 7")]
            assert {note.id for note in store.notes.search("ferry", videos=["v"])} == {3, 7}
            assert store.notes.state("v") == (1, 3) and store.notes.facts("a:0") == {"known": True}
            assert len(store.ledger.covered("v", ["a:0"], TimeRange(0, 60_000))) == 3
            with store.connections.read() as db:
                now = {table: list(db.execute(f"SELECT {columns[table]} FROM {RENAMED.get(table, table)}")) for table in rows}
                assert now == rows
                assert not set(RENAMED) & set(db.table_names())
                assert db.execute("PRAGMA foreign_key_check").fetchall() == []
                # An id that was given before is not given again.
                assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'notes'").fetchone() == (8,)
