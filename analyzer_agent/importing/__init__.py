"""Perception that was made elsewhere, brought in as notes: with coverage, an engine's name of their own, and a key from the file's content.

An import poses as an engine of the analyzer that it stands for, with that analyzer's default options. So its notes are read, searched and
cited like all others, and a request that they cover runs nothing. Knows nothing of sessions or of the command line.
"""

import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from analyzer_agent import tools
from analyzer_agent.errors import AgentError, near
from analyzer_agent.events import Progress, Waiting
from analyzer_agent.evidence.gap_runner import GapRunner
from analyzer_agent.evidence.plan import grains_of
from analyzer_agent.evidence.provenance import IMPORTED, BoundAnalyzer, make_provenance
from analyzer_agent.importing.align import by_analyzer, clip_to_span, shift_earlier
from analyzer_agent.importing.detect import read_document
from analyzer_agent.importing.model import FORMATS_TEXT, Document, Entry
from analyzer_agent.importing.to_observations import cut_at_grains, sampled_observations
from analyzer_agent.media import MediaFile, MissingVideo
from analyzer_agent.protocols import Analyzer, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.storage import Store
from analyzer_agent.timeline import FINEST_STEP, TimeRange, grid_step
from analyzer_agent.tools.support.engine_pool import ImportedEngine

__all__ = ["FORMATS_TEXT", "Import", "ImportResult", "prepare"]

_READER_VERSION = "1"
"""Which reading of files this is; it changes when the same file would give other notes."""

_GRAIN_MS = 512_000
"""How long grains are at least for analyzers that sample: there is nothing to decode, and a long list is stored in seconds."""

_NAME = re.compile(r"[\w.+-]{1,60}")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the entries of one analyzer. `new_ms` of media time are covered by this import, and were not before."""

    analyzer: str
    engine: str
    notes: int
    new_ms: int


@dataclass(frozen=True)
class Import:
    """A file that was read and fits the video. `span` is what it covers; `problems` says what was left out, for people."""

    file: str
    video: MediaFile | MissingVideo
    document: Document
    engine: str
    entries: Mapping[str, Sequence[Entry]]
    span: TimeRange
    problems: Sequence[str]
    weights: str
    """Names the form and the content of the file: what the notes' key is made from."""
    specs: Mapping[str, Spec]

    def run(self, store: Store) -> Generator[Progress | Waiting, None, list[ImportResult]]:
        """Store the notes; what an earlier import of the same file stored stays as it is. Yields progress.

        Raises:
            StoreError: the store cannot be written.
        """
        store.notes.add_video(self.video.id, self.video.name, str(self.video.path.resolve()), self.video.duration)
        done = []
        for name, entries in self.entries.items():
            job = self._job(name, entries)
            gap_runner = GapRunner(store, self.video, job)
            store.notes.set_facts(job.provenance.key, {"file": self.file})
            outcome = yield from gap_runner.run(gap_runner.plan_of(self._grains(self.specs[name])), f"import-{name}")
            done.append(ImportResult(name, self.engine, len(entries), outcome.analyzed_ms))
        return done

    def _job(self, name: str, entries: Sequence[Entry]) -> BoundAnalyzer:
        spec, uncertain = self.specs[name], any(entry.uncertain for entry in entries)
        analyzer = _ImportedAnalyzer(spec, self, entries)
        provenance = make_provenance(spec, analyzer, self.video, tier=int(uncertain), weights=self.weights, uncertain=uncertain)
        return BoundAnalyzer(spec, analyzer, provenance, pinned=True, engine=ImportedEngine(self.engine))

    def _grains(self, spec: Spec) -> list[Grain]:
        """Return the analyzer's grains, the first and the last one cut to what is covered; sampled only if the entries are on the grid."""
        step = self.document.every if spec.step and self.video.picture and _is_on_grid(self.document.every) else 0
        grains = grains_of(replace(spec, step=step, grain=_size(spec, self.video.duration)), self.video, [self.span], step)
        parts = [(grain, part) for grain in grains if (part := grain.span.within(self.span))]
        return [replace(g, span=part, instants=tuple(t for t in g.instants if part.start <= t < part.end)) for g, part in parts]


def prepare(
    file: Path,
    video: MediaFile | MissingVideo,
    *,
    kind: str = "",
    engine: str = "",
    every: int = 1000,
    starts_at: int = 0,
    span: TimeRange | None = None,
) -> Import:
    """Read a file of perception and fit it to a video; nothing is stored yet.

    Args:
        file: in one of the accepted forms (`FORMATS_TEXT`), recognised by its content.
        video: what the file tells about.
        kind: what entries are that name no kind themselves; by default what is usual for the form of the file.
        engine: the name to keep the notes under; by default one that tells the form of the file.
        every: the spacing of a caption list, in ms.
        starts_at: the time of the file at which the video begins, in ms: more than 0 where the video was cut from a longer one.
        span: what the file covers: where it says nothing, nothing was found. By default the whole video.

    Raises:
        AgentError: the file cannot be read, or a place of it is wrong; names it and the accepted forms.
    """
    known = tools.load_all()
    specs = {name: spec for name, (spec, _) in known.items()}
    _check_name(engine, {found.name for _, engines in known.values() for found in engines} | {"pyav"})
    try:
        data = file.read_bytes()
    except OSError as error:
        raise AgentError(f"The file {str(file)!r} cannot be read: {error.strerror}.", hint=near(file)) from error
    document = read_document(data, file, every)
    if starts_at:
        document = replace(document, entries=shift_earlier(document.entries, starts_at))
    covered = span or TimeRange(0, video.duration)
    analyzers: dict[str, str] = {}
    for name, spec in specs.items():
        if spec.required:  # its notes answer to what it was asked, which a file does not tell
            continue
        analyzers |= {brought: name for brought in spec.kinds if brought not in analyzers}
    groups = by_analyzer(document, file.name, kind, analyzers)
    entries, problems = clip_to_span(groups, covered, video.duration, file.name)
    spacing = f" every {document.every} ms" if document.every else ""
    spacing += f" from {starts_at} ms" if starts_at else ""
    weights = f"{IMPORTED}{document.form}{spacing} {_READER_VERSION}:{blake2b(data, digest_size=8).hexdigest()}"
    return Import(file.name, video, document, engine or document.engine, entries, covered, problems, weights, specs)


class _ImportedAnalyzer(Analyzer):
    """Stands for an analyzer with its default options: "finds" what a file tells."""

    def __init__(self, spec: Spec, told: Import, entries: Sequence[Entry]) -> None:
        self._like = spec.bind({}, ImportedEngine(told.engine))
        self.version, self.engine, self.params, self.lane = self._like.version, told.engine, self._like.params, self._like.lane
        self._size = _size(spec, told.video.duration)
        self._told, self._entries = told, entries

    def inputs(self, video: Video) -> Mapping[str, JSON]:
        """Return what the analyzer would read beside picture and sound."""
        return self._like.inputs(video)

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the pieces of the entries that lie in it."""
        if grains[0].step:
            shown = {entry.start // self._told.document.every: entry for entry in self._entries}
            yield from ((grain, sampled_observations(shown, grain)) for grain in grains)
            return
        pieces = cut_at_grains(self._entries, self._size, self._told.span, video.picture)
        yield from ((grain, pieces.get(grain.span.start // self._size, ())) for grain in grains)


def _size(spec: Spec, duration: int) -> int:
    """Return the length of the grains that the notes are cut to, in ms."""
    return max(spec.grain, _GRAIN_MS) if spec.step else spec.grain or duration


def _is_on_grid(every: int) -> bool:
    return every >= FINEST_STEP and grid_step(every / 1000) == every


def _check_name(engine: str, taken: Collection[str]) -> None:
    if engine in taken:
        raise AgentError(
            f"{engine!r} is an engine of this program.", hint=f"Give the import a name of its own: --engine {engine}-elsewhere"
        )
    if engine and not _NAME.fullmatch(engine):
        raise AgentError(f"{engine!r} cannot be an engine's name.", hint="Use letters, digits and . _ + -, at most 60 of them.")
