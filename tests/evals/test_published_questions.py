"""The question files that benchmarks publish, as they are."""

from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import read_questions

SAMPLES = {
    "activitynetqa_val_q.sample.json": ("activitynetqa", 20, 20, ["activitynetqa_val_a.sample.json"]),
    "egoschema_questions.sample.json": ("egoschema", 8, 0, []),
    "intentqa_val.sample.csv": ("intentqa", 24, 24, []),
    "longvideobench_val.sample.json": ("longvideobench", 3, 3, []),
    "msrvttqa_val.sample.csv": ("msrvttqa", 24, 24, []),
    "nextqa_val.sample.csv": ("nextqa", 24, 24, ["nextqa_map_vid_vidorID.sample.json"]),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", SAMPLES)
def test_published_records_are_read(shared: Path, name: Any) -> None:
    dataset, count, answered, used = SAMPLES[name]
    found = read_questions(shared / "questions" / name)
    assert (
        {q.gold.dataset for q in found} == {dataset} and len(found) == count and sum(q.gold.answer is not None for q in found) == answered
    )
    assert [path.name for path in found.used] == used


@pytest.mark.shared
def test_published_records_say_what_they_say(shared: Path) -> None:
    folder = shared / "questions"
    first = read_questions(folder / "nextqa_val.sample.csv")[0]
    assert (first.options[first.gold.answer], first.video) == ("roll the handle", (folder / "1106" / "4010069381").resolve())
    first = read_questions(folder / "intentqa_val.sample.csv")[0]
    assert first.options[first.gold.answer] == "move left right to balance"
    last = read_questions(folder / "longvideobench_val.sample.json")[2]
    assert last.options[last.gold.answer] == "Extending his palm forward while facing the camera" and last.gold.duration == 468_480
    assert [q.gold.answer for q in read_questions(folder / "activitynetqa_val_q.sample.json")][:3] == ["yes", "no", "no"]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("activitynetqa_val_a.sample.json", "holds the answers of ActivityNet-QA"),
        ("egoschema_subset_answers.sample.json", "is not a question file of a known format"),
        ("nextqa_map_vid_vidorID.sample.json", "is not a question file of a known format"),
        ("vnbench_llava_result.sample.jsonl", "is a file of results, not of questions"),
        ("vnbench_result.sample.jsonl", "line 1: it is not valid JSON"),
        ("videomme_result_template.excerpt.txt", "line 20: it is not valid JSON"),
    ],
)
def test_published_files_that_are_no_question_files_are_told(shared: Path, name: str, why: str) -> None:
    with pytest.raises(AgentError, match=why):
        read_questions(shared / "questions" / name)


@pytest.mark.shared
def test_published_videomme_template_is_read(shared: Path, tmp_path: Path) -> None:
    excerpt = (shared / "questions" / "videomme_result_template.excerpt.txt").read_text(encoding="utf-8")
    whole = excerpt[: excerpt.rindex("{\n")].rstrip().rstrip(",").replace('",\n            }', '"\n            }') + "]}]"
    (tmp_path / "file").write_text(whole, encoding="utf-8")
    found = read_questions(tmp_path / "file")
    right = [q.options[q.gold.answer] for q in found if isinstance(q.gold.answer, int)]
    assert [(q.id, text[:24], q.gold.dataset) for q, text in zip(found, right, strict=True)] == [
        ("001-1", "Berries.", "videomme"),
        ("001-2", "It is a news report that", "videomme"),
    ]
