"""The end of a question: reading what the model finished with, and checking that its citations were shown to it.

Knows nothing of what the notes say; quotes and times are added from the store later.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analyzer_agent.records import Confidence

_MARK = re.compile(r"\[\s*#\d+(?:\s*[,;]\s*#?\d+)*\s*\]")


@dataclass(frozen=True)
class Draft:
    """What a model finished with, as it wrote it."""

    text: str
    notes: tuple[int, ...] = ()
    choice: str | None = None
    confidence: Confidence = "low"
    found: bool = True
    complaint: str = ""


@dataclass(frozen=True)
class Verdict:
    """A checked answer. `problem` says what is wrong with it, `unseen` that nothing had been looked at."""

    text: str
    cited: list[int] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    choice: str | None = None
    confidence: Confidence = "low"
    found: bool = True
    problem: str = ""
    unseen: bool = False


def finish_of(calls: Sequence[Mapping[str, Any]], text: str, options: Sequence[str]) -> Draft:
    """Return the draft from the finish call, or from plain text where a model answers without calling it."""
    call = next((c for c in calls if c["name"] == "finish"), None)
    if call is None:
        return Draft(text.strip(), complaint="" if text.strip() else "the answer was empty.")
    try:
        given = json.loads(call["arguments"] or "{}")
    except json.JSONDecodeError as error:
        return Draft("", complaint=f"finish's arguments are not valid JSON ({error.msg}).")
    if not isinstance(given, dict) or not isinstance(given.get("answer"), str):
        return Draft("", complaint="finish needs 'answer', a string.")
    letters = [chr(65 + n) for n in range(len(options))]
    choice = given.get("choice")
    wrong = options and choice is not None and choice not in letters
    return Draft(
        text=given["answer"].strip(),
        notes=tuple(n for n in given.get("notes") or () if isinstance(n, int) and not isinstance(n, bool)),
        choice=choice if choice in letters else None,
        confidence=given["confidence"] if given.get("confidence") in ("high", "medium", "low") else "low",
        found=given.get("found", True) is not False,
        complaint=f"{choice!r} is not one of the options {', '.join(letters)}." if wrong else "",
    )


def check(draft: Draft, shown: Collection[int], *, looked: bool) -> Verdict:
    """Return the draft with only those marks left that name notes which were shown; the others are listed as unsupported."""
    cited: list[int] = []
    unsupported: list[str] = []

    def keep(match: re.Match[str]) -> str:
        ids = [int(n) for n in _ids(match[0])]
        valid = [n for n in ids if n in shown]
        cited.extend(n for n in valid if n not in cited)
        return f"[{', '.join(f'#{n}' for n in valid)}]" if valid else ""

    parts = re.split(r"((?<=[.!?])\s+|\n+)", draft.text)
    for at, part in enumerate(parts):
        kept = _MARK.sub(keep, part)
        if _ids(kept) != _ids(part):
            claim = part if _MARK.sub("", part).strip(" .") else "".join(parts[max(0, at - 2) : at + 1])
            unsupported.append(claim.strip())
            kept = re.sub(r"\s+(?=[.!?,;]|$)", "", re.sub(r"[ \t]{2,}", " ", kept))
        parts[at] = kept
    text = "".join(parts).strip()
    cited.extend(n for n in draft.notes if n in shown and n not in cited)
    unsupported.extend(f"#{n}" for n in draft.notes if n not in shown and not any(f"#{n}" in s for s in unsupported))
    return _judged(draft, text, cited, unsupported, looked)


def _ids(text: str) -> list[str]:
    return [number for mark in _MARK.findall(text) for number in re.findall(r"\d+", mark)]


def _judged(draft: Draft, text: str, cited: list[int], unsupported: list[str], looked: bool) -> Verdict:
    problem = draft.complaint
    unseen = not looked
    if not problem and unseen:
        problem = "nothing has been looked at."
    if not problem and draft.found and not cited:
        problem = "no note is cited."
    if not problem and unsupported:
        problem = f"these cite notes that were not shown: {'; '.join(unsupported)}."
    if draft.found and not cited and text and text not in unsupported:
        unsupported = [*unsupported, text]
    confidence: Confidence = draft.confidence if cited or not draft.found else "low"
    return Verdict(text, cited, unsupported, draft.choice, confidence, draft.found, problem, unseen)
