"""What a model finishes a question with: the arguments of its call, or plain text, as a draft."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.fencing import echoes_fenced, unfenced
from analyzer_agent.forms import FilledField, Form, InvalidForm, lines
from analyzer_agent.questions import option_letter
from analyzer_agent.records import Claim, Confidence, Ending, ToolCall
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox.citations import cited_ids, parse_id
from analyzer_agent.toolbox.schemas import parse_object, time_range

CLAIMS: tuple[Claim, ...] = get_args(Claim)

_ANY_TIME = TimeRange(0, 1 << 40)


@dataclass(frozen=True)
class DraftAnswer:
    """What a model finished with, as it wrote it.

    Attributes:
        text: the answer.
        notes: the ids that it names beside those of its marks.
        choice: the letter of the chosen option.
        confidence: its confidence.
        ending: how it ends the question.
        left_open: what it left unexamined although it might matter, None if it names nothing.
        claim: of what part of the scope the answer is true.
        part: the part of the video, start and end in ms, that is asked about; None for all of it.
        video: the name of the video that is asked about; None for all of them.
        fields: the fields of a form that were filled in; `text` tells them, a line for each.
        complaint: why the call is invalid, None if it is valid.
    """

    text: str
    notes: tuple[int, ...] = ()
    choice: str | None = None
    confidence: Confidence = "low"
    ending: Ending = "answered"
    left_open: str | None = None
    claim: Claim = "some"
    part: tuple[int, int] | None = None
    video: str | None = None
    fields: tuple[FilledField, ...] = ()
    complaint: str | None = None

    @property
    def found(self) -> bool:
        """Whether it states something about the video that notes have to show."""
        return self.ending != "not_found"

    @property
    def named(self) -> set[int]:
        """The numbers that it cites, whether or not there are such notes."""
        return {*cited_ids(self.text), *self.notes}

    def reworded(self, text: str) -> "DraftAnswer":
        """Return the draft with a text in which some marks name other notes: `notes` loses what the text no longer cites."""
        gone = set(cited_ids(self.text)) - set(cited_ids(text))
        return replace(self, text=text, notes=tuple(number for number in self.notes if number not in gone))


def parse_finish_call(calls: Sequence[ToolCall], text: str, options: Sequence[str]) -> DraftAnswer:
    """Return the draft from the finish call, or from plain text where a model answers without calling it."""
    call = next((c for c in calls if c.name == "finish"), None)
    if call is None:
        return DraftAnswer(unfenced(text), complaint=None if unfenced(text) else "the answer was empty.")
    try:
        given = parse_object(call.arguments)
    except ToolRefusal as refusal:
        return DraftAnswer("", complaint=f"finish: {refusal}")
    if not isinstance(given.get("answer"), str):
        return DraftAnswer("", complaint="finish needs 'answer', a string.")
    letters = [option_letter(n) for n in range(len(options))]
    chosen = given.get("choice") if options else None
    choice = _letter(chosen, letters)
    empty = None if unfenced(given["answer"]) or choice else "the answer was empty."
    return DraftAnswer(
        text=unfenced(given["answer"]) or (f"{choice}: {options[letters.index(choice)]}" if choice else ""),
        notes=_numbers(given.get("notes")),
        choice=choice,
        confidence=given["confidence"] if given.get("confidence") in ("high", "medium", "low") else "low",
        ending=_ending(given),
        left_open=_left_open(given.get("not_examined"), given["answer"]),
        claim=given["claim"] if given.get("claim") in CLAIMS else "some",
        part=_part(given.get("scope")),
        video=given["video"] if isinstance(given.get("video"), str) else None,
        complaint=empty if choice or chosen in (None, "") else f"{_echoed(chosen)} is not one of the options {', '.join(letters)}.",
    )


def in_form(draft: DraftAnswer, form: Form) -> DraftAnswer:
    """Return a draft whose text is a filled form as one that tells its fields, or with the complaint that it does not fit."""
    if draft.complaint:
        return draft
    try:
        fields = form.filled(draft.text)
    except InvalidForm as problem:
        return replace(draft, confidence="low", complaint=unfenced(str(problem)))
    ending = draft.ending if any(field.value is not None for field in fields) else "not_found"
    return replace(draft, text=lines(fields), notes=(), fields=tuple(fields), ending=ending)


def _ending(given: Mapping[str, Any]) -> Ending:
    """Return how a model ends the question; recorded conversations have the flag `found` in place of `outcome`."""
    outcome = given.get("outcome")
    if outcome in ("answered", "not_found", "premise_false"):
        return outcome  # type: ignore[no-any-return]
    return "not_found" if given.get("found") in (False, "false", "False") else "answered"


def _left_open(given: Any, answer: str) -> str | None:
    """Return what was left unexamined, None if nothing is named or the answer itself says it."""
    told = " ".join(unfenced(given).split()) if isinstance(given, str) else ""
    return told if any(map(str.isalnum, told)) and told not in " ".join(answer.split()) else None


def _part(given: Any) -> tuple[int, int] | None:
    try:
        span = time_range(given, _ANY_TIME) if given else None
    except ToolRefusal:
        return None  # the claim is then checked over the whole scope, which is the stricter rule
    return (span.start, span.end) if span else None


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
