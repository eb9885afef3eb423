"""Reading answer files: what counts as an answer, an abstention, a failure; and what is refused, with its line."""

import json
from pathlib import Path

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.score.answer_file import Scored, common_questions, dataset_of, read_answers
from analyzer_agent.evals.score.grading import f1, is_absent, is_right, normalized
from analyzer_agent.questions import Gold, option_index
from analyzer_agent.records import Answer, Citation, Usage
from analyzer_agent.timeline import TimeRange
from score_kit import ABCDE, failed, gold, joined, line, open_one, write


def test_a_line_as_the_program_writes_it(tmp_path: Path) -> None:
    answer = Answer(
        text="Forty [#2].",
        citations=(Citation(2, TimeRange(1000, 1800), "forty dollars"),),
        choice="B",
        usage=Usage(2, 100, 20, 1500, 4000, 6000, 2500),
        question="How much?",
        manager="openai",
        model="gpt-5.4",
    )
    right = gold(1, options=("ten", "forty"), evidence=[[1.0, 2.5]], duration=61.5, type="t", extra={"try": 3})
    (one,) = joined(tmp_path, {"id": "q"} | answer.to_dict() | {"gold": right})
    assert one == Scored(
        id="q",
        gold=Gold(1, (TimeRange(1000, 2500),), ("ten", "forty"), "t", "own", "", 61500, "", {"try": 3}),
        question="How much?",
        finished="answered",
        text="Forty.",
        choice="B",
        cited=(TimeRange(1000, 1800),),
        usage=answer.usage,
        by="gpt-5.4 (manager)",
    )
    assert one.outcome == "answered" and one.picked == 1 and is_right(one)


@pytest.mark.parametrize(
    ("choice", "finished", "outcome", "right"),
    [
        ("C", "answered", "answered", True),
        ("(c)", "answered", "answered", True),
        ("C.", "out_of_steps", "answered", True),
        ("A", "answered", "answered", False),
        ("C", "not_found", "answered", True),
        (None, "not_found", "abstained", False),
        (None, "answered", "abstained", False),
        (None, "out_of_budget", "abstained", False),
        ("", "answered", "abstained", False),
        ("F", "answered", "unparsed", False),
        ("C three", "answered", "unparsed", False),
        ("3", "answered", "unparsed", False),
        ("CC", "answered", "unparsed", False),
    ],
)
def test_only_a_choice_answers_a_multiple_choice_question(
    tmp_path: Path, choice: str | None, finished: str, outcome: str, right: bool
) -> None:
    (one,) = joined(tmp_path, line("q", choice, gold(2), answer="It is C: three.", finished=finished))
    assert (one.outcome, is_right(one)) == (outcome, right)


@pytest.mark.parametrize(
    ("text", "finished", "right_answer", "outcome", "right"),
    [
        ("The couch [#1].", "answered", "couch", "answered", True),
        ("a  Couch!", "answered", "the couch", "answered", True),
        ("couches", "answered", "couch", "answered", False),
        ("couch", "not_found", "couch", "abstained", False),
        ("", "answered", "couch", "abstained", False),
        ("Nothing of the kind.", "not_found", "unanswerable", "abstained", True),
        ("A couch.", "answered", "Not in the video.", "answered", False),
    ],
)
def test_open_answers_and_what_is_not_there(tmp_path: Path, text: str, finished: str, right_answer: str, outcome: str, right: bool) -> None:
    (one,) = joined(tmp_path, line("q", None, gold(right_answer, options=()), answer=text, finished=finished))
    assert (one.outcome, is_right(one)) == (outcome, right)
    assert is_absent(one) == (right_answer in ("unanswerable", "Not in the video."))


def test_failures_cost_nothing_and_are_wrong(tmp_path: Path) -> None:
    (one,) = joined(tmp_path, failed("q", gold(0)))
    assert (one.outcome, one.usage, one.picked, is_right(one)) == ("failed", None, None, False)


@pytest.mark.parametrize(
    ("written", "index"), [("A", 0), (" e ", 4), ("b:", 1), ("f", None), ("", None), ("AB", None), ("é", None), ("(D)", 3)]
)
def test_letters(written: str, index: int | None) -> None:
    assert option_index(written, ABCDE) == index


def test_normalised_words_by_hand() -> None:
    assert normalized("  The man's AN-thology, a (1st) Theatre! ") == "mans anthology 1st theatre"
    assert f1("a red big car", "the red car") == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert f1("car car", "car") == pytest.approx(2 / 3)
    assert (f1("", "the"), f1("car", "the"), f1("dog", "car")) == (1.0, 0.0, 0.0)


def test_gold_from_elsewhere_goes_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line("q", "B", gold(0)), line("r", "B"))
    first, second = read_answers(path, {"q": Gold(1, options=ABCDE)})
    assert is_right(first) and second.gold == Gold()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"id": "a", "finished": "answered"', "line 2 is not an answer of this program: Expecting"),
        ("[1]", "line 2 is not an answer of this program: it is not a JSON object."),
        ('{"finished": "answered"}', "line 2 is not an answer of this program: 'id' is missing."),
        ('{"id": "b", "answer": "x"}', "line 2 is not an answer of this program: 'finished' is missing."),
        (json.dumps(line("b", "A", cites=[(3, 1)])), "line 2 is not an answer of this program: not a time range: 3000 ms to 1000 ms."),
        (
            json.dumps(line("b", "A", usage={"wall_seconds": -1})),
            "line 2 is not an answer of this program: 'wall_seconds' is -1, not an amount.",
        ),
        (json.dumps(line("b", "A", gold(7))), "line 2 is not an answer of this program: the gold answer 7 is not the number of an option."),
        (json.dumps(line("b", "A", gold("six"))), "line 2 is not an answer of this program: the gold answer 'six' is none of the options."),
        (json.dumps(line("b", "A", gold(1.5))), "line 2 is not an answer of this program: the gold answer 1.5 is neither"),
        (json.dumps(line("a", "A")), " answers 'a' 2 times, in lines 1 and 2."),
        ("[" * 100_000, "line 2 is not an answer of this program"),
    ],
    ids=lambda value: "" if value.startswith(("{", "[")) else value[:60],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = write(tmp_path / "answers.jsonl", line("a", "A"), text)
    with pytest.raises(AgentError) as told:
        read_answers(path)
    assert str(told.value).startswith(f"answers.jsonl{why}" if why[0] == " " else f"answers.jsonl, {why}") and told.value.hint


def test_files_without_answers(tmp_path: Path) -> None:
    for content, why in ((b"\n\n", "holds no answer"), (b"\xff\xfe", "not UTF-8")):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(AgentError, match=why):
            read_answers(tmp_path / "a")
    with pytest.raises(AgentError, match="cannot be read: No such file"):
        read_answers(tmp_path / "none")


def test_benchmarks_are_not_mixed() -> None:
    def of(*names: str) -> list[Scored]:
        return [Scored(f"q{n}", Gold(0, dataset=name)) for n, name in enumerate(names)]

    assert dataset_of([of("egoschema"), [Scored("x", Gold())]]) == "egoschema"
    assert dataset_of([of("nextqa", "nextgqa")]) == "nextgqa" and dataset_of([[]]) == "own"
    with pytest.raises(AgentError, match="different benchmarks: egoschema, lvbench"):
        dataset_of([of("lvbench"), of("egoschema")])


def test_common_questions_share_what_is_right() -> None:
    known, blind = open_one("a", "x", "x"), Scored("a", Gold(), finished="answered", text="y")
    assert [is_right(one) for pair in common_questions([known, open_one("b", "", "")], [blind]) for one in pair] == [True, False]
    assert common_questions([blind], [known])[0][0].gold.answer == "x"
    with pytest.raises(AgentError, match="no question in common"):
        common_questions([known], [open_one("c", "x", "x")])
    with pytest.raises(AgentError, match="disagree on what is right for 'a'"):
        common_questions([known], [open_one("a", "x", "z")])
