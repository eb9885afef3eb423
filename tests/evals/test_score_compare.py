"""Two runs against each other: exact figures by hand and by other programs, intervals by resampling once more."""

import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.evals.score import ScoredRun, compare_runs
from analyzer_agent.evals.score.answer_file import Scored, read_answers
from analyzer_agent.evals.score.comparison import bootstrap, compare, mcnemar
from analyzer_agent.evals.score.grading import is_right
from score_kit import failed, gold, joined, line, rows_of, write

STRICT = {"strict": (is_right, is_right)}


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (0, 5, 2 / 32), (1, 5, 2 * 7 / 64), (5, 1, 2 * 7 / 64), (3, 3, 1.0), (2, 8, 2 * 56 / 1024)],
)
def test_mcnemar_by_hand(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)


def test_mcnemar_by_counting_all_ways() -> None:
    for b, c in product(range(6), repeat=2):
        ways = [sum(way) for way in product((0, 1), repeat=b + c)]
        extreme = sum(abs(2 * heads - (b + c)) >= abs(b - c) for heads in ways)
        assert mcnemar(b, c) == pytest.approx(extreme / len(ways))


def test_mcnemar_as_scipy_has_it() -> None:
    stats = pytest.importorskip("scipy.stats", reason="another program to compare with; scipy is no part of the project")
    for b, c in [(0, 1), (10, 20), (55, 40), (300, 500), (4000, 4200)]:
        assert mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c, 0.5).pvalue, rel=1e-9)


def test_bootstrap_by_resampling_once_more() -> None:
    random.seed(3)
    column = [random.gauss(2, 5) for _ in range(40)]
    (ours,) = bootstrap([[value] for value in column], resamples=4000)
    means = sorted(sum(random.choices(column, k=40)) / 40 for _ in range(4000))
    assert ours.mean == pytest.approx(sum(column) / 40)
    assert ours.low == pytest.approx(means[100], abs=0.15) and ours.high == pytest.approx(means[3900], abs=0.15)


def test_bootstrap_as_scipy_has_it() -> None:
    stats = pytest.importorskip("scipy.stats", reason="another program to compare with; scipy is no part of the project")
    column = [float(n % 7 - 2) for n in range(50)]
    theirs = stats.bootstrap((column,), lambda x, axis: x.mean(axis=axis), n_resamples=10000, method="percentile", random_state=0)
    (ours,) = bootstrap([[value] for value in column])
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.05)


def test_bootstrap_is_seeded_and_columns_are_drawn_together() -> None:
    rows = [[float(n), 2.0 * n] for n in range(20)]
    first, second = bootstrap(rows, resamples=500)
    assert (second.low, second.high) == (2 * first.low, 2 * first.high) and bootstrap(rows, resamples=500) == [first, second]
    assert bootstrap([[3.0]])[0].low == bootstrap([[3.0]])[0].high == 3.0


def test_accuracy_and_cost_by_hand(tmp_path: Path) -> None:
    def run(name: str, choices: Sequence[str | None], **usage: Any) -> list[Scored]:
        lines = [
            failed(f"q{n}", gold(0)) if choice == "!" else line(f"q{n}", choice, gold(0), usage=usage, steps=n + 1)
            for n, choice in enumerate(choices)
        ]
        return read_answers(write(tmp_path / name, *lines))

    first = run("a", ["A", "A", "B", "B", None], analyzer_seconds=2.0, media_seconds_analyzed=3.0, media_seconds_reused=1.0)
    second = run("b", ["A", "B", "A", "A", "!"], analyzer_seconds=5.0, media_seconds_reused=4.0)
    better, cheaper = map(rows_of, compare(first, second, STRICT))
    assert better["accuracy, strict %"][:3] == (40.0, 60.0, pytest.approx(20.0))
    assert better["right alone, strict"][:2] == (1, 2) and better["McNemar's p, strict"][2] == 1.0
    assert cheaper["analyzer seconds"] == (2.0, 5.0, 3.0, 3.0, 3.0)  # four questions: the fifth failed in B
    assert cheaper["media-seconds used"] == (4.0, 4.0, 0.0, 0.0, 0.0) and cheaper["of these newly analyzed"][:3] == (3.0, 0.0, -3.0)
    assert cheaper["steps"] == (2.5, 2.5, 0.0, 0.0, 0.0) and cheaper["tokens"][:2] == (15.0, 15.0)


def test_shuffles_of_one_question_are_one_unit(tmp_path: Path) -> None:
    def run(name: str, *choices: str) -> list[Scored]:
        lines = [
            line(f"{g}_{n}", c, gold(n, dataset="vnbench", group=g))
            for g, four in zip("xy", choices, strict=True)
            for n, c in enumerate(four)
        ]
        return joined(tmp_path, *lines)

    better, cheaper = map(rows_of, compare(run("a", "ABCD", "ABCD"), run("b", "ABCD", "ABCA"), STRICT))
    assert better["accuracy, strict %"][:3] == (100.0, 50.0, -50.0) and better["right alone, strict"][:2] == (1, 0)
    assert cheaper["tokens"][:2] == (60.0, 60.0)


def test_runs_side_by_side(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, line("q", choice, gold(0, dataset="lvbench", type="t"))) for name, choice in (("a", "A"), ("b", None))]
    first, second = (ScoredRun(path, read_answers(path)) for path in paths)
    sections = {section.key: section for section in compare_runs(first, second, "lvbench")}
    assert rows_of(sections["answers"])["accuracy, strict"] == (100.0, 0.0) and rows_of(sections["answers"])["accuracy, official"] == (
        100.0,
        None,
    )
    assert sections["answers"].head == ("measure", "A: %", "B: %") and rows_of(sections["cost"])["tokens"] == (15, 15)
