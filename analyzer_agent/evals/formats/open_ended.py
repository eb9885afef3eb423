"""Readers of open-ended benchmarks, one each."""

from collections.abc import Iterator, Mapping
from typing import Any

from analyzer_agent.evals.formats.fields import FieldReader
from analyzer_agent.evals.formats.question import Question
from analyzer_agent.evals.formats.source import Source


def activitynetqa(row: FieldReader, source: Source) -> Iterator[Question]:
    """Yield a question of ActivityNet-QA; answers and types are in the file named `..._a`."""
    answers = source.companion(("*_a.json", "*_a.*.json"), _answers)
    id, name = row.label("question_id"), row.path("video_name")
    gold = FieldReader(answers.get(id) or {}, row.place, row.hint)
    yield Question(
        id=id,
        video=source.video(f"v_{name}", name),
        question=row.text("question"),
        answer=gold.report_text("answer") or None,
        type=gold.report_text("type"),
        dataset="activitynetqa",
        extra={"video_name": name},
    )


def msrvttqa(row: FieldReader, source: Source) -> Iterator[Question]:
    """Yield a question of MSRVTT-QA, from the published list or a table made from it."""
    name = row.path("video_id")
    yield Question(
        id=row.label("id", "qid"),
        video=source.video(f"video{name}", name),
        question=row.text("question"),
        answer=row.report_text("answer") or None,
        type=row.report_text("category_id", "type"),
        dataset="msrvttqa",
        extra={"video_id": name},
    )


def _answers(document: Any) -> Mapping[str, Any] | None:
    if not isinstance(document, list) or not all(isinstance(one, dict) and isinstance(one.get("question_id"), str) for one in document):
        return None
    return {one["question_id"]: one for one in document}
