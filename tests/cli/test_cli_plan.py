"""`--plan`: what would run and what it would cost; nothing is analyzed, and no model is called."""

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent import Session, Settings
from analyzer_agent.config import Mode
from analyzer_agent.sample import sample_path
from analyzer_agent.testing import ScriptedModel
from cli_kit import PRICE, Cli

NOBODY = ("--base-url", "http://localhost:9/v1", "--model", "m")


def test_a_question_under_rules(cli: Cli, video: Path) -> None:
    shown = cli("ask", video, PRICE, "--plan", "--tools", "subtitles,scenes").stdout
    assert shown.startswith("Manager: keyword rules, no model calls, up to 12 steps\n")
    rows = [line.split() for line in shown.splitlines()[2:]]
    assert rows[0] == ["analyzer", "new", "covered", "takes", "at", "most"]
    assert rows[1][:3] == ["subtitles", "2", "s"] and rows[2][0] == "scenes"
    assert shown.endswith("Not measured on this machine yet: subtitles, scenes.\n")
    runs = cli.json("index", video, "--plan", "--json", "--tools", "subtitles,scenes")["runs"]
    assert [run["reused_seconds"] for run in runs] == [0.0, 0.0], "nothing was analyzed"


def test_what_is_covered_and_measured_is_told(cli: Cli, video: Path) -> None:
    cli("index", video, "--with", "scenes,subtitles", "-q")
    told = cli("index", video, "--plan", "--with", "scenes,subtitles").stdout
    assert told.count("nothing new") == 2 and told.endswith("Nothing new would be analyzed.\n")
    (again,) = cli.json("index", video, "--plan", "--with", "scenes", "--refresh", "--json")["runs"]
    assert again["new_seconds"] == 2.0 and again["estimate_seconds"] > 0
    assert "All together about" in cli("index", video, "--plan", "--with", "scenes", "--refresh").stdout


def media_seconds(runs: list[Any]) -> dict[str, float]:
    return {run["analyzer"]: run["new_seconds"] for run in runs}


def test_what_is_told_for_the_sample_is_what_index_analyzes(cli: Cli) -> None:
    names = "scenes,subtitles,voice,motion"
    plan = ("index", sample_path(), "--plan", "--json", "--with", names)
    told = media_seconds(cli.json(*plan)["runs"])
    done = cli.json("index", sample_path(), "--with", names, "--json")["indexed"]
    assert told == {one["analyzer"]: one["new_seconds"] for one in done}
    assert set(media_seconds(cli.json(*plan)["runs"]).values()) == {0.0}


def test_a_question_analyzes_what_the_plan_told_less_what_the_next_one_tells(cli: Cli) -> None:
    given = (
        sample_path(),
        "Why does the ferry use another pier?",
        "--manager",
        "rules",
        "--tools",
        "scenes,subtitles,voice,motion",
        "--json",
    )
    before = media_seconds(cli.json("ask", *given, "--plan")["runs"])
    answer = cli.json("ask", *given)
    after = media_seconds(cli.json("ask", *given, "--plan")["runs"])
    analyzed = answer["usage"]["media_seconds_analyzed"]
    assert analyzed > 0 and sum(before.values()) - sum(after.values()) == pytest.approx(analyzed, abs=0.001)


def test_a_language_model_is_not_called(cli: Cli, video: Path) -> None:
    shown = cli("ask", video, PRICE, "--plan", "--tools", "subtitles", *NOBODY, "--price", "2/8").stdout
    assert shown.startswith("Manager: m, up to 12 steps with a call each; the first has about ") and "tokens (about $0.00" in shown
    assert "price not known" in cli("ask", video, PRICE, "--plan", *NOBODY).stdout
    assert cli("ask", video, PRICE, "--plan", "--mode", "blind", *NOBODY).stdout == "Mode blind: one call of m\n"
    summed = cli.json("ask", video, PRICE, "--plan", "--json", "--mode", "summarizer", "--tools", "subtitles", *NOBODY)
    assert [run["analyzer"] for run in summed["runs"]] == ["subtitles"] and summed["max_steps"] == 1


def test_the_questions_of_a_file_share_their_videos(cli: Cli, video: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    rows = [{"id": str(n), "video": "talk.mp4", "question": PRICE} for n in range(3)] + [{"id": "x", "video": "no.mp4", "question": PRICE}]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "answers.jsonl"
    shown = cli("batch", questions, "--out", out, "--plan", "--tools", "subtitles", *NOBODY, "--price", "2/8").stdout
    assert (
        shown.startswith("4 questions about 1 video, 1 without a video\n")
        and "The first requests of all questions together cost about $0.0" in shown
    )
    assert not out.exists() or not out.read_text()
    cli("batch", questions, "--out", out, "--plan", "--tools", "subtitles")


def test_an_input_that_is_not_there_is_told(cli: Cli, video: Path, tmp_path: Path) -> None:
    from cli_kit import talk

    mute = talk(tmp_path / "mute.mp4", sound=False)
    told = cli("index", mute, "--plan", "--with", "voice").stdout
    assert "does not run: mute.mp4 has no sound" in told and told.endswith("Nothing new would be analyzed.\n")


@pytest.mark.parametrize("mode", ["manager", "frames"])
def test_from_python(video: Path, tmp_path: Path, mode: Mode) -> None:
    settings = Settings(store=tmp_path / "s.db", tools=["subtitles"], mode=mode)
    with Session(video, settings=settings, model=ScriptedModel()) as session:
        plan = session.plan(PRICE)
    assert (plan.mode, [run.analyzer for run in plan.runs]) == (mode, ["subtitles"] if mode == "manager" else [])
    assert plan.prompt_usd is None and plan.unmeasured == (("subtitles",) if mode == "manager" else ())
