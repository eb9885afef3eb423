"""Subtitle cues: no word lost, doubled or moved; short enough; one after the other."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.evidence.spoken_words import (
    LINE_WIDTH,
    MAX_CUE_MS,
    MAX_LINES,
    MIN_CUE_MS,
    SpokenWord,
    cues,
    joined,
    text_columns,
    words_of,
    words_or_estimate,
)
from analyzer_agent.records import JSON, Note, Observation
from analyzer_agent.timeline import TimeRange
from patience import processor_seconds

TEXTS = st.sampled_from(["a", "word", "longer,", "ends.", "Dr.", "No!”", "(so", "– and", "Donaudampfschifffahrtsgesellschaft", "x" * 50])
HAN = st.sampled_from(["你", "好，", "世界", "。", "」", "アメリカ", "の", "」と"])


def timed(texts: list[str], lengths: list[tuple[int, int]], *, joint: bool = False) -> list[SpokenWord]:
    starts = list(accumulate((gap + length for gap, length in lengths), initial=0))
    return [
        SpokenWord(text, start + gap, start + gap + length, joint=joint and n > 0)
        for n, (text, start, (gap, length)) in enumerate(zip(texts, starts, lengths, strict=False))
    ]


def said(text: str, each: int = 300) -> list[SpokenWord]:
    words = text.split()
    return timed(words, [(0, each)] * len(words))


@st.composite
def transcripts(draw: st.DrawFn) -> list[SpokenWord]:
    joint = draw(st.booleans())
    texts = draw(st.lists(HAN if joint else TEXTS, max_size=60))
    gaps = st.sampled_from([0, 0, 0, 20, 300, 900, 2_000])
    return timed(texts, [(draw(gaps), draw(st.integers(1, 1_200))) for _ in texts], joint=joint)


@given(transcripts(), st.integers(4, 60))
def test_each_word_is_told_once_in_order_within_the_limits(words: list[SpokenWord], width: int) -> None:
    found = cues(words, width)
    assert [word for cue in found for line in cue.lines for word in line] == words
    for cue in found:
        alone = sum(map(len, cue.lines)) == 1
        assert len(cue.lines) <= MAX_LINES
        assert alone or all(text_columns(line) <= width for line in cue.text.split("\n"))
        assert cue.span.length <= MAX_CUE_MS + MIN_CUE_MS * alone
        assert cue.span.start == cue.lines[0][0].start and cue.span.end <= max(cue.lines[-1][-1].end, cue.span.start + MIN_CUE_MS)
    for one, other in pairwise(found):
        assert one.span.end <= other.span.start
        assert one.span.end >= one.lines[-1][-1].end


def test_words_whose_times_run_into_each_other_make_no_overlap() -> None:
    words = [SpokenWord("one", 0, 5_000), SpokenWord("two.", 10, 5_000), SpokenWord("three.", 20, 8_000), SpokenWord("four.", 20, 8_000)]
    found = cues(words, 6)
    assert [cue.text for cue in found] == ["one\ntwo.", "three.", "four."]
    assert all(one.span.end <= other.span.start for one, other in pairwise(found)) and all(cue.span.length for cue in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("He came home late. Nobody was there to see him.", ["He came home late.", "Nobody was there to see him."]),
        (
            "The price of a single basket of fish on the market, which is held on Mondays in the square, is forty dollars.",
            [
                "The price of a single basket\nof fish on the market,",
                "which is held on Mondays in the square,\nis forty dollars.",
            ],
        ),
        ("I met Dr. No.", ["I met Dr. No."]),
    ],
)
def test_sentences_end_cues_and_then_clauses(text: str, told: list[str]) -> None:
    assert [cue.text for cue in cues(said(text))] == told


def test_a_pause_divides_where_nothing_else_does() -> None:
    words = said("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen", 400)
    later = [SpokenWord(word.text, word.start + 350 * (n >= 9), word.end + 350 * (n >= 9)) for n, word in enumerate(words)]
    assert [cue.text.split()[0] for cue in cues(later)] == ["one", "ten"]


def test_a_short_sentence_joins_the_next_or_stays_for_a_second() -> None:
    assert [cue.text for cue in cues(said("Yes. I think that is right."))] == ["Yes. I think that is right."]
    (cue,) = cues(said("Yes."))
    assert cue.span == TimeRange(0, MIN_CUE_MS)


def test_languages_without_spaces_are_divided_between_characters() -> None:
    text = "我们今天来谈谈人工智能的未来，因为它正在改变我们的生活方式和工作方式，而且变化的速度非常快。"
    run = speech(text, [[char, n * 200, n * 200 + 200, 0.9] for n, char in enumerate(text)])
    found = cues(words_of(run))
    assert "".join(cue.text.replace("\n", "") for cue in found) == text
    assert all(text_columns(line) <= LINE_WIDTH and line[0] not in "，。" for cue in found for line in cue.text.split("\n"))
    assert len(found) > 1 and found[0].text.endswith("，")


def test_hours_of_words_take_seconds() -> None:
    words = said("and so it goes on without an end " * 3_000)
    with processor_seconds(10):
        assert sum(len(line) for cue in cues(words) for line in cue.lines) == len(words)


# --- words --------------------------------------------------------------------------------------------------------------


def speech(text: str, words: Sequence[JSON] | None = None, span: tuple[int, int] = (0, 9_000)) -> MergedNote:
    detail: dict[str, JSON] = {} if words is None else {"words": words}
    note = Note(1, "v", "speech", "k", Observation(TimeRange(*span), "speech", text, None, detail))
    return MergedNote((note,), note.span, text, None)


def test_words_keep_the_spaces_of_their_note() -> None:
    run = speech("今日は「OK」です", [[text, n, n + 1, 1.0] for n, text in enumerate(("今日", "は", "「", "OK", "」", "です"))])
    assert joined(words_of(run)) == run.text
    assert [(word.text, word.joint) for word in words_of(run)] == [("今日", False), ("は", True), ("「OK」", True), ("です", True)]


def test_parts_of_a_word_are_one_word() -> None:
    run = speech(
        "l'amour of 20-year olds.",
        [
            ["l", 0, 1, 0.5],
            ["'amour", 1, 2, 0.4],
            ["of", 2, 3, None],
            ["20", 3, 4, 1],
            ["-year", 4, 5, 1],
            ["olds", 5, 6, 1],
            [".", 6, 7, 1],
        ],
    )
    assert words_of(run)[0] == SpokenWord("l'amour", 0, 2, 0.4)
    assert [word.text for word in words_of(run)] == ["l'amour", "of", "20-year", "olds."]


def test_a_note_without_times_has_its_words_spread_over_it() -> None:
    assert words_of(speech("one three")) == []
    assert words_or_estimate([speech("one three", span=(1_000, 2_600))]) == [
        SpokenWord("one", 1_000, 1_600),
        SpokenWord("three", 1_600, 2_600),
    ]
    assert joined(words_or_estimate([speech("今日は、晴れ OK です。")])) == "今日は、晴れ OK です。"
