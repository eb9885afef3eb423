"""Question files: this program's own format, where videos are found, and that whatever bytes a file holds, people get a message."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.batch import missing_videos
from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import read_questions
from analyzer_agent.installing import pip_install
from analyzer_agent.questions import Gold, Question
from analyzer_agent.timeline import TimeRange
from questions_kit import empty, table, written

FIRST = '{"id": "first", "video": "v.mp4", "question": "Q?"}'


def one(folder: Path, **fields: Any) -> Question:
    (question,) = read_questions(written(folder, {"id": "x", "video": "v.mp4", "question": "Q?"} | fields))
    return question


def told(folder: Path, **fields: Any) -> str:
    with pytest.raises(AgentError) as caught:
        one(folder, **fields)
    assert str(caught.value).startswith("questions.jsonl, line 1: ") and "\n" not in str(caught.value)
    return str(caught.value).removeprefix("questions.jsonl, line 1: ")


# --- JSON lines ------------------------------------------------------------------------------------------------------


def test_all_fields_of_a_line(tmp_path: Path) -> None:
    video = empty(tmp_path / "talk.mp4")
    line = {"id": 7, "video": "talk.mp4", "question": "Which?", "options": ["red", "green"], "answer": "green", "type": "colour"}
    line |= {"from": "0:01", "to": 9.5, "evidence": [[4, "0:05.5"], ["1:00", "1:02"]], "conversation": "c", "note": "mine", "tags": [1]}
    found = read_questions(written(tmp_path, line))
    assert (found.format, found.used, len(found)) == ("own", (), 1)
    gold = Gold(1, (TimeRange(4000, 5500), TimeRange(60000, 62000)), ("red", "green"), "colour")
    assert found[0] == Question("7", video, "Which?", gold, 1000, 9500, "c")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "it is not valid JSON (Expecting property name enclosed in double quotes at character 2)."),
        ("[1]", "it is not a JSON object."),
        ('{"id": "x", "question": "Q?"}', "the field 'video' is missing."),
        ('{"id": "x", "video": "v.mp4"}', "the field 'question' is missing."),
        ('{"video": "v.mp4", "question": "Q?"}', "the field 'id' is missing."),
        ('{"id": null, "video": "v.mp4", "question": "Q?"}', "'id' must be a text that is not empty, not None."),
        ('{"id": "x", "video": "v.mp4", "question": " "}', "'question' must be a text that is not empty, not ' '."),
        ('{"id": "x", "video": ["v"], "question": "Q?"}', "'video' must be a text that is not empty, not ['v']."),
        ('{"id": "x", "video": "v\\u0000", "question": "Q?"}', "'video' holds a character that no file name can have."),
        ('{"id": "x", "video": "v", "question": "Q?", "options": ["one"]}', "'options' must be a list of 2 to 26 texts, not ['one']."),
        ('{"id": "x", "video": "v", "question": "Q?", "options": "AB"}', "'options' must be a list of 2 to 26 texts, not 'AB'."),
        (
            '{"id": "x", "video": "v", "question": "Q?", "from": "noon"}',
            "'from': 'noon' is not a time; give seconds (64.2) or a clock (1:04.2, 1:02:03.5).",
        ),
        ('{"id": "x", "video": "v", "question": "Q?", "from": 5, "to": "0:03"}', "'to' must come after 'from'."),
        ('{"id": "first", "video": "v", "question": "Q?"}', "the id 'first' was used before; each question needs its own."),
        (
            '{"id": "x", "vidoe": "v", "question": "Q?"}',
            "unknown field 'vidoe'; "
            "valid ones: id, video, library, question, options, answer, evidence, type, from, to, conversation, note, tags.",
        ),
        (
            '{"id": "x", "video": "v", "question": "Q?", "evidence": [3, 5]}',
            "'evidence' must hold pairs of times, such as [[4, 9.5], ['1:10', '1:15']], not 3.",
        ),
        ('{"id": "x", "video": "v", "question": "Q?", "evidence": [[5, 3]]}', "'evidence': not a time range: 5000 ms to 3000 ms."),
    ],
    ids=lambda value: value[:60] if value.startswith(("{", "[")) else "",
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(AgentError) as caught:
        read_questions(written(tmp_path, FIRST, line))
    assert str(caught.value) == f"questions.jsonl, line 2: {why}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("options", "answer", "index"),
    [
        (["red", "green"], 1, 1),
        (["red", "green"], 0, 0),
        (["red", "green"], "B", 1),
        (["red", "green"], "(b)", 1),
        (["red", "green"], "B.", 1),
        (["red", "green"], "red", 0),
        (["10", "20"], "20", 1),
        (["10", "20"], 1, 1),
        (["A", "B"], "B", 1),
        (["0", "1"], 1, 1),  # two readings that agree
    ],
)
def test_an_answer_is_an_index_a_letter_or_a_text(tmp_path: Path, options: list[str], answer: int | str, index: int) -> None:
    assert one(tmp_path, options=options, answer=answer).gold.answer == index


@pytest.mark.parametrize(
    ("options", "answer", "why"),
    [
        (["red", "green"], 2, "'answer' must be a number from 0 to 1 or a letter from A to B or the text of an option, not 2."),
        (["red", "green"], -1, "'answer' must be a number from 0 to 1 or a letter from A to B or the text of an option, not -1."),
        (["red", "green"], "C", "'answer' must be a number from 0 to 1 or a letter from A to B or the text of an option, not 'C'."),
        (["red", "green"], True, "'answer' must be a number from 0 to 1 or a letter from A to B or the text of an option, not True."),
        (["red", "green"], "Red", "'answer' must be a number from 0 to 1 or a letter from A to B or the text of an option, not 'Red'."),
        (["1", "2", "3"], 1, "'answer' is ambiguous: 1 may mean B by its index, A by its text; change the options or the answer."),
        (["B", "A"], "A", "'answer' is ambiguous: 'A' may mean A by its letter, B by its text; change the options or the answer."),
    ],
)
def test_an_answer_that_names_no_option_or_several_is_refused(tmp_path: Path, options: list[str], answer: int | str, why: str) -> None:
    assert told(tmp_path, options=options, answer=answer) == why


@pytest.mark.parametrize(("answer", "text"), [("forty", "forty"), (40, "40"), (1.5, "1.5"), (None, None)])
def test_an_open_answer_is_a_text(tmp_path: Path, answer: str | float | None, text: str | None) -> None:
    assert one(tmp_path, answer=answer).gold.answer == text


def test_gold_is_not_in_the_repr(tmp_path: Path) -> None:
    assert "secret" not in repr(one(tmp_path, answer="secret")) and "7000" not in repr(one(tmp_path, evidence=[[7, 8]]))


# --- the other shapes ------------------------------------------------------------------------------------------------

RECORDS: list[dict[str, Any]] = [
    {"id": "a", "video": "v.mp4", "question": "Which, of these?", "options": ["red, or so", 'the "green"'], "answer": "B", "from": "0:01"},
    {"id": "b", "video": "v.mp4", "question": "Two\nlines", "answer": "forty", "evidence": [[1, 2]], "type": "open", "conversation": "c"},
]


def test_a_list_and_a_table_give_what_lines_give(tmp_path: Path) -> None:
    lines = list(read_questions(written(tmp_path, *RECORDS)))
    cells = [{name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()} for row in RECORDS]
    apart = [{k: v for k, v in row.items() if k != "options"} for row in cells]
    shapes = {
        "list": json.dumps(RECORDS, indent=2),
        "bom": "\ufeff\n" + "\n".join(json.dumps(row) for row in RECORDS),
        "csv": table(cells),
        "excel": "\ufeff" + table(cells, ";"),
        "tsv": table(cells, "\t"),
        "a0": table([apart[0] | {"a0": "red, or so", "a1": 'the "green"'}, apart[1]]),
        "option 0": table([apart[0] | {"option 0": "red, or so", "option 1": 'the "green"'}, apart[1]]),
        "bar": table([cells[0] | {"options": 'red, or so|the "green"'}, cells[1]]),
        "letters": table([apart[0] | {"a": "red, or so", "b": 'the "green"', "c": ""}, apart[1]]),
        "LETTERS": table([apart[0] | {"A": "red, or so", "B": 'the "green"'}, apart[1]]),
        "option_0": table([apart[0] | {"option_0": "red, or so", "option_1": 'the "green"'}, apart[1]]),
    }
    for name, text in shapes.items():
        path = tmp_path / f"{name}.txt"
        path.write_text(text, encoding="utf-8", newline="")
        assert list(read_questions(path)) == lines, name
    assert [q.id for q in read_questions(written(tmp_path, json.dumps(RECORDS[0], indent=2)))] == ["a"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id,video,question\na,v\n", "q.csv, line 2: it has 2 cells, the first line has 3 columns."),
        ("id,video,question,question\n", "q.csv, line 1: the column 'question' is there twice."),
        ("id,video,question\na,v,\n", "q.csv, line 2: the field 'question' is missing."),
        ("id,video,question,a0,a2\na,v,Q,x,y\n", "q.csv, line 2: the field 'a1' is missing."),
        ("id,video,question,a0\na,v,Q,x\n", "q.csv, line 2: 'a0' must give 2 to 26 options, not 1."),
        ("id,video,question,a,c\na,v,Q,x,y\n", "q.csv, line 2: the field 'b' is missing."),
        ("id,video,question,A,b\na,v,Q,x,y\n", "q.csv, line 2: the options are there twice, as 'A' and as 'a'; give them once."),
        ("id,video,question,a1\na,v,Q,x\n", "q.csv, line 2: the field 'a0' is missing."),
        (
            "id,video,question,a0,a1,option_0\na,v,Q,x,y,z\n",
            "q.csv, line 2: the options are there twice, as 'a0' and as 'option_0'; give them once.",
        ),
        (
            'id,video,question,options\na,v,Q,"[""x"", ""\\ud800""]"\n',
            "q.csv, line 2: 'options' is not a JSON list: '[\"x\", \"\\\\ud800\"]'.",
        ),
        ("id,video,question,options\na,v,Q,[x\n", "q.csv, line 2: 'options' is not a JSON list: '[x'."),
        ('[{"id": "a", "video": "v", "question": "Q"}, 3]', "q.csv, record 2: it is not a JSON object."),
        ('[\n{"id": ,}]', "q.csv, line 2: it is not valid JSON (Expecting value at character 8)."),
    ],
)
def test_a_wrong_record_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "q.csv"
    path.write_text(text)
    with pytest.raises(AgentError) as caught:
        read_questions(path)
    assert str(caught.value) == why


def test_an_empty_unreadable_or_unknown_file(tmp_path: Path) -> None:
    for text in ("", "\n \n", "[]", "{}", "id,video,question\n"):
        with pytest.raises(AgentError, match="holds no question"):
            read_questions(written(tmp_path, text))
    with pytest.raises(AgentError, match="No such file"):
        read_questions(tmp_path / "none.jsonl")
    with pytest.raises(AgentError, match="Is a directory"):
        read_questions(tmp_path)
    (tmp_path / "bad.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(AgentError, match="not UTF-8"):
        read_questions(tmp_path / "bad.jsonl")
    with pytest.raises(AgentError) as caught:
        read_questions(written(tmp_path, "Dear diary,"))
    assert str(caught.value) == "questions.jsonl is not a question file of a known format; its fields: 'Dear diary', ''."
    for name in ("EgoSchema (q_uid, question, option 0)", "LVBench (key, qa)", "own (id, video, question)"):
        assert name in caught.value.hint


def test_parquet_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "test.parquet"
    path.write_bytes(b"PAR1 and no more")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AgentError, match="needs 'pyarrow'") as caught:
        read_questions(path)
    assert caught.value.hint == pip_install("pyarrow")


def test_parquet_is_read_where_the_package_is(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = tmp_path / "test.parquet"
    parquet.write_table(sys.modules["pyarrow"].Table.from_pylist(RECORDS[:1]), path)
    assert list(read_questions(path)) == list(read_questions(written(tmp_path, RECORDS[0])))
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(AgentError, match="not a Parquet file that can be read"):
        read_questions(path)


# --- videos ----------------------------------------------------------------------------------------------------------


def video_of(path: Path, name: str, **where: Any) -> Path:
    (question,) = read_questions(written(path, {"id": "x", "video": name, "question": "Q?"}), **where)
    return question.video


def test_videos_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    talk, clip = empty(tmp_path / "talk.mp4"), empty(tmp_path / "sub" / "videos" / "clip.webm")
    assert video_of(tmp_path / "sub", "../talk.mp4") == talk
    assert video_of(tmp_path / "sub", str(talk)) == talk
    assert video_of(tmp_path / "sub", "clip.webm") == video_of(tmp_path / "sub", "clip") == clip
    assert video_of(tmp_path / "sub", "talk.mp4") == (tmp_path / "sub" / "talk.mp4").resolve(), "where it should be"


def test_videos_are_looked_for_below_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    deep, flat = empty(folder / "1106" / "b" / "deep.MP4"), empty(folder / "flat.mkv")
    empty(tmp_path / "flat.mkv")
    for name, path in {"deep": deep, "deep.MP4": deep, "1106/b/deep": deep, "flat": flat, "flat.mkv": flat}.items():
        assert video_of(tmp_path, name, videos=folder) == path, name
    assert video_of(tmp_path, "none", videos=folder) == (folder / "none").resolve()


def test_of_two_extensions_the_first_known_one_counts(tmp_path: Path) -> None:
    empty(tmp_path / "v.webm"), empty(tmp_path / "v.srt")
    best = empty(tmp_path / "v.mp4")
    assert video_of(tmp_path, "v") == best and video_of(tmp_path, "v.webm").name == "v.webm"


def test_a_linked_video_keeps_its_name(tmp_path: Path) -> None:
    blob = empty(tmp_path / "blobs" / "77f0")
    (tmp_path / "v.mp4").symlink_to(blob)
    assert video_of(tmp_path, "v") == tmp_path.resolve() / "v.mp4"


def test_a_name_that_several_videos_have_is_refused(tmp_path: Path) -> None:
    empty(tmp_path / "films" / "low" / "v.mp4"), empty(tmp_path / "films" / "high" / "v.mp4")
    with pytest.raises(AgentError, match=r"2 videos below .*films' are called 'v'"):
        video_of(tmp_path, "v", videos=tmp_path / "films")
    assert video_of(tmp_path, "low/v", videos=tmp_path / "films").parent.name == "low"
    with pytest.raises(AgentError, match="There is no folder"):
        video_of(tmp_path, "v", videos=tmp_path / "none")


def test_missing_videos_are_listed_in_one_go(tmp_path: Path) -> None:
    empty(tmp_path / "there.mp4")
    names = {"a": "there.mp4", "b": "gone.mp4", "c": "gone.mp4", "d": "lost"}
    found = read_questions(written(tmp_path, *({"id": id, "video": name, "question": "Q?"} for id, name in names.items())))
    missing = {path.name: [q.id for q in questions] for path, questions in missing_videos(found).items()}
    assert missing == {"gone.mp4": ["b", "c"], "lost": ["d"]}


# --- size and robustness -----------------------------------------------------------------------------------------------


def test_a_column_of_another_name_is_to_be_renamed(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("id,video,frage,options\na,v,f,x|y\n")
    with pytest.raises(AgentError) as caught:
        read_questions(path)
    assert caught.value.hint.startswith("Rename the column 'frage' to 'question'. The first line of a CSV file is id,")


@pytest.mark.parametrize(
    "text",
    [
        "ID,Video,Question,Answer\nq1,v.mp4,What is it?,a boat\n",
        "id, video, question, answer\nq1, v.mp4, What is it?, a boat\n",
        'Id ; VIDEO ; Question ; Answer\nq1 ; v.mp4 ; "What is it?" ; a boat \n',
        "id,\tvideo,\tquestion,\tanswer\nq1,\tv.mp4,\tWhat is it?,\ta boat\n",
        '{"ID": "q1", "Video": "v.mp4", "Question": "What is it?", "Answer": "a boat"}\n',
        '[{"ID": "q1", " video ": "v.mp4", "QUESTION": "What is it?", "answer": "a boat"}]\n',
    ],
)
def test_names_of_fields_in_any_case_and_with_spaces(tmp_path: Path, text: str) -> None:
    empty(tmp_path / "v.mp4")
    path = tmp_path / "questions.csv"
    path.write_text(text, encoding="utf-8")
    (question,) = read_questions(path)
    assert (question.id, question.video.name, question.question, question.gold.answer) == ("q1", "v.mp4", "What is it?", "a boat")


def test_a_cell_that_holds_a_comma_after_a_space(tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    path.write_text('id, video, question\nq1, v.mp4, "Well, what is it?"\n', encoding="utf-8")
    assert read_questions(path)[0].question == "Well, what is it?"
