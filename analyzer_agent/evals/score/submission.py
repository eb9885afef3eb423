"""Write the file for each benchmark's own script or server.

Nothing is guessed: unanswered questions are omitted or marked as wrong. The scripts compute the
figures of `benchmark_rules` from these files.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.score.answer_file import Scored
from analyzer_agent.evals.score.evidence import moment
from analyzer_agent.evals.score.sections import grouped
from analyzer_agent.questions import option_letter
from analyzer_agent.timeline import seconds

_NO_PREDICTION = -1
"""Differs from every right answer, including an unknown one."""


@dataclass(frozen=True, slots=True)
class SubmissionFile:
    """A written file; it omits `missing` questions, which have no `what`."""

    path: Path
    missing: int
    what: str


def submit(dataset: str, items: Sequence[Scored], path: Path) -> list[SubmissionFile]:
    """Write the benchmark's file; the spans of NExT-GQA go to a second one, `NAME_ground.json`.

    Raises:
        AgentError: the benchmark has no file format here, gold is missing, or the file cannot be
            written.
    """
    if dataset not in _WRITERS:
        hint = f"Known ones: {', '.join(_WRITERS)}. Where the answers carry no gold, name the question file: --questions FILE."
        raise AgentError(f"No submission file is known for the benchmark {dataset!r}.", hint=hint)
    text, missing = _WRITERS[dataset](items), sum(one.outcome != "answered" for one in items)
    written = [_write(path, text, missing, "answer")]
    if dataset == "nextgqa":
        beside = path.with_name(f"{path.stem}_ground.json")
        spans = {one.id: [seconds(m.start), seconds(m.end)] for one in items if one.cited and (m := moment(one.cited))}
        written.append(_write(beside, _json(spans), sum(not one.cited for one in items), "citation"))
    return written


def _write(path: Path, text: str, missing: int, what: str) -> SubmissionFile:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AgentError(f"The file {str(path)!r} cannot be written: {error.strerror}.", hint="Choose another file.") from error
    return SubmissionFile(path, missing, what)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _letter(index: int | str | None) -> str | None:
    return option_letter(index) if isinstance(index, int) else None


def _egoschema(items: Sequence[Scored]) -> str:
    """Source: EgoSchema, README and validate.py."""
    return _json({one.gold.extra.get("q_uid", one.id): one.picked for one in items if one.picked is not None})


def _nextqa(items: Sequence[Scored]) -> str:
    """Source: NExT-QA, eval_mc.py; NExT-GQA, eval_ground.py. The script needs every question."""
    return _json({one.id: {"prediction": _NO_PREDICTION if one.picked is None else one.picked, "answer": one.gold.answer} for one in items})


def _videomme(items: Sequence[Scored]) -> str:
    """Source: Video-MME, output_test_template.json and eval_your_results.py; writes the field names of both."""
    videos = grouped(items, lambda one: [str(one.gold.extra.get("video_id") or one.id.rpartition("-")[0])])
    return _json([_video(name, members) for name, members in videos.items()])


def _video(name: str, members: Sequence[Scored]) -> dict[str, Any]:
    extra, length = members[0].gold.extra, members[0].gold.duration_group or members[0].gold.extra.get("duration")
    questions = [
        {"question_id": one.id, "task_type": one.gold.type, "question": one.question, "options": list(one.gold.options)}
        | {"answer": _letter(one.gold.answer), "response": one.choice}
        for one in members
    ]
    return {
        "video_id": name,
        "duration": length,
        "domain": extra.get("domain"),
        "sub_category": extra.get("sub_category"),
        "duration_category": length,
        "video_category": extra.get("domain"),
        "video_subcategory": extra.get("sub_category"),
        "missing": False,
        "questions": questions,
    }


def _vnbench(items: Sequence[Scored]) -> str:
    """Source: VNBench (VideoNIAH), evaluation/eval.py and example_result.jsonl. The script skips a null `pred`."""
    return "".join(json.dumps(_needle(one), ensure_ascii=False) + "\n" for one in items)


def _needle(one: Scored) -> Mapping[str, Any]:
    name = {"question_id": one.id, "pred": one.choice or None, "gt": _letter(one.gold.answer)}
    return name | {"type": one.gold.type, "try": one.gold.extra.get("try")}


def _letters(items: Sequence[Scored]) -> str:
    """Source: LVBench, lvbench/metrics/compute_accuracy.py; LongVideoBench in lmms-eval, tasks/longvideobench/utils.py."""
    return _json({one.id: _letter(one.picked) for one in items if one.picked is not None})


def _activitynetqa(items: Sequence[Scored]) -> str:
    """Source: ActivityNet-QA, evaluation/eval.py and pred_val_example.json."""
    return _json([{"question_id": one.id, "answer": one.text} for one in items if one.outcome == "answered"])


_WRITERS: dict[str, Callable[[Sequence[Scored]], str]] = {
    "egoschema": _egoschema,
    "nextqa": _nextqa,
    "nextgqa": _nextqa,
    "intentqa": _nextqa,
    "videomme": _videomme,
    "vnbench": _vnbench,
    "lvbench": _letters,
    "longvideobench": _letters,
    "activitynetqa": _activitynetqa,
}
