"""Chapters: the parts of a summary, stored as citable notes that name their sources.

They are derived data: recreated when the notes on a video change, and left out of reading and
searching unless requested by kind. `summary` finds the parts.
"""

import hashlib
from collections.abc import Sequence

from analyzer_agent.evidence.summary import Part
from analyzer_agent.records import Observation, Provenance
from analyzer_agent.storage import CHAPTER, CHAPTERS, Store

_MAX_TEXT_CHARS = 160


def keep(store: Store, video: str, parts: Sequence[Part]) -> list[int | None]:
    """Store the parts that have sources; return a note id for each part, or None without sources.

    The same parts of the same notes keep their ids.
    """
    state = hashlib.sha256(repr(store.notes.state(video)).encode()).hexdigest()[:12]
    provenance = Provenance(f"{CHAPTERS}:{state}", CHAPTERS, "1", "digest", 0, "", state, {"notes": state})
    told = [part for part in parts if _sources(part)]
    store.notes.add_provenance(provenance)
    ids = iter(store.ledger.keep(video, provenance.key, (), [_observed(part) for part in told]))
    return [next(ids) if _sources(part) else None for part in parts]


def _sources(part: Part) -> list[int]:
    return [run.id for run in ((part.shot, *part.runs) if part.shot else part.runs)]


def _observed(part: Part) -> Observation:
    sources = _sources(part)
    told = part.runs[0].text if part.runs else ""
    about = ": ".join(text for text in (", ".join(part.words), told[:_MAX_TEXT_CHARS]) if text) or "a shot"
    return Observation(part.span, CHAPTER, f"{about} (from {', '.join(f'#{n}' for n in sources)})", None, {"sources": list(sources)})
