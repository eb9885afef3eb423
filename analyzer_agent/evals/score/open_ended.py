"""Score open answers by their words, including OVQA's accuracy on rare and unseen answers."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer_agent.errors import AgentError, near
from analyzer_agent.evals.score.answer_file import Scored
from analyzer_agent.evals.score.grading import f1, has_gold, is_absent, is_right
from analyzer_agent.evals.score.sections import Section, grouped, percent, shares

_FREQUENCY_CLASSES = (("base", 101), ("common", 11), ("rare", 1), ("unseen", 0))
"""OVQA's classes of answers, with their minimum number of occurrences in the training set."""

_HINT = 'Give the training answers as JSON (a list of texts or of {"answer": ...}, or counts {"yes": 12}) or as CSV with a column "answer".'


def open_answers(items: Sequence[Scored]) -> Section | None:
    """Return the word overlap of open answers with the gold; None without open answers."""
    asked = open_questions(items)
    if not asked:
        return None
    rows = [
        ("exact match", len(asked), percent(is_right(one) for one in asked)),
        ("token F1", len(asked), percent(word_f1(one) for one in asked)),
    ]
    note = "Words are compared as SQuAD does: lower case, without punctuation, articles and needless blanks. Who does not answer scores 0."
    return Section("open", "Open answers", ("measure", "questions", "score %"), rows, note)


def open_questions(items: Sequence[Scored]) -> list[Scored]:
    """Return the questions with a text as gold answer."""
    return [one for one in items if has_gold(one) and not one.has_options]


def word_f1(one: Scored) -> float:
    """Return the word F1 of an answer; 0 without an answer."""
    if is_absent(one):
        return float(is_right(one))
    return f1(one.text, str(one.gold.answer)) if one.outcome == "answered" else 0.0


def vocabulary(items: Sequence[Scored], counts: Mapping[str, int]) -> Section | None:
    """Return accuracy by frequency in the training set, and the mean over answers.

    Source: OVQA (Ko et al., ICCV 2023), train.py, `evaluate`.
    """
    asked = [one for one in open_questions(items) if isinstance(one.gold.answer, str)]
    if not asked:
        return None
    groups = grouped(asked, lambda one: [_class(counts.get(str(one.gold.answer), 0))])
    answers = grouped(asked, lambda one: [str(one.gold.answer)])
    each = [sum(map(is_right, members)) / len(members) for members in answers.values()]
    rows = [
        *shares({name: groups[name] for name, _ in _FREQUENCY_CLASSES if name in groups} | {"total": asked}, is_right),
        ("mean of all answers", len(each), percent(each)),
    ]
    note = "base: more than 100 times in training, common: 11 to 100, rare: 1 to 10, unseen: never. Right is who matches exactly."
    return Section("vocabulary", "Open vocabulary (OVQA)", ("answers", "counted", "accuracy %"), rows, note)


def _class(count: int) -> str:
    return next(name for name, least in _FREQUENCY_CLASSES if count >= least)


def read_counts(path: Path) -> Counter[str]:
    """Count the answers of a training set.

    Raises:
        AgentError: the file cannot be read, or its format is unknown.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AgentError(f"The file {str(path)!r} cannot be read: {error.strerror}.", hint=near(path)) from error
    except UnicodeDecodeError as error:
        raise AgentError(f"The file {str(path)!r} is not UTF-8 text.", hint=_HINT) from error
    try:
        counts = _counted(json.loads(text)) if text.lstrip()[:1] in ("[", "{") else Counter(_column(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise AgentError(f"{path.name} does not hold training answers.", hint=_HINT) from error
    if not counts:
        raise AgentError(f"{path.name} holds no answer.", hint=_HINT)
    return counts


def _counted(document: Any) -> Counter[str]:
    if isinstance(document, dict):
        return Counter({str(answer): int(count) for answer, count in document.items()})
    return Counter(one if isinstance(one, str) else str(one["answer"]) for one in document)


def _column(text: str) -> Iterator[str]:
    for row in csv.DictReader(io.StringIO(text)):
        yield row["answer"]
