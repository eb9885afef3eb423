"""Read an answer file, and join each answer with its gold data."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from analyzer_agent.errors import AgentError, near
from analyzer_agent.timeline import TimeRange, parse
from analyzer_agent.toolbox.citations import strip_invalid
from analyzer_agent.wording import letter_index, made_by

AnswerOutcome = Literal["answered", "unparsed", "abstained", "failed"]

_ANSWER_FILE_HINT = "Give a file that `analyzer-agent batch QUESTIONS --out FILE` wrote; running that again repairs one that a crash tore."
_LETTER = re.compile(r"\(?([A-Za-z])\)?[.:]?")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an answer; times in seconds. Media time counts once per analyzer."""

    calls: int = 0
    steps: int = 0
    tokens: int = 0
    analyzer: float = 0.0
    analyzed: float = 0.0
    reused: float = 0.0
    wall: float = 0.0


@dataclass(frozen=True, slots=True)
class Gold:
    """Gold data. `answer` is the index of the right option, a text, or None if unpublished."""

    answer: int | str | None = None
    evidence: tuple[TimeRange, ...] = ()
    options: tuple[str, ...] = ()
    type: str = ""
    dataset: str = "own"
    group: str = ""
    duration: int | None = None
    """Duration of the video in ms."""
    duration_group: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scored:
    """A question with its answer and gold data; `cited` has the spans of the citations in order."""

    id: str
    gold: Gold
    question: str = ""
    finished: str = ""
    """The answer's `finished` field; "" if the question failed."""
    text: str = ""
    """The answer without citation marks."""
    choice: str = ""
    """The choice as written by the model."""
    cited: tuple[TimeRange, ...] = ()
    cost: Cost | None = None
    """None if the question failed."""
    by: str = ""
    """Model and mode: `gpt-5.4 (manager)`; "" if the question failed."""

    @property
    def has_options(self) -> bool:
        return bool(self.gold.options) or isinstance(self.gold.answer, int)

    @property
    def picked(self) -> int | None:
        """The index of the chosen option."""
        return option_index(self.choice, self.gold.options) if self.finished else None

    @property
    def outcome(self) -> AnswerOutcome:
        """The outcome. With options, only a choice counts; none is an abstention."""
        if not self.finished:
            return "failed"
        if self.has_options:
            return "answered" if self.picked is not None else "unparsed" if self.choice else "abstained"
        return "answered" if self.finished == "answered" and (self.text or self.choice) else "abstained"


def read_answers(path: Path, golds: Mapping[str, Gold] | None = None) -> list[Scored]:
    """Return the answers of a file in order, with gold from `golds` (by id) or else from the line.

    Raises:
        AgentError: the file cannot be read or has no answer, or a line is invalid; the message
            names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AgentError(f"The answer file {str(path)!r} cannot be read: {error.strerror}.", hint=near(path)) from error
    except UnicodeDecodeError as error:
        raise AgentError(f"The answer file {str(path)!r} is not UTF-8 text.", hint=_ANSWER_FILE_HINT) from error
    found: dict[str, Scored] = {}
    places: dict[str, list[int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            one = _scored(json.loads(line), golds or {})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            why = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise AgentError(f"{path.name}, line {number} is not an answer of this program: {why}.", hint=_ANSWER_FILE_HINT) from error
        if one.outcome == "failed" and one.id in found:
            continue
        if one.id in found and found[one.id].outcome == "failed":  # asked again by a run that was stopped before it tidied up
            places[one.id].clear()
        found[one.id] = one
        places.setdefault(one.id, []).append(number)
    if not found:
        raise AgentError(f"The answer file {str(path)!r} holds no answer.", hint=_ANSWER_FILE_HINT)
    if twice := {id: lines for id, lines in places.items() if len(lines) > 1}:
        id, lines = next(iter(twice.items()))
        others = f"; {len(twice)} ids are there more than once" if len(twice) > 1 else ""
        raise AgentError(
            f"{path.name} answers {id!r} {len(lines)} times, in lines {' and '.join(map(str, lines[:3]))}{others}.",
            hint="Two batches wrote to it, or files were joined. Keep one line of each id, or answer again with another --out.",
        )
    return list(found.values())


def gold_of(given: Mapping[str, Any]) -> Gold:
    """Parse the `gold` object of a line, with times in seconds.

    Raises:
        ValueError, TypeError, KeyError: a field is not in the form that `batch` writes.
    """
    options = tuple(str(option) for option in given.get("options") or ())
    answer = given.get("answer")
    if answer is not None and (isinstance(answer, bool) or not isinstance(answer, int | str)):
        raise ValueError(f"the gold answer {answer!r} is neither the number of an option nor a text")
    if options and isinstance(answer, str):
        answer = options.index(answer) if answer in options else option_index(answer, options)
        if answer is None:
            raise ValueError(f"the gold answer {given['answer']!r} is none of the options")
    if isinstance(answer, int) and not 0 <= answer < (len(options) or 26):
        raise ValueError(f"the gold answer {answer!r} is not the number of an option")
    duration = given.get("duration")
    return Gold(
        answer=answer,
        evidence=tuple(_span(start, end) for start, end in given.get("evidence") or ()),
        options=options,
        type=str(given.get("type") or ""),
        dataset=str(given.get("dataset") or "own"),
        group=str(given.get("group") or ""),
        duration=None if duration is None else parse(duration),
        duration_group=str(given.get("duration_group") or ""),
        extra=dict(given.get("extra") or {}),
    )


def option_index(choice: str, options: Sequence[str]) -> int | None:
    """Return the index of an option letter (`B`, `b`, `B.` or `(B)`); None if it is not one."""
    match = _LETTER.fullmatch(choice.strip())
    at = letter_index(match[1]) if match else -1
    return at if 0 <= at < (len(options) or 26) else None


def dataset_of(runs: Iterable[Sequence[Scored]]) -> str:
    """Return the benchmark of the answers, "own" by default.

    Answers without gold are ignored. NExT-GQA is part of NExT-QA, so one file may contain both.

    Raises:
        AgentError: the answers belong to several benchmarks.
    """
    known = {one.gold.dataset for items in runs for one in items if one.gold != Gold()}
    if known == {"nextqa", "nextgqa"}:
        return "nextgqa"
    if len(known) > 1:
        raise AgentError(
            f"The answers belong to different benchmarks: {', '.join(sorted(known))}.", hint="Score those of each benchmark by themselves."
        )
    return known.pop() if known else "own"


def common_questions(first: Sequence[Scored], second: Sequence[Scored]) -> tuple[list[Scored], list[Scored]]:
    """Return the answers to common questions in the order of `first`; gold in one file serves both.

    Raises:
        AgentError: there is no such question.
    """
    others = {one.id: one for one in second}
    pairs = [(one, others[one.id]) for one in first if one.id in others]
    if not pairs:
        raise AgentError("The two answer files have no question in common.", hint="Compare answers to the same question file.")
    whole = [(a, b) if a.gold == b.gold else (_with_gold(a, b.gold), _with_gold(b, a.gold)) for a, b in pairs]
    return [a for a, _ in whole], [b for _, b in whole]


def _with_gold(one: Scored, other: Gold) -> Scored:
    if one.gold != Gold():
        if other not in (one.gold, Gold()):
            raise AgentError(f"The two answer files disagree on what is right for {one.id!r}.", hint="Say what is right: --questions FILE.")
        return one
    return replace(one, gold=other)


def _scored(line: Mapping[str, Any], golds: Mapping[str, Gold]) -> Scored:
    if not isinstance(line, dict):
        raise ValueError("it is not a JSON object")
    id = str(line["id"])
    gold = golds.get(id) or gold_of(line.get("gold") or {})
    asked = str(line.get("question") or "")
    if "error" in line:
        return Scored(id, gold, asked)
    return Scored(
        id=id,
        gold=gold,
        question=asked,
        finished=str(line["finished"]),
        text=strip_invalid(str(line.get("answer") or ""), ())[0],
        choice=str(line.get("choice") or ""),
        cited=tuple(_span(c["start"], c["end"]) for c in line.get("citations") or ()),
        cost=_cost(line),
        by=made_by(line) if "manager" in line else "",
    )


def _cost(line: Mapping[str, Any]) -> Cost:
    usage = line.get("usage") or {}
    return Cost(
        calls=int(_amount(usage, "llm_calls")),
        steps=len(line.get("steps") or ()),
        tokens=int(_amount(usage, "input_tokens") + _amount(usage, "output_tokens")),
        analyzer=_amount(usage, "analyzer_seconds"),
        analyzed=_amount(usage, "media_seconds_analyzed"),
        reused=_amount(usage, "media_seconds_reused"),
        wall=_amount(usage, "wall_seconds"),
    )


def _amount(usage: Mapping[str, Any], name: str) -> float:
    value = usage.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{name!r} is {value!r}, not an amount")
    return float(value)


def _span(start: Any, end: Any) -> TimeRange:
    return TimeRange(parse(start), parse(end))
