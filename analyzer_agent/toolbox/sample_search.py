"""Similarity search over stored samples.

Hits are stored as notes, so that they can be cited and a repeated search returns the same ids.
`Analyzer.search` compares the samples.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from analyzer_agent.evidence.merging import MergedNote, NoteReader, SampleGrid
from analyzer_agent.evidence.provenance import BoundAnalyzer, search_provenance
from analyzer_agent.protocols import Spec
from analyzer_agent.records import Sample
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, sample_end
from analyzer_agent.toolbox.session_video import SessionVideo

MAX_RESULTS = 20
"""The most hits of a search."""


def search_samples(
    store: Store,
    reader: NoteReader,
    session_video: SessionVideo,
    ranges: Sequence[TimeRange],
    job: BoundAnalyzer,
    filters: Mapping[str, Any],
    grid: SampleGrid,
) -> list[MergedNote]:
    """Return the hits that overlap `ranges`, best first.

    All samples of the video on the grid are compared, so that hits do not depend on the ranges.

    Raises:
        ToolRefusal: the filters contain no query.
    """
    video = session_video.video.id
    stored = [(t, vector) for t, vector in store.vectors.read(video, job.provenance.key) if grid.holds(t)]
    samples = [Sample(TimeRange(t, sample_end(t, grid.step, grid.end)), "", "", vector=vector) for t, vector in stored]
    limit = filters.get("limit", job.spec.filters_schema["limit"]["default"])
    wanted = {n: " ".join(value.split()) if isinstance(value, str) else value for n, value in filters.items() if n != "limit"}
    hits = (one for one in job.analyzer.search(samples, wanted) if any(one.span.overlaps(span) for span in ranges))
    best = list(islice(hits, min(max(1, limit), MAX_RESULTS)))
    if not best:
        return []
    provenance = search_provenance(job.provenance, {"step": grid.step, **wanted})
    store.notes.add_provenance(provenance)
    ids = store.ledger.keep(video, provenance.key, ranges, best)
    notes = store.notes.get(ids)
    return [reader.merged_note_of(notes[n]) for n in ids]


def likeness_text(runs: Sequence[MergedNote], filters: Mapping[str, Any], spec: Spec) -> str:
    """Return the similarity score of each hit with a caveat, or the argument that is missing."""
    if absent := [name for name in spec.required if name not in filters]:
        return f"Nothing was searched for: there is no {absent[0]!r}"
    likeness = ", ".join(f"#{run.id} {run.score or 0:.3f}" for run in runs)
    return f"Likeness, best first: {likeness}. This is not proof: confirm with another tool" if runs else ""
