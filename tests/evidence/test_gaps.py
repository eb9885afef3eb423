"""Gaps within covered grains: what could not be examined is stored with the grain and reported at each reading."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.protocols import Grain, Spec
from analyzer_agent.records import Observation, Unread, gap
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange

GRAIN = 8_000


class Damaged(FakeAnalyzer):
    """Reports the parts of `damage` in each grain as gaps, next to the events."""

    def __init__(self, events: Sequence[tuple[TimeRange, str]], damage: Mapping[TimeRange, tuple[Unread, str]]) -> None:
        super().__init__(events)
        self.damage = damage

    def analyze(self, video: Any, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        for grain, found in super().analyze(video, grains):
            parts = [gap(part, *why) for span, why in self.damage.items() if (part := span.within(grain.span))]
            yield grain, [*found, *parts]


def filled(store: Store, damage: Mapping[TimeRange, tuple[Unread, str]]) -> tuple[NoteReader, FakeVideo, Spec]:
    video, analyzer = FakeVideo(duration=32_000), Damaged([(TimeRange(1_000, 3_000), "forty")], damage)
    store.notes.add_video(video.id, video.name, str(video.path), video.duration)
    spec = fake_spec(analyzer, grain=GRAIN)
    job = BoundAnalyzer(spec, analyzer, make_provenance(spec, analyzer, video), False, None)
    store.notes.add_provenance(job.provenance)
    for grain, found in analyzer.analyze(video, [Grain(span) for span in TimeRange(0, 32_000).grains(GRAIN, video.duration)]):
        store.ledger.claim(video.id, job.provenance.key, [grain.span])
        store.ledger.commit(video.id, job.provenance.key, grain.span, grain.step, grain.instants, found, 1)
    return NoteReader(store, {spec.name: spec}), video, spec


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "notes.db") as opened:
        yield opened


def test_a_gap_across_grains_is_read_as_one(store: Store) -> None:
    reader, video, _ = filled(store, {TimeRange(5_000, 20_000): ("undecodable", "12 broken frames")})
    (left,) = reader.unheard(video.id, TimeRange(0, 32_000))
    assert (left.analyzer, left.span, left.reason, left.detail) == ("fake", TimeRange(5_000, 20_000), "undecodable", "12 broken frames")
    assert [u.span for u in reader.unheard(video.id, TimeRange(7_000, 9_000))] == [TimeRange(7_000, 9_000)]
    assert reader.unheard(video.id, TimeRange(24_000, 32_000)) == []


def test_reasons_stay_apart(store: Store) -> None:
    damage: dict[TimeRange, tuple[Unread, str]] = {
        TimeRange(1_000, 4_000): ("encrypted", ""),
        TimeRange(4_000, 6_000): ("too_small", "letters under 12 pixels"),
    }
    reader, video, _ = filled(store, damage)
    left = reader.unheard(video.id, TimeRange(0, 32_000))
    assert {(u.span, u.reason, u.detail) for u in left} == {(span, *why) for span, why in damage.items()}


def test_a_gap_is_no_note_to_read_or_to_find(store: Store) -> None:
    reader, video, _ = filled(store, {TimeRange(0, 32_000): ("unreadable_cue", "line 7")})
    assert [note.text for note in reader.merged_notes(video.id, TimeRange(0, 32_000))] == ["forty"]
    assert not any(reader.search(words, [video.id]) for words in ("unreadable cue", "gap", "line 7"))
