"""What cannot be decoded does not count as analyzed, whichever analyzer ran."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.media import open_video
from analyzer_agent.protocols import Spec, Video
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeEngine
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import text
from damage_kit import KEYS, WORDS, damage, words
from media_maker import drawn

WHOLE = TimeRange(0, 12_000)
LIKE = [np.asarray(drawn(word))[..., ::-1].astype(np.int16) for word in WORDS]


class Reader:
    """Reads the word whose picture is most like the one given."""

    def read(self, image: Any, languages: Sequence[str]) -> list[tuple[str, float, tuple[float, float, float, float]]]:
        nearest = min(range(3), key=lambda n: float(np.abs(LIKE[n] - image).mean()))
        return [(WORDS[nearest], 0.9, (12.0, 12.0, 100.0, 30.0))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "notes.db") as opened:
        yield opened


def run(store: Store, video: Video, spec: Spec, engine: FakeEngine, *steps: int) -> tuple[list[str], list[str]]:
    """Run an analyzer over the video at each step; return its notes and what was not examined."""
    store.notes.add_video(video.id, "words", str(video.path), video.duration)
    analyzer = spec.bind({}, engine)
    runner = GapRunner(store, video, BoundAnalyzer(spec, analyzer, make_provenance(spec, analyzer, video), False))
    for step in steps or (spec.step,):
        runner.run(runner.plan([WHOLE], step), "call", lambda _: None)
    reader = NoteReader(store, {spec.name: spec})
    notes = [f"{note.span} {note.text}" for note in reader.merged_notes(video.id, WHOLE)]
    return notes, [f"{left.span} {left.reason}" for left in reader.unheard(video.id, WHOLE)]


def test_text_before_the_damage_is_not_held_over_it(store: Store, tmp_path: Path) -> None:
    with open_video(damage(words(tmp_path / "a.mp4"), 3.5, 8.5)) as video:
        notes, left = run(store, video, text.SPEC, FakeEngine(Reader()))
    assert notes == ["0:00-0:04 ALPHA 41", "0:10-0:12 CHARLIE 63"]
    assert left == ["0:03.52-0:09 undecodable"]


def test_finer_requests_leave_the_same_gap(store: Store, tmp_path: Path) -> None:
    with open_video(damage(words(tmp_path / "a.mp4"), 3.5, 8.5)) as video:
        notes, left = run(store, video, text.SPEC, FakeEngine(Reader()), 2_000, 1_000, 500)
    assert notes == ["0:00-0:04 ALPHA 41", "0:09-0:12 CHARLIE 63"]
    assert left == ["0:03.52-0:09 undecodable"]


def test_an_encrypted_video_is_not_empty_but_encrypted(store: Store, tmp_path: Path) -> None:
    with open_video(words(tmp_path / "a.mp4", options=KEYS)) as video:
        assert run(store, video, text.SPEC, FakeEngine(Reader())) == ([], ["0:00-0:12 encrypted"])
