"""Analyzers of one turn: sharing a decoding pass, against running one after the other."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer_agent import Session
from analyzer_agent.session import EnginePool
from benchmarks.speed.clips import clip
from benchmarks.speed.measure import Figure, Work, paired, ratios

_WITH = ("scenes", "motion")


def figures(work: Work) -> Iterator[Figure]:
    """Yield the speed-up of sharing."""
    video, pool = clip(work.folder, 60), EnginePool()
    ours, plain = partial(_notes, video, pool, [_WITH]), partial(_notes, video, pool, [[name] for name in _WITH])
    together, apart = ours(), plain()
    if together != apart:
        raise AssertionError("analyzers find something else when they run together")
    pairs = paired(ours, plain, work.runs)
    what = f"{' and '.join(_WITH)} of a minute, 720p, together"
    yield Figure(what, "one after the other", ratios(pairs), same=f"{len(together)} notes", seconds=pairs)


def _notes(video: Path, pool: EnginePool, turns: Sequence[Sequence[str]]) -> list[tuple[int, int, str, str]]:
    with TemporaryDirectory() as folder, Session(video, store=Path(folder) / "s.db", manager="rules", offline=True, pool=pool) as session:
        for names in turns:
            for _ in session.index_stream(names):
                pass
        (session_video,) = session.session_videos
        notes = session.store.notes.read(session_video.video.id, session_video.scope)
        return sorted((note.span.start, note.span.end, note.kind, note.text) for note in notes)
