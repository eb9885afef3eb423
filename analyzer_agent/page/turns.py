"""Questions and answers of a conversation as a page shows them: stored answers, with the places of their citations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.sanitize import one_line, sanitize

_KEPT = ("choice", "finished", "confidence", "mode", "manager", "model", "usage", "complete", "data")
"""What a page shows of a stored answer as it is; answers of newer versions may have more."""


@dataclass(frozen=True, slots=True)
class Cited:
    """Finds the videos of citations, which a stored answer knows by name.

    Attributes:
        reader: reads the cited notes, which may be gone; None without a store.
        names: video id -> name, of the page's videos.
    """

    reader: NoteReader | None
    names: Mapping[str, str]
    _by_name: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, reader: NoteReader | None, names: Mapping[str, str]) -> "Cited":
        """Return the finder for a page with these videos."""
        return cls(reader, names, {name: video for video, name in names.items()})

    def place(self, citation: Mapping[str, Any]) -> tuple[str, int]:
        """Return the id of a citation's video, "" if the page does not have it, and of the merged note with the cited one in it."""
        number = citation["note"]
        note = self.reader.store.notes.get([number]).get(number) if self.reader else None
        if self.reader and note and note.video in self.names:
            return note.video, self.reader.merged_note_of(note).id
        return self._by_name.get(str(citation.get("video") or ""), "") if note is None else "", number


def turn_of(turn: Mapping[str, Any], cited: Cited) -> dict[str, Any]:
    """Return a turn of the store's history for a page; `answer` is None if the question was interrupted."""
    answer = turn["answer"]
    shown = {"question": sanitize(turn["question"]), "asked": turn["asked"], "answered": turn["answered"]}
    return shown | {"answer": _answer(answer, cited) if isinstance(answer, dict) and answer.get("answer") is not None else None}


def _answer(answer: Mapping[str, Any], cited: Cited) -> dict[str, Any]:
    kept = {name: clean(answer[name]) for name in _KEPT if answer.get(name) is not None}
    return kept | {
        "text": sanitize(str(answer["answer"])),
        "missing": sanitize(str(answer.get("missing") or "")),
        "left_open": sanitize(str(answer.get("left_open") or "")),
        "unsupported": [sanitize(str(claim)) for claim in answer.get("unsupported") or ()],
        "citations": [_citation(citation, cited) for citation in answer.get("citations") or ()],
        "not_examined": [clean(u) | {"start": _ms(u["start"]), "end": _ms(u["end"])} for u in answer.get("not_examined") or ()],
        "steps": [clean(step) for step in answer.get("steps") or ()],
    }


def _citation(citation: Mapping[str, Any], cited: Cited) -> dict[str, Any]:
    video, row = cited.place(citation)
    words = [[_ms(word["start"]), _ms(word["end"])] for word in citation.get("words") or ()]
    named = {name: one_line(str(citation.get(name) or "")) for name in ("kind", "analyzer", "engine", "speaker")}
    start, end = _ms(citation["start"]), _ms(citation["end"])
    return named | {
        "note": citation["note"],
        "row": row,
        "video": video,
        "name": one_line(str(citation.get("video") or "")),
        "start": start,
        "end": end,
        "at": words[0][0] if words else start,
        "whole": [_ms(whole["start"]), _ms(whole["end"])] if (whole := citation.get("whole")) else None,
        "words": words,
        "text": sanitize(str(citation.get("text") or "")),
        "uncertain": bool(citation.get("uncertain")),
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def clean(value: Any) -> Any:
    """Return JSON whose texts are sanitized and whose numbers every reader of JSON takes."""
    if isinstance(value, str):
        return sanitize(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {sanitize(str(name)): clean(one) for name, one in value.items()}
    return [clean(one) for one in value] if isinstance(value, list | tuple) else value
