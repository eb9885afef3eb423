"""The manager without a language model finds the line in every language and form of its words."""

import unicodedata
from collections.abc import Sequence

import pytest

from analyzer_agent.llm.rules.question_parser import content_stems, stem_overlap
from rules_kit import Ask, Said

LINES: Said = [
    (1, 3, "渡轮今天停在三号码头。"),
    (4, 6, "フェリーは桟橋に着きました。"),
    (7, 9, "เรือจอดที่ท่าน้ำวันนี้"),
    (10, 12, "배가 부두에서 떠납니다"),
    (13, 15, unicodedata.normalize("NFD", "Le café ferme bientôt.")),
    (16, 18, "Die große Straße ist gesperrt."),
    (19, 21, "ＶＥRTICAL ＳＩＧＮ"),
    (22, 24, "ເຮືອຈອດຢູ່ທ່າເຮືອ"),
    (25, 27, "明天下雨，请带伞。"),
]


@pytest.mark.parametrize(
    ("question", "line"),
    [
        *(("渡轮今天停在哪里?", 0), ("渡轮停在哪儿？", 0), ("フェリーはどこに着きますか？", 1), ("ﾌｪﾘｰはいつ着きましたか", 1)),
        *(("เรือจอดที่ไหน", 2), ("배가 어디에서 떠나나요?", 3), ("부두가 어디입니까?", 3), ("When does the café close, le café ferme?", 4)),
        *(("cafe ferme?", 4), ("CAFÉ FERME?", 4), ("Grosse Strasse gesperrt?", 5), ("große Straße gesperrt?", 5)),
        *(("Is vertical written on the sign?", 6), ("ເຮືອຈອດຢູ່ໃສ", 7), ("明天下雨吗？", 8)),
    ],
)
def test_the_line_is_found(ask: Ask, question: str, line: int) -> None:
    answer = ask(question, subtitles=LINES)
    assert answer.finished == "answered" and answer.unsupported == ()
    assert LINES[line][2] in [citation.text for citation in answer.citations]


@pytest.mark.parametrize(
    "question", ["飞机今天几点起飞？", "今天天气怎么样？", "飛行機はどこに着きましたか？", "รถไฟออกกี่โมง", "기차가 언제 도착하나요?"]
)
def test_another_matter_is_not_found(ask: Ask, question: str) -> None:
    answer = ask(question, subtitles=LINES)
    assert answer.finished == "not_found" and not answer.citations


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("渡轮今天停在哪里?", ["渡轮", "今天", "停"]),
        ("배가 어디에서 떠나나요?", ["배", "떠나"]),
        ("เรือจอดที่ไหน", ["เรือจอด"]),
        ("这是什么？", ["这"]),
        ("Who's at the café?", ["caf"]),
    ],
)
def test_words_that_carry_meaning(question: str, words: Sequence[str]) -> None:
    assert content_stems(question) == words


def test_a_text_that_shares_half_of_the_words() -> None:
    assert stem_overlap(content_stems("渡轮今天停在哪里?"), "渡轮停靠在三号码头") == 0.6
    assert stem_overlap(content_stems("今天天气"), "渡轮今天停在三号码头") == 0.5
