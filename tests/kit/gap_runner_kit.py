"""What the tests of gathering share: a fake video with a fake analyzer, asked again and again."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from analyzer_agent.evidence.gap_runner import GapRunner, GatherOutcome
from analyzer_agent.evidence.provenance import BoundAnalyzer, make_provenance
from analyzer_agent.protocols import Grain, Video
from analyzer_agent.records import Observation
from analyzer_agent.storage import Store
from analyzer_agent.storage.ledger import Covered, Failed
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange, instants, sample_end
from patience import PATIENCE_S

GRAIN = 8_000
EVENTS = [(TimeRange(0, 3_000), "a"), (TimeRange(2_500, 21_000), "b"), (TimeRange(30_000, 30_100), "c"), (TimeRange(24_000, 48_000), "d")]
numbers = itertools.count()


class Desk:
    """One fake video with one fake analyzer, asked again and again."""

    def __init__(
        self,
        store: Store,
        *,
        step: int = 0,
        analyzer: FakeAnalyzer | None = None,
        name: str | None = None,
        pinned: bool = False,
        tier: int = 0,
        video: FakeVideo | None = None,
        grain: int = GRAIN,
        **about: Any,
    ) -> None:
        self.store = store
        usual: dict[str, Any] = {"duration": 61_000, "video_id": f"v{next(numbers)}"}
        self.video = video or FakeVideo(**usual | about)
        store.notes.add_video(self.video.id, self.video.name, str(self.video.path), self.video.duration)
        self.analyzer = analyzer or FakeAnalyzer(EVENTS, params={"desk": name or self.video.id})
        self.spec = fake_spec(self.analyzer, step=step, grain=grain)
        self.job = BoundAnalyzer(self.spec, self.analyzer, make_provenance(self.spec, self.analyzer, self.video, tier=tier), pinned)
        self.step = step
        self.events: list[Any] = []

    @property
    def key(self) -> str:
        return self.job.provenance.key

    def ask(self, *spans: tuple[int, int], step: int | None = None, force: bool = False, **limits: Any) -> GatherOutcome:
        """Ask once; spans are pairs of ms, the whole video if there are none."""
        gap_runner = GapRunner(self.store, self.video, self.job)
        ranges = [TimeRange(*pair) for pair in spans] or [TimeRange(0, self.video.duration)]
        plan = gap_runner.plan(ranges, self.step if step is None else step, force=force)
        return gap_runner.run(plan, "call", self.events.append, **limits)

    def stored(self) -> list[Any]:
        """Return the notes as they lie in the store, in time order, without their ids."""
        with self.store.connections.read() as db:
            rows = db.execute(
                "SELECT start_ms, end_ms, kind, text, score, detail FROM notes WHERE video = ? AND key = ?", [self.video.id, self.key]
            ).fetchall()
        return sorted(rows)

    def looked_at(self) -> list[int]:
        """Return all instants that the analyzer was given, with repeats."""
        return [t for grain in self.analyzer.analyzed for t in grain.instants]

    def claims(self) -> list[Any]:
        with self.store.connections.read() as db:
            return db.execute("SELECT * FROM claims WHERE video = ?", [self.video.id]).fetchall()

    def covered(self) -> list[Covered]:
        return self.store.ledger.covered(self.video.id, [self.key], TimeRange(0, self.video.duration))

    def failures(self) -> list[Failed]:
        return self.store.ledger.failures(self.video.id, self.key, TimeRange(0, self.video.duration))


class Slow(FakeAnalyzer):
    """Takes `pause` seconds for each grain, or until that is set, and says when it begins one."""

    def __init__(self, pause: float | threading.Event = 0.03, **more: Any) -> None:
        super().__init__(EVENTS, params={"slow": next(numbers)}, **more)
        self.pause, self.begun = pause, threading.Event()

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        for grain in grains:
            self.begun.set()
            if isinstance(self.pause, threading.Event):
                assert self.pause.wait(PATIENCE_S)
            else:
                time.sleep(self.pause)
            yield from super().analyze(video, [grain])


def brute_force(
    video: FakeVideo, asked: Sequence[tuple[list[tuple[int, int]], int, bool]], events: Sequence[tuple[TimeRange, str]] = EVENTS
) -> list[Any]:
    """Return the rows that these requests must leave, computed instant by instant."""
    assert video.picture
    end = video.picture.end
    cells = {(piece, step) for spans, step, _ in asked for pair in spans for piece in TimeRange(*pair).grains(max(GRAIN, step), end)}
    if not any(step for _, step, _ in asked):
        pieces = [(event.within(cell), event, text) for cell, _ in cells for event, text in events]
        return sorted(
            (p.start, p.end, "text", text, 1.0, '{"continues":true}' if p.start > event.start else "{}") for p, event, text in pieces if p
        )
    ends: dict[int, int] = {}
    for cell, step in cells:
        for t in instants(cell, step, video.picture):
            ends[t] = min(ends.get(t, end), sample_end(t, step, end), (t // GRAIN + 1) * GRAIN)
    for t in ends:
        ends[t] = min([ends[t], *(sample_end(t, step, end) for cell, step in cells if cell.start <= t < cell.end)])
    return sorted((t, e, "text", text, 1.0, "{}") for t, e in ends.items() for event, text in events if event.start <= t < event.end)
