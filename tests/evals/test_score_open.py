"""Open answers: words against gold, rare and unseen answers, COCO's metrics, and a judge that is asked no more than it must."""

import json
import sys
from pathlib import Path

import pytest

from analyzer_agent.errors import AgentError, Unavailable
from analyzer_agent.evals.score.answer_file import Scored
from analyzer_agent.evals.score.captions import captions, words
from analyzer_agent.evals.score.judge import Judge, JudgeVerdict, judged, verdict_of
from analyzer_agent.evals.score.open_ended import open_answers, read_counts, vocabulary
from analyzer_agent.llm import open_model
from analyzer_agent.protocols import Reply
from analyzer_agent.questions import Gold
from analyzer_agent.testing import ScriptedModel
from openai_server import OpenAIServer
from score_kit import gold, joined, line, open_one, rows_of


def test_words_by_hand(tmp_path: Path) -> None:
    items = joined(
        tmp_path,
        line("a", None, gold("the couch", options=()), answer="A couch [#1]."),  # exact
        line("b", None, gold("red car", options=()), answer="a red dog"),  # F1 1/2
        line("c", None, gold("sit", options=()), answer="sit", finished="not_found"),  # nothing said
        line("d", None, gold("not in the video", options=()), finished="not_found"),  # rightly so
        line("e", "A", gold(0)),  # has options
    )
    assert rows_of(open_answers(items)) == {"exact match": (4, 50.0), "token F1": (4, 62.5)}
    assert open_answers(items[4:]) is None


def test_rare_and_unseen_answers_by_hand() -> None:
    counts = {"yes": 101, "no": 100, "couch": 11, "sofa": 10, "cat": 1}
    said = [("yes", "yes"), ("yes", "no"), ("no", "no"), ("couch", "x"), ("sofa", "sofa"), ("cat", "dog"), ("emu", "emu"), ("emu", "emu")]
    items = [open_one(f"q{n}", text, right) for n, (right, text) in enumerate(said)]
    section = vocabulary(items, counts)
    assert rows_of(section) == {
        **{"base": (2, 50.0), "common": (2, 50.0), "rare": (2, 50.0), "unseen": (2, 100.0), "total": (8, 62.5)},
        # yes 1/2, no 1, couch 0, sofa 1, cat 0, emu 1
        "mean of all answers": (6, pytest.approx(100 * 3.5 / 6)),
    }
    assert list(rows_of(section))[:4] == ["base", "common", "rare", "unseen"] and vocabulary([], counts) is None


@pytest.mark.parametrize(
    "text",
    [
        '["yes", "no", "yes"]',
        '[{"answer": "yes"}, {"answer": "no"}, {"answer": "yes"}]',
        '{"yes": 2, "no": 1}',
        "id,answer\n1,yes\n2,no\n3,yes\n",
    ],
    ids=["texts", "records", "counts", "csv"],
)
def test_training_answers(tmp_path: Path, text: str) -> None:
    (tmp_path / "train").write_text(text)
    assert read_counts(tmp_path / "train") == {"yes": 2, "no": 1}


@pytest.mark.parametrize("text", ["[1, 2]", '[{"a": 1}]', '{"yes": "often"}', "id,word\n1,yes\n", "", "[]", "[" * 100_000, '["yes"'])
def test_files_that_hold_no_training_answers(tmp_path: Path, text: str) -> None:
    (tmp_path / "train").write_text(text)
    with pytest.raises(AgentError, match=r"train holds no answer|train does not hold training answers") as told:
        read_counts(tmp_path / "train")
    assert told.value.hint.startswith("Give the training answers")


# --- COCO's metrics -------------------------------------------------------------------------------------------------

PAIRS = [("a man plays the guitar", "A man plays guitar."), ("the dog runs", "the dog runs"), ("a red car", "blue sky")]


def test_words_are_split() -> None:
    assert words("The man's 2nd, RED-hot car_park!") == "the man's 2nd red hot car park"


def test_the_package_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
    with pytest.raises(Unavailable) as told:
        captions([])
    assert str(told.value).startswith("BLEU needs 'pycocoevalcap'")


def test_bleu_and_cider_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two answers word for word: all precisions are 1, all vectors alike, and CIDEr's scale is 10."""
    pytest.importorskip("pycocoevalcap", reason="needs the extra `score`")
    monkeypatch.setattr("shutil.which", lambda name: None)
    right = ("one man plays the guitar", "the white dog runs away")
    section = captions([open_one(f"q{n}", text.upper(), text) for n, text in enumerate(right)])
    found = rows_of(section)
    assert [found[f"BLEU-{n}"] for n in range(1, 5)] == [(2, pytest.approx(100, abs=1e-3))] * 4
    assert found["CIDEr"] == (2, pytest.approx(1000)) and "METEOR" not in found and section and "needs Java" in section.note
    # 4 of 5 words, shorter by one: exp(1 - 5/4) * 4/4
    bleu = rows_of(captions([open_one("q", "one man plays guitar", right[0])]))["BLEU-1"][1]
    assert bleu == pytest.approx(100 * 2.718281828**-0.25, abs=1e-3)


def test_bleu_as_nltk_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap", reason="needs the extra `score`")
    nltk = pytest.importorskip("nltk.translate.bleu_score", reason="another program to compare with; nltk is no part of the project")
    monkeypatch.setattr("shutil.which", lambda name: None)
    found = rows_of(captions([open_one(f"q{n}", given, right) for n, (right, given) in enumerate(PAIRS)]))
    ours, golds = [words(given).split() for _, given in PAIRS], [[words(right).split()] for right, _ in PAIRS]
    for n in (1, 2):
        assert found[f"BLEU-{n}"][1] == pytest.approx(100 * nltk.corpus_bleu(golds, ours, weights=[1 / n] * n), abs=1e-3)


def test_silence_has_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap", reason="needs the extra `score`")
    monkeypatch.setattr("shutil.which", lambda name: None)
    silent = [Scored("q", Gold("the dog runs"), finished="not_found", text="the dog runs")]
    assert rows_of(captions(silent))["BLEU-1"][1] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_meteor_where_java_is() -> None:
    pytest.importorskip("pycocoevalcap", reason="needs the extra `score`")
    import shutil

    if shutil.which("java") is None:
        pytest.skip("needs Java")
    found = rows_of(captions([open_one("q", "the dog runs away", "the dog runs away")]))
    assert found["METEOR"] == (1, pytest.approx(100, abs=1))


# --- the judge ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ('{"correct": "yes", "score": 5}', JudgeVerdict(True, 5)),
        ('```json\n{"score": 0, "correct": "No"}\n```', JudgeVerdict(False, 0)),
        ('Sure: {"correct": "yes", "score": 4.0} as both say so {.', JudgeVerdict(True, 4)),
    ],
)
def test_verdicts(reply: str, verdict: JudgeVerdict) -> None:
    assert verdict_of(reply) == verdict


@pytest.mark.parametrize(
    "reply",
    [
        *("yes, 5", "", "{", '{"correct": "maybe", "score": 3}', '{"correct": "yes", "score": 4.8}', '{"correct": "yes", "score": 6}'),
        *('{"correct": "yes"}', '{"correct": "yes", "score": true}', '{"correct": "yes", "score": NaN}', '{"a":' * 100_000),
    ],
    ids=lambda text: text[:40],
)
def test_replies_that_are_no_verdict(reply: str) -> None:
    with pytest.raises(ValueError):
        verdict_of(reply)


def test_replies_are_kept_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    items = [open_one("a", "a sofa", "couch", question="Where?"), open_one("b", "dog", "cat"), open_one("c", "x", "not found")]
    items.append(Scored("d", Gold("cat"), finished="not_found", text="no cat"))
    cache = tmp_path / "a.judge.jsonl"
    with OpenAIServer() as server:
        server.says('{"correct": "yes", "score": 4}')
        server.says('{"correct": "no", "score": 1}')
        judge = Judge(open_model("m", base_url=server.url), cache)
        first = judge.judge(items)
        (message,) = server.requests[0].body["messages"]
        assert "Question: Where?\nCorrect answer: couch\nGiven answer:\n<notes>\na sofa\n</notes>\n" in message["content"]
        again = Judge(open_model("m", base_url=server.url), cache)
        assert again.judge(items) == first and (judge.asked, again.asked) == (2, 0)
        server.says('{"correct": "yes", "score": 5}')
        server.says('{"correct": "yes", "score": 5}')
        assert Judge(open_model("other", base_url=server.url), cache).judge(items[:2]) != first
    assert first == {"a": JudgeVerdict(True, 4), "b": JudgeVerdict(False, 1), "c": JudgeVerdict(False, 0), "d": JudgeVerdict(False, 0)}
    records = [json.loads(text) for text in cache.read_text().split("\n") if text]
    assert [(one["model"], one["id"]) for one in records] == [("m", "a"), ("m", "b"), ("other", "a"), ("other", "b")]
    section = judged(items, first, "m")
    assert rows_of(section)["right %"] == (4, 25.0) and rows_of(section)["mean score, 0 to 5"] == (4, 1.25)
    assert section and "judge is m" in section.note


def test_a_judge_that_is_never_understood_is_given_up_and_remembered(tmp_path: Path) -> None:
    cache, item = tmp_path / "j", open_one("a", "x", "y")
    model = ScriptedModel(*[Reply("I would say yes.")] * 3)
    judge = Judge(model, cache)
    assert judge.judge([item]) == {"a": JudgeVerdict(None, None)} and judge.asked == 3
    assert [len(messages) for messages, _ in model.requests] == [1, 3, 5] and "no JSON object" in model.requests[1][0][2]["content"]
    assert Judge(ScriptedModel(), cache).judge([item]) == {"a": JudgeVerdict(None, None)}
    found = rows_of(judged([item], {"a": JudgeVerdict(None, None)}, "m"))
    assert (
        found["right %"] == (1, 0.0) and found["mean score, 0 to 5"] == (0, None) and found["not judged: replies could not be read"][0] == 1
    )


def test_a_second_reply_counts(tmp_path: Path) -> None:
    judge = Judge(ScriptedModel(Reply("Hm."), Reply('{"correct": "yes", "score": 5}')), tmp_path / "j")
    assert judge.judge([open_one("a", "x", "y")]) == {"a": JudgeVerdict(True, 5)} and judge.asked == 2


def test_what_a_crash_tore_is_judged_again_and_spoils_nothing(tmp_path: Path) -> None:
    cache, items = tmp_path / "j", [open_one("a", "x", "y"), open_one("b", "x", "z")]
    yes = Reply('{"correct": "yes", "score": 5}')
    Judge(ScriptedModel(yes, yes), cache).judge(items)
    cache.write_text(cache.read_text()[:-20])
    assert Judge(ScriptedModel(yes), cache).judge(items) == dict.fromkeys("ab", JudgeVerdict(True, 5))
    assert Judge(ScriptedModel(), cache).judge(items) == dict.fromkeys("ab", JudgeVerdict(True, 5))


def test_a_server_that_fails_keeps_what_was_judged(tmp_path: Path) -> None:
    items = [open_one("a", "x", "y"), open_one("b", "x", "z")]
    with OpenAIServer() as server:
        server.says('{"correct": "yes", "score": 5}')
        server.fails(401, "bad key", code="invalid_api_key")
        with pytest.raises(AgentError):
            Judge(open_model("m", base_url=server.url), tmp_path / "j").judge(items)
        server.says('{"correct": "no", "score": 0}')
        judge = Judge(open_model("m", base_url=server.url), tmp_path / "j")
        assert judge.judge(items)["b"] == JudgeVerdict(False, 0) and judge.asked == 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot be kept"):
        Judge(ScriptedModel(), tmp_path)
    with pytest.raises(AgentError, match="cannot be kept"):
        Judge(ScriptedModel(Reply('{"correct": "yes", "score": 5}')), tmp_path / "none" / "j").judge([open_one("a", "x", "y")])
