"""Question files of any size and content: many are read fast, and any content gives questions or a message."""

import json
import tracemalloc
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer_agent.batch import missing_videos
from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import read_questions
from patience import processor_seconds
from questions_kit import empty, table, written


def test_many_questions_are_read_fast_and_in_little_memory(tmp_path: Path) -> None:
    for number in range(500):
        empty(tmp_path / "films" / f"{number % 50}" / f"v{number}.mp4")
    rows = [
        {
            "id": f"q{n}",
            "video": f"v{n % 500}",
            "question": f"What happens {n}? {'x' * 200}",
            "options": [f"{n} {o}" for o in "abcde"],
            "answer": "C",
        }
        for n in range(10_000)
    ]
    path = written(tmp_path, *rows)
    with processor_seconds(3):
        found = read_questions(path, videos=tmp_path / "films")
    assert len(found) == 10_000 and not missing_videos(found)
    tracemalloc.start()
    read_questions(path, videos=tmp_path / "films")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * path.stat().st_size, f"{peak / 1e6:.0f} MB for a file of {path.stat().st_size / 1e6:.0f} MB"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)


NAMES = (
    *(
        "id",
        "video",
        "question",
        "options",
        "answer",
        "evidence",
        "type",
        "from",
        "to",
        "conversation",
        "a0",
        "a1",
        "qid",
        "video_id",
        "lemma",
    ),
    *("q_uid", "option 0", "option 1", "truth", "question_id", "videoID", "questions", "choices", "duration", "video_path", "candidates"),
    *("correct_choice", "subtitle_path", "try", "gt", "gt_option", "needle_time", "key", "qa", "uid", "question_type", "time_reference"),
    *("video_name", "category_id", "location"),
)


RECORD = st.dictionaries(st.sampled_from(NAMES), VALUES | st.text("ABC()[]',\n 01", max_size=20), max_size=8)


NESTED = st.lists(RECORD | VALUES, max_size=2)


FITTING = st.sampled_from(
    [
        {"id": "x", "video": "v", "question": "Q"},
        {"video": "v", "question": "Q", "qid": 1, "a0": "x", "a1": "y"},
        {"q_uid": "u", "question": "Q", "option 0": "x", "option 1": "y"},
        {"question_id": "1", "videoID": "v", "question": "Q", "options": ["A. x", "B. y"]},
        {"video_id": "1", "questions": []},
        {"id": "1", "video_path": "v.mp4", "question": "Q", "candidates": ["x", "y"]},
        {"video": "v", "question": "Q", "options": ["x", "y"], "gt": "x", "try": 0, "type": "ord"},
        {"key": "v", "qa": [{"uid": 1, "question": "Q\n(A) x\n(B) y", "answer": "A", "time_reference": "00:01-99:99"}]},
        {"video_name": "v", "question": "Q", "question_id": "1"},
        {"video_id": 1, "question": "Q", "answer": "x", "id": 1},
    ]
)


MUTATED = st.builds(
    lambda base, change, inner: base | change | inner,
    FITTING,
    RECORD,
    st.just({}) | st.fixed_dictionaries({"qa": NESTED, "questions": NESTED}),
)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


FILES = (
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | VALUES.map(as_json)
    | st.lists(MUTATED | RECORD, max_size=3).map(as_json)
    | st.lists(MUTATED | RECORD, max_size=3).map(lambda rows: b"\n".join(map(as_json, rows)))
    | st.lists(MUTATED, min_size=1, max_size=3).map(lambda rows: table([{k: str(v) for k, v in row.items()} for row in rows]).encode())
    | st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"[" + b"9" * 5000 + b"]", b'{"id": "\\ud800", "video": "v", "question": "Q"}'])
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    file=FILES,
    beside=st.none() | VALUES | st.dictionaries(st.sampled_from(["v", "u", "1"]), VALUES | st.fixed_dictionaries({"location": VALUES})),
)
def test_whatever_a_file_holds_gives_questions_or_a_message(tmp_path: Path, file: bytes, beside: object) -> None:
    (tmp_path / "questions").write_bytes(file)
    for name in ("map_vid_vidorID.json", "gsub_val.json", "subset_answers.json", "x_a.json"):
        (tmp_path / name).write_bytes(as_json(beside))
    try:
        found = read_questions(tmp_path / "questions")
    except AgentError as error:
        assert "\n" not in str(error).replace("\\n", "") and error.hint
    else:
        assert found and len({q.id for q in found}) == len(found)
        for question in found:
            f"{question} {question.gold.answer} {question.video}".encode()
            right = question.gold.answer
            assert right is None or not question.options or (isinstance(right, int) and 0 <= right < len(question.options))
        missing_videos(found)
