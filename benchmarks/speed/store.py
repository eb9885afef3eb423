"""Store with a million notes: reading a range, searching and adding notes, by absolute limits."""

import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from benchmarks.made import made_once
from benchmarks.speed.drawn import HOUR, LAYERS, Layer, commit, fill, sentence
from benchmarks.speed.measure import Figure, Work

_HOURS = 96
_ASKED = 100
_SHOWN = 20
_LAYOUTS = {"96 videos of 1 h": ([f"video{n:03}" for n in range(_HOURS)], 1), "one video of 96 h": (["video000"], _HOURS)}

_Ask = Callable[[], object]


def figures(work: Work) -> Iterator[Figure]:
    """Yield the latency of queries and the rate of adding notes."""
    for layout, (videos, hours) in _LAYOUTS.items():
        with Store(_built(work.folder / f"store-{len(videos)}-1.db", videos, hours)) as store:
            for what, limit, draw in _questions(store, videos, hours * HOUR):
                chance = random.Random(11)
                draw(chance)()
                values = [_p95([draw(chance) for _ in range(_ASKED)]) for _ in range(work.runs)]
                yield Figure(f"{what}, p95 ({layout})", values=values, unit="ms", target=limit, at_most=True)
    large = [layer for layer in LAYERS if layer.kind in ("speech", "object", "scene") and not layer.provenance.tier]
    yield Figure("adding notes, 9 to 30 a grain", values=[_added(work, large) for _ in range(work.runs)], unit="notes/s", target=20_000)
    small = [layer for layer in LAYERS if layer.kind in ("text", "tag", "caption", "voice")]
    yield Figure("adding notes, 1 to 5 a grain", values=[_added(work, small) for _ in range(work.runs)], unit="notes/s", target=3_000)


def _built(path: Path, videos: list[str], hours: int) -> Path:
    """Return a store with about a million notes, created on first use."""

    def make(unfinished: Path) -> None:
        unfinished.unlink(missing_ok=True)
        with Store(unfinished) as store:
            fill(store, videos, hours)

    return made_once(path, make)


def _questions(store: Store, videos: list[str], length: int) -> Iterator[tuple[str, int, Callable[[random.Random], _Ask]]]:
    """Yield each query's name, its limit in ms, and a function that draws a random one."""
    reader = NoteReader(store, {})

    def span(chance: random.Random) -> TimeRange:
        asked = chance.randint(60_000, 600_000)
        start = chance.randrange(length - asked)
        return TimeRange(start, start + asked)

    def words(chance: random.Random) -> str:
        return sentence(chance, chance.randint(1, 6)) + chance.choice(("", "", " person"))

    def read(chance: random.Random) -> _Ask:
        video, asked = chance.choice(videos), span(chance)
        return lambda: store.notes.read(video, asked)

    def runs(chance: random.Random) -> _Ask:
        # Numbering shots reads all earlier ones, so unlike other kinds, they take longer in long
        # videos.
        video, asked = chance.choice(videos), span(chance)
        kinds = [layer.kind for layer in LAYERS if layer.kind != "scene" or len(videos) > 1]
        return lambda: reader.merged_notes(video, asked, kinds=kinds)

    def state(chance: random.Random) -> _Ask:
        video, asked = chance.choice(videos), span(chance)
        keys = [layer.provenance.key for layer in LAYERS]
        return lambda: (store.notes.state(video), store.notes.provenances(video=video), store.ledger.covered(video, keys, asked))

    def search(chance: random.Random) -> _Ask:
        query, where = words(chance), chance.choice((videos, [chance.choice(videos)]))
        within, kinds = chance.choice((None, span(chance))), chance.choice((None, ["speech", "caption"]))
        return lambda: list(islice(store.notes.search(query, videos=where, span=within, kinds=kinds), _SHOWN))

    def find(chance: random.Random) -> _Ask:
        query, video = words(chance), chance.choice(videos)
        return lambda: reader.search(query, [video], limit=_SHOWN)

    yield "notes of 1 to 10 min", 20, read
    yield "notes of 1 to 10 min, joined for reading", 60, runs
    yield "state, recipes and coverage", 20, state
    yield "search for 1 to 6 words", 40, search
    yield "search for 1 to 6 words, joined", 40, find


def _p95(asked: list[_Ask]) -> float:
    """Return the 95th percentile of the queries' processor times, in ms: others may use the machine."""
    took = []
    for ask in asked:
        began = time.process_time()
        ask()
        took.append((time.process_time() - began) * 1000)
    return sorted(took)[len(took) * 95 // 100 - 1]


def _added(work: Work, layers: list[Layer]) -> float:
    """Return the notes per second that a new store accepts through claims and commits."""
    chance, notes, took = random.Random(3), 0, 0.0
    with TemporaryDirectory(dir=work.folder) as folder, Store(Path(folder) / "s.db") as store:
        store.notes.add_video("v", "v.mp4", "/v.mp4", HOUR)
        for layer in layers:
            store.notes.add_provenance(layer.provenance)
            grains = list(layer.grains(chance, TimeRange(0, HOUR)))
            began = time.perf_counter()
            notes += commit(store, "v", layer, grains)
            took += time.perf_counter() - began
    return notes / took
