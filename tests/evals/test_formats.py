"""The benchmarks' question files: their documented fields, hand-computed; what lies beside them; what a wrong one is told."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import read_questions
from analyzer_agent.questions import Questions
from analyzer_agent.timeline import TimeRange

NEXT = {
    **{"frame_count": "369", "width": "640", "height": "480", "question": "how do they play", "answer": "3", "qid": "6", "type": "CH"},
    **{"a0": "roll it", "a1": "tap", "a2": "strum", "a3": "hit", "a4": "pat"},
}
NEXTQA = {"video": "4010069381"} | NEXT
NEXTGQA = {"video_id": "4010069381"} | NEXT | {"answer": "hit"}
INTENTQA = {"video_id": "4010069381"} | NEXT | {"action": "left", "lemma": "leave", "lemma_id": "130"}
EGOSCHEMA = {"q_uid": "001934bb", "google_drive_id": "15y", "question": "What is c doing?"} | {
    f"option {n}": f"C does {n}" for n in range(5)
}
VIDEOMME = {
    **{"video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "Humanity & History", "url": "https://…"},
    **{"videoID": "fFjv93ACGo8", "question_id": "001-1", "task_type": "Counting Problem", "question": "Which is most?"},
    **{"options": ["A. Apples.", "B. It's candles.", 'C. "Berries".', "D. The same."], "answer": "C"},
}
TEMPLATE: dict[str, Any] = {
    **{"video_id": "001", "duration_category": "short", "video_category": "Knowledge", "video_subcategory": "Humanity & History"},
    "questions": [
        {
            "question_id": "001-1",
            "task_type": "Counting Problem",
            "question": "Which?",
            "choices": ["A. x", "B. y"],
            "answer": "B",
            "response": "",
        },
        {
            "question_id": "001-2",
            "task_type": "OCR Problems",
            "question": "What?",
            "options": ["A. p", "B. q"],
            "answer": "A",
            "response": "B",
        },
    ],
}
LONGVIDEOBENCH = {
    **{"video_id": "86CxyhFV9MI", "question": "Which subtitles?", "candidates": ["red", "blue", "green"], "correct_choice": 1},
    **{"position": [854], "question_category": "TOS", "level": "L2-Relation", "id": "86CxyhFV9MI_0", "video_path": "86CxyhFV9MI.mp4"},
    **{"subtitle_path": "86CxyhFV9MI_en.json", "duration_group": 600, "starting_timestamp_for_subtitles": 5, "duration": 190.16},
}
VNBENCH = {
    **{
        "video": "./VNBench/v_Pk_ord_insert2.mp4",
        "question": "In which order?",
        "options": ["cow, cat", "cat, cow", "dog, cow", "cow, dog"],
    },
    **{"gt": "cat, cow", "gt_option": "B", "needle_time": [3, 10.5], "type": "ord_insert2", "try": 2, "length": 30},
}
LVBENCH = {
    "key": "Cm73ma6Ibcs",
    "type": "cartoon",
    "qa": [
        {
            **{"uid": "55", "question": "What year appears?\n(A) 1636\n(B) 1366\n(C) 1363\n(D) 1633", "answer": "D"},
            **{"question_type": ["key information retrieval", "reasoning"], "time_reference": "00:15-01:19"},
        },
        {"uid": "56", "question": "Who wins?\n(A) he\n(B) she", "answer": "A", "question_type": ["reasoning"], "time_reference": "unclear"},
    ],
}
ACTIVITYNETQA = {"video_name": "TIEzvhv6xaI", "question": "is he indoors", "question_id": "v_TIEzvhv6xaI_2"}
MSRVTTQA = {"answer": "couch", "category_id": 14, "id": 158581, "question": "what do they sit on", "video_id": 6513}
MSRVTTQA_TABLE = {"video_id": "6513", "question": "what do they sit on", "answer": "couch", "qid": "158581", "type": "14"}


def table(*rows: Mapping[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_list(*rows: Mapping[str, Any]) -> str:
    return json.dumps(rows)


def as_lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(folder: Path, text: str, beside: dict[str, object] | None = None, **where: Any) -> Questions:
    for name, content in (beside or {}).items():
        (folder / name).write_text(json.dumps(content))
    (folder / "file").write_text(text, encoding="utf-8")
    return read_questions(folder / "file", **where)


def empty(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.resolve()


# --- what each becomes -------------------------------------------------------------------------------------------------


def test_nextqa(tmp_path: Path) -> None:
    video = empty(tmp_path / "videos" / "1106" / "4010069381.mp4")
    found = read(tmp_path, table(NEXTQA, NEXTQA | {"qid": "7", "answer": ""}), {"map_vid_vidorID.json": {"4010069381": "1106/4010069381"}})
    first, second = found
    assert (first.id, first.gold.dataset, first.gold.type, first.video) == ("4010069381_6", "nextqa", "CH", video)
    assert first.options == ("roll it", "tap", "strum", "hit", "pat") and (first.gold.answer, second.gold.answer) == (3, None)
    assert first.gold.extra == {"video": "4010069381", "qid": "6"} and first.gold.evidence == () and first.gold.duration is None
    assert found.used == (tmp_path / "map_vid_vidorID.json",)


def test_the_map_can_be_named(tmp_path: Path) -> None:
    elsewhere = tmp_path / "maps" / "mine.json"
    elsewhere.parent.mkdir()
    elsewhere.write_text('{"4010069381": "deep/er/4010069381"}')
    video = empty(tmp_path / "films" / "deep" / "er" / "4010069381.avi")
    found = read(tmp_path, table(NEXTQA), videos=tmp_path / "films", map=elsewhere)
    assert found[0].video == video and found.used == (elsewhere,)
    elsewhere.write_text('{"4010069381": 7}')
    with pytest.raises(AgentError, match="does not map ids to videos"):
        read(tmp_path, table(NEXTQA), map=elsewhere)


def test_nextgqa_takes_spans_and_lengths_from_beside(tmp_path: Path) -> None:
    spans = {"4010069381": {"duration": 34, "location": {"6": [[1.2, 5.8], [12.1, 17]]}, "fps": 29.97}}
    found = read(
        tmp_path, table(NEXTGQA), {"gsub_val.json": spans, "gsub_test.json": {"1": {"location": {}}}, "frame2time_val.json": {"1": [0]}}
    )
    assert (found[0].gold.dataset, found[0].gold.answer, found[0].gold.duration) == ("nextgqa", 3, 34_000)
    assert found[0].gold.evidence == (TimeRange(1200, 5800), TimeRange(12_100, 17_000))
    assert found.used == (tmp_path / "gsub_val.json",), "the other split's file says nothing about this one"


def test_a_number_is_an_index_in_nextqa_and_a_text_in_nextgqa(tmp_path: Path) -> None:
    digits = {"a0": "1", "a1": "2", "a2": "3", "a3": "4", "a4": "0"}
    for row, index in ((NEXTQA, 2), (INTENTQA, 2), (NEXTGQA, 1)):
        assert read(tmp_path, table(row | digits | {"answer": "2"}))[0].gold.answer == index


def test_spaces_around_options_do_not_hide_the_right_one(tmp_path: Path) -> None:
    assert read(tmp_path, table(NEXTGQA | {"a3": " hit "}))[0].gold.answer == 3


def test_intentqa(tmp_path: Path) -> None:
    (question,) = read(tmp_path, table(INTENTQA))
    assert (question.id, question.gold.dataset, question.gold.answer) == ("4010069381_6", "intentqa", 3)


def test_egoschema(tmp_path: Path) -> None:
    video = empty(tmp_path / "videos" / "001934bb.mp4")
    other = EGOSCHEMA | {"q_uid": "ffff"}
    found = read(tmp_path, as_list(EGOSCHEMA, other), {"subset_answers.json": {"001934bb": 3}})
    assert [(q.id, q.gold.answer) for q in found] == [("001934bb", 3), ("ffff", None)]
    assert found[0].video == video and found[0].options == tuple(f"C does {n}" for n in range(5))
    assert found[0].gold.extra == {"q_uid": "001934bb"} and found.used == (tmp_path / "subset_answers.json",)


@pytest.mark.parametrize("gold", ["truth", "answer"])
def test_egoschema_under_its_ids(tmp_path: Path, gold: str) -> None:
    row = {name: value for name, value in EGOSCHEMA.items() if name != "q_uid"}
    (question,) = read(tmp_path, json.dumps({"001934bb": row | {gold: 4}}))
    assert (question.id, question.gold.answer, question.gold.dataset) == ("001934bb", 4, "egoschema")


def test_videomme_in_all_its_shapes(tmp_path: Path) -> None:
    video, subtitles = empty(tmp_path / "data" / "fFjv93ACGo8.mp4"), empty(tmp_path / "subtitle" / "fFjv93ACGo8.srt")
    pandas = "['A. Apples.' \"B. It's candles.\"\n 'C. \"Berries\".' 'D. The same.']"
    python = repr(VIDEOMME["options"])
    shapes = [as_list(VIDEOMME), as_lines(VIDEOMME)]
    shapes += [table(VIDEOMME | {"options": cell}) for cell in (json.dumps(VIDEOMME["options"]), python, pandas)]
    for text in shapes:
        (question,) = read(tmp_path, text)
        assert (question.id, question.gold.type, question.gold.dataset, question.gold.answer) == (
            "001-1",
            "Counting Problem",
            "videomme",
            2,
        )
        assert question.options == ("Apples.", "It's candles.", '"Berries".', "The same.")
        assert (question.video, question.subtitles, question.gold.duration_group) == (video, subtitles, "short")
        assert question.gold.extra == {"video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "Humanity & History"}


def test_videomme_template(tmp_path: Path) -> None:
    video = empty(tmp_path / "001.mp4")
    found = read(tmp_path, as_list(TEMPLATE))
    assert [(q.id, q.options, q.gold.answer, q.video) for q in found] == [("001-1", ("x", "y"), 1, video), ("001-2", ("p", "q"), 0, video)]
    assert found[0].gold.extra == {"video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "Humanity & History"}


def test_longvideobench(tmp_path: Path) -> None:
    video, subtitles = empty(tmp_path / "videos" / "86CxyhFV9MI.webm"), empty(tmp_path / "subtitles" / "86CxyhFV9MI_en.json")
    secret = {name: value for name, value in LONGVIDEOBENCH.items() if name != "correct_choice"} | {"id": "b"}
    first, second = read(tmp_path, as_list(LONGVIDEOBENCH, secret))
    assert (first.id, first.gold.type, first.gold.answer, second.gold.answer) == ("86CxyhFV9MI_0", "TOS", 1, None)
    assert (first.video, first.subtitles, first.gold.duration, first.gold.duration_group) == (video, subtitles, 190_160, "600")
    assert first.gold.extra == {"starting_timestamp_for_subtitles": 5} and first.gold.evidence == ()


def test_vnbench(tmp_path: Path) -> None:
    video = empty(tmp_path / "videos" / "v_Pk_ord_insert2.mp4")
    shuffles = [VNBENCH | {"try": n} for n in range(4)]
    for text in (as_list(*shuffles), as_lines(*shuffles)):
        found = read(tmp_path, text)
        assert [q.id for q in found] == [f"v_Pk_ord_insert2_{n}" for n in range(4)] and {q.gold.group for q in found} == {
            "v_Pk_ord_insert2"
        }
        assert (found[0].video, found[0].gold.type, found[0].gold.answer, found[3].gold.extra) == (video, "ord_insert2", 1, {"try": 3})
        assert found[0].gold.evidence == (TimeRange(3000, 4000), TimeRange(10_500, 11_500))


@pytest.mark.parametrize(
    ("options", "gold", "index"),
    [
        (["3", "1", "2", "4"], {"gt": "1"}, 1),
        ([3, 1, 2, 4], {"gt": 2}, 2),
        (["w", "x", "y", "z"], {"gt": "D"}, 3),
        (["w", "x", "y", "z"], {"gt": 2}, 2),
        (["B", "A", "D", "C"], {"gt": "A"}, 1),
        (["B", "A", "D", "C"], {"gt": "A", "gt_option": "B"}, 1),
    ],
)
def test_vnbench_gold_is_a_text_first(tmp_path: Path, options: list[str | int], gold: dict[str, str | int], index: int) -> None:
    row = {name: value for name, value in VNBENCH.items() if not name.startswith("gt")}
    assert read(tmp_path, as_list(row | {"options": options} | gold))[0].gold.answer == index


def test_lvbench(tmp_path: Path) -> None:
    video = empty(tmp_path / "Cm73ma6Ibcs.mp4")
    first, second = read(tmp_path, as_lines(LVBENCH, {"key": "x", "qa": []}))
    assert (first.id, first.question, first.gold.answer, first.video) == ("55", "What year appears?", 3, video)
    assert first.options == ("1636", "1366", "1363", "1633") and first.gold.evidence == (TimeRange(15_000, 79_000),)
    assert first.gold.type == "key information retrieval, reasoning" and first.gold.extra["question_type"] == [
        "key information retrieval",
        "reasoning",
    ]
    assert (second.gold.answer, second.gold.evidence, second.question) == (0, (), "Who wins?")


def test_activitynetqa(tmp_path: Path) -> None:
    video = empty(tmp_path / "v_TIEzvhv6xaI.mkv")
    other = ACTIVITYNETQA | {"question_id": "v_x_1", "video_name": "x"}
    gold = [{"answer": "yes", "type": 3, "question_id": "v_TIEzvhv6xaI_2"}]
    found = read(tmp_path, as_list(ACTIVITYNETQA, other), {"val_a.json": gold, "test_a.json": [], "train_q.json": [ACTIVITYNETQA]})
    assert [(q.id, q.gold.answer, q.gold.type, q.options) for q in found] == [("v_TIEzvhv6xaI_2", "yes", "3", ()), ("v_x_1", None, "", ())]
    assert found[0].video == video and found.used == (tmp_path / "val_a.json",)


def test_msrvttqa(tmp_path: Path) -> None:
    video = empty(tmp_path / "TestVideo" / "video6513.mp4")
    for text in (as_list(MSRVTTQA), table(MSRVTTQA_TABLE)):
        (question,) = read(tmp_path, text, videos=tmp_path)
        assert (question.id, question.gold.answer, question.gold.type, question.video) == ("158581", "couch", "14", video)


# --- what a wrong one is told --------------------------------------------------------------------------------------------

NEEDED: dict[str, tuple[Callable[..., str], Mapping[str, Any], Sequence[str]]] = {
    "nextqa": (table, NEXTQA, ("video", "question", "qid", "a0", "a1")),
    "nextgqa": (table, NEXTGQA, ("video_id", "question", "qid", "a0", "a2")),
    "intentqa": (table, INTENTQA, ("video_id", "question", "qid", "a0", "a3")),
    "egoschema": (as_list, EGOSCHEMA, ("q_uid", "question", "option 0", "option 2")),
    "videomme": (as_list, VIDEOMME, ("question_id", "question", "options")),
    "longvideobench": (as_list, LONGVIDEOBENCH, ("id", "video_path", "question", "candidates")),
    "vnbench": (as_lines, VNBENCH, ("video", "question", "options", "type", "try")),
    "lvbench": (as_lines, LVBENCH, ("key", "qa")),
    "activitynetqa": (as_list, ACTIVITYNETQA, ("video_name", "question", "question_id")),
    "msrvttqa": (as_list, MSRVTTQA, ("video_id", "question", "answer", "id")),
    "own": (as_lines, {"id": "a", "video": "v.mp4", "question": "Q?"}, ("id", "video", "question")),
}
DROPS = [(name, field) for name, (_, _, fields) in NEEDED.items() for field in fields]


@pytest.mark.parametrize(("name", "field"), DROPS)
def test_a_needed_field_that_is_missing_is_named(tmp_path: Path, name: str, field: str) -> None:
    write, row, _ = NEEDED[name]
    assert len(read(tmp_path, write(row))) >= 1
    with pytest.raises(AgentError) as caught:
        read(tmp_path, write({key: value for key, value in row.items() if key != field}))
    assert repr(field) in str(caught.value) and "missing" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["question_id", "question", "options"])
def test_a_needed_field_inside_a_video_is_named(tmp_path: Path, field: str) -> None:
    inner = {key: value for key, value in TEMPLATE["questions"][1].items() if key != field}
    with pytest.raises(AgentError) as caught:
        read(tmp_path, as_list(TEMPLATE | {"questions": [TEMPLATE["questions"][0], inner]}))
    assert str(caught.value).startswith("file, record 1, question 2: the field ") and repr(field) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (table(NEXTQA | {"answer": "5"}), "file, line 2: 'answer' must be a number from 0 to 4, not '5'."),
        (table(NEXTQA | {"answer": "hit"}), "file, line 2: 'answer' must be a number from 0 to 4, not 'hit'."),
        (table(NEXTGQA | {"answer": "Hit"}), "file, line 2: 'answer' must be a number from 0 to 4 or the text of an option, not 'Hit'."),
        (as_list(VIDEOMME | {"answer": "E"}), "file, record 1: 'answer' must be a letter from A to D, not 'E'."),
        (as_list(VIDEOMME | {"options": "A"}), "file, record 1: 'options' must be a list of texts, not 'A'."),
        (as_list(LONGVIDEOBENCH | {"correct_choice": 3}), "file, record 1: 'correct_choice' must be a number from 0 to 2, not 3."),
        (
            as_list(LONGVIDEOBENCH | {"duration": "long"}),
            "file, record 1: 'duration': 'long' is not a time; give seconds (64.2) or a clock",
        ),
        (as_lines(VNBENCH, VNBENCH), "file, line 2: the id 'v_Pk_ord_insert2_2' was used before; each question needs its own."),
        (
            as_lines(LVBENCH | {"qa": [{"uid": 1, "question": "Q?"}]}),
            "file, line 1, question 1: 'question' must hold its options as '(A) …'",
        ),
        (as_lines(LVBENCH | {"qa": 3}), "file, line 1: 'qa' must be a list of JSON objects."),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(AgentError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(why) and caught.value.hint.startswith("The format is ")


def test_answers_of_a_run_are_no_gold(tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text('{"id": "001934bb", "answer": "x"}\n{"id": "ffff", "answer": "y"}\n')
    assert read(tmp_path, as_list(EGOSCHEMA)).used == read(tmp_path, as_list(ACTIVITYNETQA)).used == ()


def test_a_companion_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "gsub_val.json").write_text("{")
    with pytest.raises(AgentError, match=r"gsub_val\.json, line 1: it is not valid JSON"):
        read(tmp_path, table(NEXTGQA))


def test_what_lies_beside_question_files_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="file holds the answers of ActivityNet-QA") as caught:
        read(tmp_path, as_list({"answer": "yes", "type": 3, "question_id": "v_1"}))
    assert "_q" in caught.value.hint
    with pytest.raises(AgentError, match="file is a file of results, not of questions"):
        read(tmp_path, as_lines({"video_path": "v.mp4", "prompt": "", "pred": "D", "gt": "B", "task_type": "ord", "try": 0}))
