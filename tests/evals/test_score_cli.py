"""The command `score`, as people use it: what it prints, writes and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli_kit import Cli
from openai_server import OpenAIServer
from score_kit import failed, gold, line, write


def of(answer: int, **more: Any) -> dict[str, Any]:
    return gold(answer, dataset="nextgqa", **more)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    usage = {"analyzer_seconds": 2.0, "media_seconds_analyzed": 30.0, "media_seconds_reused": 10.0, "wall_seconds": 4.0}
    return write(
        tmp_path / "a.jsonl",
        line("v1_0", "A", of(0, type="CW", evidence=[[0, 10]], duration=50), cites=[(0, 10)], usage=usage),
        line("v1_1", "B", of(0, type="TN", evidence=[[0, 10]], duration=50), cites=[(5, 10)], usage=usage),
        line("v2_0", None, of(2, type="TP", duration=200), finished="not_found", usage=usage),
        line("v2_1", "Z", of(2, type="CW", duration=4000), usage=usage),
        failed("v3_0", of(1, type="CH")),
    )


TABLE = """\
{path}: 5 questions, nextgqa

Answers
measure                %  questions
accuracy, strict   20.00          5
accuracy, official 20.00          5
answered           40.00          5
abstained          20.00          5
not parsed         20.00          5
failed             20.00          5
Strict: who abstains, fails or cannot be parsed is wrong.
"""


def squeezed(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.splitlines()]


def test_the_table(cli: Cli, answers: Path) -> None:
    shown = cli("score", answers).stdout
    wanted = squeezed(TABLE.format(path=answers))
    assert squeezed(shown)[: len(wanted)] == wanted
    rest = squeezed(shown)
    for row in (
        *("TN before and after 2 0.00", "C causal 3 33.33", "under 1 min 2 50.00", "over 60 min 1 0.00"),
        *("mIoP 100.00 100.00 100.00", "mIoU 75.00 75.00 75.00", "Acc@GQA 50.00 50.00 50.00", "cited 2 7.50 7.50 10.00"),
        *("wrongly: there is an answer 1", "calls of the model 4 1.00", "tokens 60 15.00", "analyzer seconds 8.00 2.00"),
        *("media-seconds used 160.00 40.00", "of these newly analyzed 120.00 30.00", "cache hits % 25.00 -"),
    ):
        assert row in rest, row
    assert max(len(text) for text in shown.splitlines()[1:]) <= 80


def test_the_other_formats_hold_the_same(cli: Cli, answers: Path) -> None:
    found = cli.json("score", answers, "--json")
    assert (found["dataset"], found["questions"], found["answers"]) == ("nextgqa", 5, [str(answers)])
    assert found == cli.json("score", answers, "--format", "json")
    sections = found["sections"]
    assert sections["answers"]["rows"][0] == {"measure": "accuracy, strict", "percent": 20.0, "questions": 5}
    assert sections["evidence"]["rows"][1] == {
        "measure": "mIoP",
        "official_percent": 100.0,
        "strict_percent": 100.0,
        "all_citations_percent": 100.0,
    }
    shown = cli("score", answers, "--format", "md").stdout
    assert "## Answers\n\n| measure | % | questions |\n|---|---:|---:|\n| accuracy, strict | 20.00 | 5 |\n" in shown


def test_two_runs(cli: Cli, answers: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "b.jsonl", line("v2_0", "C"), line("v1_1", "A"), line("v1_0", "A"), line("extra", "A"))
    shown = squeezed(cli("score", answers, other).stdout)
    for row in (
        f"A: {answers}",
        f"B: {other}",
        "3 common questions, nextgqa",
        "accuracy, strict 33.33 100.00",
        "right alone, strict 0 2 - - -",
    ):
        assert row in shown, row
    assert "McNemar's p, strict - - 0.50 - -" in shown and max(map(len, shown[3:])) <= 80
    found = cli.json("score", answers, other, "--json")["sections"]["difference"]["rows"][0]
    assert found["measure"] == "accuracy, strict %" and found["B_minus_A"] == pytest.approx(200 / 3)


def test_submission_files(cli: Cli, answers: Path, tmp_path: Path) -> None:
    result = cli("score", answers, "--submission", tmp_path / "out" / "val-res.json")
    assert result.stderr.splitlines() == [
        f"Written: {tmp_path}/out/val-res.json, without 3 of 5 questions, which have no answer.",
        f"Written: {tmp_path}/out/val-res_ground.json, without 3 of 5 questions, which have no citation.",
    ]
    assert json.loads((tmp_path / "out" / "val-res_ground.json").read_text()) == {"v1_0": [0.0, 10.0], "v1_1": [5.0, 10.0]}


def test_a_judge(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line("q", None, gold("couch", options=()), answer="On a sofa [#1]."))
    with OpenAIServer() as server:
        server.says('{"correct": "yes", "score": 4}')
        flags = ("--judge", "m", "--base-url", server.url)
        shown = squeezed(cli("score", path, *flags).stdout)
        assert cli.json("score", path, *flags, "--json")["judge"] == "m"
        pair = squeezed(cli("score", path, path, *flags).stdout)
    assert "accuracy, judged 100.00 100.00" in pair and "accuracy, judged % 100.00 100.00 0.00 0.00 0.00" in pair
    assert "accuracy, strict 0.00 1" in shown and "accuracy, judged 100.00 1" in shown and "mean score, 0 to 5 1 4.00" in shown
    assert (tmp_path / "a.jsonl.judge.jsonl").exists()


def test_a_judge_needs_a_way_to_it(cli: Cli, answers: Path) -> None:
    told = cli("score", answers, "--judge", "gpt-5.4", code=1).stderr
    assert told == "Error: There is no key for the judge.\nHint: Set OPENAI_API_KEY, or --base-url for a local server.\n"
    flags = ("--judge", "m", "--offline", "--base-url", "http://example.com/v1")
    assert cli("score", answers, *flags, code=1).stderr.startswith("Error: --offline forbids a judge on the network.\nHint: ")


def test_training_answers(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line("q", None, gold("couch", options=()), answer="couch"))
    (tmp_path / "train.json").write_text('{"couch": 5}')
    assert "rare 1 100.00" in squeezed(cli("score", path, "--train-answers", tmp_path / "train.json").stdout)


def test_without_gold_cost_is_told_and_the_hint_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", line("q", None, answer="couch"))
    shown = cli("score", path).stdout
    assert "accuracy, strict - 0" in squeezed(shown) and "--questions" in shown and "tokens 15 15.00" in squeezed(shown)


def test_questions_that_were_not_asked_are_told(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "q.jsonl", *({"id": id, "video": "v.mp4", "question": "What?"} for id in "abc"))
    path = write(tmp_path / "a.jsonl", line("b", None, answer="couch"))
    assert cli("score", path, "--questions", tmp_path / "q.jsonl").stderr == "Not counted: 2 of 3 questions, which were not asked.\n"
    other = write(tmp_path / "b.jsonl", line("x", None, answer="couch"))
    told = cli("score", other, "--questions", tmp_path / "q.jsonl", code=1).stderr
    assert told.startswith(f"Error: None of the answers belongs to a question of '{tmp_path}/q.jsonl'.\nHint: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.jsonl"], "Error: The answer file 'none.jsonl' cannot be read: No such file or directory.\nHint: Check the path.\n"),
        (["a.jsonl", "mixed.jsonl"], "Error: The answers belong to different benchmarks: egoschema, nextgqa.\nHint: Score those of each"),
        (
            ["a.jsonl", "foreign.jsonl"],
            "Error: The two answer files have no question in common.\nHint: Compare answers to the same question",
        ),
        (["broken.jsonl"], "Error: broken.jsonl, line 1 is not an answer of this program: Expecting value"),
        (
            ["foreign.jsonl", "--submission", "o"],
            "Error: No submission file is known for the benchmark 'own'.\nHint: Known ones: egoschema",
        ),
    ],
)
def test_wrong_input(cli: Cli, answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mixed.jsonl", line("v1_0", "A", gold(0, dataset="egoschema")))
    write(tmp_path / "foreign.jsonl", line("x", "A"))
    write(tmp_path / "broken.jsonl", "{", "[]")
    result = cli("score", *arguments, code=1)
    assert result.stderr.replace("Expecting property name enclosed in double quotes", "Expecting value").startswith(told)
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("flags", [("--submission", "x"), ("--train-answers", "x"), ("--text-metrics",)])
def test_what_takes_one_file_is_refused_for_two(cli: Cli, answers: Path, flags: tuple[str, ...]) -> None:
    assert f"{flags[0]} takes one answer file." in cli("score", answers, answers, *flags, code=2).stderr


def test_scoring_loads_nothing_heavy(cli: Cli, answers: Path) -> None:
    code = "import sys; from analyzer_agent.cli import main; main.main(['score', sys.argv[1]], standalone_mode=False); print(*sys.modules)"
    process = cli.process(answers, python=("-c", code))
    loaded = set(process.communicate()[0].splitlines()[-1].split())
    assert process.returncode == 0 and not loaded & {"torch", "openai", "langgraph", "av", "cv2"}


def test_the_judge_is_paid_for(cli: Cli, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps(line("a", None, gold("the couch", options=()), answer="A sofa.")) + "\n")
    with OpenAIServer() as server:
        server.says('{"correct": "yes", "score": 5}', usage=(300, 20))
        told = cli("score", answers, "--judge", "m", "--base-url", server.url, "--price", "1/10").stderr
    assert "Judged: 1 model call (300 tokens in, 20 out), $0.00050." in told
    assert "Judged" not in cli("score", answers, "--judge", "m", "--base-url", server.url).stderr, "a reply that is stored costs nothing"


def test_claims_on_all_of_a_scope_are_told_apart(cli: Cli, tmp_path: Path) -> None:
    whole: dict[str, Any] = {"claim": "count", "holds": True, "over": []}
    partial = whole | {"holds": False}
    found = write(
        tmp_path / "claims.jsonl",
        line("a", "A", gold(0), complete=whole),
        line("b", "A", gold(1), complete=whole),
        line("c", "A", gold(1), complete=partial),
        line("d", "A", gold(0), complete=None),
    )
    section = cli.json("score", found, "--json")["sections"]["complete"]
    assert [list(row.values()) for row in section["rows"]] == [["count, complete", 2, 50.0], ["count, in part", 1, 0.0]]
    assert "complete" not in cli.json("score", write(tmp_path / "b.jsonl", line("d", "A", gold(0))), "--json")["sections"]
