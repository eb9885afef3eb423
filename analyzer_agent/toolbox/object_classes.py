"""Names of object classes in calls and results of analyzers that have a vocabulary."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.provenance import BoundAnalyzer
from analyzer_agent.records import JSON
from analyzer_agent.storage import Store
from analyzer_agent.toolbox.schemas import closest
from analyzer_agent.wording import first_few

_MAX_NAMES_LISTED = 100


_CLASSES_NAMED = 8


def class_of(run: MergedNote) -> str:
    """Return the class of an object or a track."""
    return str(run.notes[0].observation.detail.get("class", run.text))


def class_names(runs: Iterable[MergedNote]) -> str:
    """Return the classes of objects and tracks, the most frequent first."""
    counts = Counter(map(class_of, runs))
    return ", ".join(name for name, _ in counts.most_common(_CLASSES_NAMED))


def kept_facts(store: Store, job: BoundAnalyzer) -> Mapping[str, JSON]:
    """Return the facts of an analyzer, which are stored when its engine first tells them."""
    facts = store.notes.facts(job.provenance.key)
    if not facts and (facts := job.analyzer.facts()):
        store.notes.add_provenance(job.provenance)
        store.notes.set_facts(job.provenance.key, facts)
    return facts


def check_classes(store: Store, filters: Mapping[str, Any], job: BoundAnalyzer) -> None:
    """Check that the weights know the classes that a call filters by.

    Raises:
        ToolRefusal: a class is unknown; the message lists the known ones.
    """
    if not filters.get("classes"):
        return
    known = kept_facts(store, job).get("classes")
    if not isinstance(known, list):
        return
    for name in filters["classes"]:
        if name not in known:
            names = first_few(list(map(str, known)), _MAX_NAMES_LISTED)
            raise ToolRefusal(f"{name!r} is not a class that these weights know{closest(name, known)} Valid ones: {names}.")
