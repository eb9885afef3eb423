"""The end of a question: reading what the model finished with, checking that it cites what it may and quotes what is there.

Knows nothing of the store (times and texts of citations are added from it later), nor how marks are written: `citations` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.fencing import echoes_fenced, fenced, unfenced
from analyzer_agent.records import Confidence, ToolResult
from analyzer_agent.toolbox.arguments import parse_object
from analyzer_agent.toolbox.citations import cited_ids, parse_id, strip_invalid
from analyzer_agent.toolbox.quotation_check import misquoting_claims

NO_ANSWER = "There is no answer: the model ended without giving one."


@dataclass(frozen=True)
class DraftAnswer:
    """What a model finished with, as it wrote it."""

    text: str
    notes: tuple[int, ...] = ()
    choice: str | None = None
    confidence: Confidence = "low"
    found: bool = True
    complaint: str = ""

    @property
    def named(self) -> set[int]:
        """The numbers that it cites, whether or not there are such notes."""
        return {*cited_ids(self.text), *self.notes}


@dataclass(frozen=True)
class CheckedAnswer:
    """A checked answer. `problem` says what is wrong with it, `unseen` that nothing had been looked at, `missing` what the notes lack."""

    text: str
    cited: list[int] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    choice: str | None = None
    confidence: Confidence = "low"
    found: bool = True
    problem: str = ""
    unseen: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Outcome:
    """A question at its end: the checked answer and what it took. `spent` is why the model had to finish, empty where it had not."""

    question: str
    verdict: CheckedAnswer
    steps: Sequence[ToolResult] = ()
    spent: str = ""
    llm_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    analyzer_ms: int = 0


def parse_finish_call(calls: Sequence[Mapping[str, Any]], text: str, options: Sequence[str]) -> DraftAnswer:
    """Return the draft from the finish call, or from plain text where a model answers without calling it."""
    call = next((c for c in calls if c["name"] == "finish"), None)
    if call is None:
        return DraftAnswer(unfenced(text), complaint="" if unfenced(text) else "the answer was empty.")
    try:
        given = parse_object(call["arguments"])
    except ToolRefusal as refusal:
        return DraftAnswer("", complaint=f"finish: {refusal}")
    if not isinstance(given.get("answer"), str):
        return DraftAnswer("", complaint="finish needs 'answer', a string.")
    letters = [chr(65 + n) for n in range(len(options))]
    chosen = given.get("choice") if options else None
    choice = _letter(chosen, letters)
    empty = "" if unfenced(given["answer"]) or choice else "the answer was empty."
    return DraftAnswer(
        text=unfenced(given["answer"]) or (f"{choice}: {options[letters.index(choice)]}" if choice else ""),
        notes=_numbers(given.get("notes")),
        choice=choice,
        confidence=given["confidence"] if given.get("confidence") in ("high", "medium", "low") else "low",
        found=given.get("found") not in (False, "false", "False"),
        complaint=empty if choice or chosen in (None, "") else f"{_echoed(chosen)} is not one of the options {', '.join(letters)}.",
    )


def _echoed(given: Any) -> str:
    return echoes_fenced(repr(given), given)


def _letter(chosen: Any, letters: Sequence[str]) -> str | None:
    """Return the letter that a model chose, also where it wrote `b`, `B.` or `(B)`."""
    plain = chosen.strip().strip(".:()[]").strip().upper() if isinstance(chosen, str) else ""
    return plain if plain in letters else None


def _numbers(given: Any) -> tuple[int, ...]:
    """Return the ids of `notes`, also where a model wrote them as text or only one of them."""
    items = given if isinstance(given, list) else [given]
    found = (parse_id(item.strip(" #[]")) if isinstance(item, str) else item for item in items)
    return tuple(dict.fromkeys(n for n in found if isinstance(n, int) and not isinstance(n, bool) and n >= 0))


def check_answer(
    draft: DraftAnswer, evidence: Mapping[int, MergedNote | None], *, looked: bool, options: Iterable[str] = ()
) -> CheckedAnswer:
    """Return the draft with only those marks left that name evidence; claims that cite others, or misquote, are listed as unsupported.

    Args:
        draft: what the model wrote.
        evidence: the notes that may be cited, with what they say; None where that is not known.
        looked: whether anything has been looked at.
        options: the options of the question, which may be quoted like notes.
    """
    text, cited, unsupported = strip_invalid(draft.text, evidence)
    notes = dict.fromkeys(draft.notes)
    cited += [n for n in notes if n in evidence and n not in cited]
    unsupported += [f"#{n}" for n in notes if n not in evidence and not any(f"#{n}" in claim for claim in unsupported)]
    wrong = misquoting_claims(draft.text, cited if draft.found else (), evidence, options)
    problem = _problem(draft, cited, unsupported, wrong, looked)
    unsupported += [claim for claim in wrong if claim not in unsupported]
    if draft.found and not cited and text and text not in unsupported:
        unsupported = [*unsupported, text]
    confidence: Confidence = draft.confidence if (cited or not draft.found) and not wrong else "low"
    return CheckedAnswer(text, cited, unsupported, draft.choice, confidence, draft.found, problem, not looked)


def _problem(draft: DraftAnswer, cited: Sequence[int], uncitable: Sequence[str], wrong: Sequence[str], looked: bool) -> str:
    if draft.complaint:
        return draft.complaint
    if not looked:
        return "nothing has been looked at."
    if draft.found and not cited and not uncitable:
        return "no note is cited."
    told = {
        "cite notes that were not shown, or that lie outside of what may be used": uncitable,
        "quote words that are not in the notes they cite": wrong,
    }
    return " ".join(f"these {what}: {fenced('; '.join(claims))}." for what, claims in told.items() if claims)
