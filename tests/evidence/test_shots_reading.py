"""Shots as they are read: whole, whatever part of them is asked for."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_agent.evidence.merging import MergedNote, NoteReader
from analyzer_agent.records import JSON, Observation, Provenance
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange

KEY = "scenes:test"
GRAIN = 60_000
CUTS = (0, 10_000, 170_000, 175_000)
END = 240_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as opened:
        opened.notes.add_video("v", "v.mp4", "/v.mp4", END)
        opened.notes.add_provenance(Provenance(KEY, "scenes", "1", "test", 0, "", "", {"detector": "adaptive"}))
        yield opened


def cover(store: Store, *numbers: int) -> None:
    """Store the pieces of whole grains as the analyzer would."""
    for number in numbers:
        grain = TimeRange(number * GRAIN, (number + 1) * GRAIN)
        edges = sorted({grain.start, grain.end, *(c for c in CUTS if grain.start < c < grain.end)})
        pieces = []
        for start, end in itertools.pairwise(edges):
            detail: dict[str, JSON] = {"cut": True, "pts": start, "frame": start * 25 // 1000} if start in CUTS else {"continues": True}
            detail |= {"rate": "25", "until": end - 40}
            detail |= {"first": True} if start == 0 else {}
            detail |= {"last": True} if end == END else {}
            pieces.append(Observation(TimeRange(start, end), "scene", "shot", None, detail))
        store.ledger.claim("v", KEY, [grain])
        store.ledger.commit("v", KEY, grain, 0, (), pieces, 1)


def shots(store: Store, start: int, end: int) -> list[MergedNote]:
    return NoteReader(store, {}).merged_notes("v", TimeRange(start, end), kinds=["scene"])


def test_a_part_of_a_lasting_shot_tells_the_whole_shot(store: Store) -> None:
    cover(store, 0, 1, 2, 3)
    for start in (12_000, 65_000, 130_000, 168_000):
        (run,) = shots(store, start, start + 1_000)
        assert (run.text, run.span) == ("shot 2", TimeRange(10_000, 170_000))
        assert not run.open_start and not run.open_end


def test_a_shot_is_open_only_where_nobody_looked(store: Store) -> None:
    cover(store, 0, 2, 3)
    (before,) = shots(store, 20_000, 21_000)
    assert before.span == TimeRange(10_000, 60_000) and before.open_end and not before.open_start
    (after,) = shots(store, 130_000, 131_000)
    assert after.span == TimeRange(120_000, 170_000) and after.open_start and not after.open_end
    assert after.text == "shot", "the number of a shot is not known when those before it are not"


def test_shots_are_shown_under_the_same_id_wherever_they_are_asked(store: Store) -> None:
    cover(store, 0, 1, 2, 3)
    assert len({shots(store, at, at + 500)[0].id for at in range(11_000, 169_000, 7_000)}) == 1


def test_imported_shots_may_be_of_any_length(store: Store) -> None:
    edges = (0, 40, 80, 500, END)
    pieces = []
    for start, end in itertools.pairwise(edges):
        detail: dict[str, JSON] = {"cut": True, "pts": start, "until": end - 1, "first": start == 0, "last": end == END}
        pieces.append(Observation(TimeRange(start, end), "scene", "shot", None, detail))
    store.ledger.claim("v", KEY, [TimeRange(0, END)])
    store.ledger.commit("v", KEY, TimeRange(0, END), 0, (), pieces, 1)
    assert [run.span.start for run in shots(store, 0, END)] == [0, 40, 80, 500]
