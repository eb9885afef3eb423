"""The check of an answer: which marks stay, which claims lose theirs, and what is sent back."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer_agent.records import ToolCall
from analyzer_agent.toolbox.answer_check import CheckedAnswer, check_answer
from analyzer_agent.toolbox.citations import cited_ids
from analyzer_agent.toolbox.cited_frames import said_of
from analyzer_agent.toolbox.finish_call import DraftAnswer, parse_finish_call
from patience import processor_seconds

SHOWN = dict.fromkeys((1, 2, 12, 13, 14))


def checked(text: str, *notes: int, looked: bool = True, **more: Any) -> CheckedAnswer:
    return check_answer(DraftAnswer(text, notes, **more), SHOWN, looked=looked)


def finish(options: tuple[str, ...] = (), **arguments: Any) -> DraftAnswer:
    return parse_finish_call([ToolCall("1", "finish", json.dumps(arguments))], "", options)


@pytest.mark.parametrize(
    ("text", "kept", "cited"),
    [
        ("It costs forty [#12].", "It costs forty [#12].", [12]),
        ("It costs forty. [#12]", "It costs forty. [#12]", [12]),
        ("A [#12], B [#13].", "A [#12], B [#13].", [12, 13]),
        ("A [#12][#13].", "A [#12][#13].", [12, 13]),
        ("A [#12, #13; #14].", "A [#12, #13, #14].", [12, 13, 14]),
        ("A [#12, 13].", "A [#12, #13].", [12, 13]),
        ("A [#12 and #13].", "A [#12, #13].", [12, 13]),
        ("A [#12 #13].", "A [#12, #13].", [12, 13]),
        ("A [ # 12 ].", "A [#12].", [12]),
        ("A [#012].", "A [#12].", [12]),
        ("A (#12).", "A [#12].", [12]),
        ("A [note #12].", "A [#12].", [12]),
        ("A (notes #12, #13).", "A [#12, #13].", [12, 13]),
        ("四十円です。【#12】", "四十円です。[#12]", [12]),
        ("A [#12 1:04.2-1:07.9].", "A [#12].", [12]),
        ("A [see [#12]].", "A [see [#12]].", [12]),
        ("**A** [#12]\n- B [#13]", "**A** [#12]\n- B [#13]", [12, 13]),
        ("Number [12] and a list [1, 2].", "Number [12] and a list [1, 2].", []),
        ("We are #1!", "We are #1!", []),
        ("A [#12] again [#12].", "A [#12] again [#12].", [12]),
        ("A [#12 0:01] [#12 0:05-0:06], [#12] [#13].", "A [#12] [#13].", [12, 13]),
    ],
)
def test_valid_marks_in_all_shapes(text: str, kept: str, cited: list[int]) -> None:
    verdict = checked(text)
    assert (verdict.text, list(verdict.cited)) == (kept, cited)


@pytest.mark.parametrize(
    ("text", "kept", "lost"),
    [
        ("It costs forty [#99].", "It costs forty.", ["It costs forty [#99]."]),
        ("It costs forty. [#99]", "It costs forty.", ["It costs forty. [#99]"]),
        ("It costs forty.\n[#99]", "It costs forty.", ["It costs forty.\n[#99]"]),
        ("A [#12]. B [#99]. C [#13].", "A [#12]. B. C [#13].", ["B [#99]."]),
        ('A "B." [#99]. C [#12].', 'A "B.". C [#12].', ['A "B." [#99].']),
        ("A. [#99] B. [#12]", "A. B. [#12]", ["A. [#99]"]),
        ("A [#12, #99].", "A [#12].", ["A [#12, #99]."]),
        ("A [#99, 12] b.", "A [#12] b.", ["A [#99, 12] b."]),
        ("A (#99) b.", "A b.", ["A (#99) b."]),
        ("A [see [#99]] b.", "A [see] b.", ["A [see [#99]] b."]),
        ("A [[#99]] b.", "A b.", ["A [[#99]] b."]),
        ("A [#[#99]98] b.", "A b.", ["A [#[#99]98] b."]),
        ("A [ ([#98]) #99] b.", "A b.", ["A [ ([#98]) #99] b."]),
        ("四十円です[#99]。次です[#12]。", "四十円です。次です[#12]。", ["四十円です[#99]。"]),
        ("A [#" + "9" * 5000 + "].", "A.", ["A [#" + "9" * 5000 + "]."]),
        ("- A [#99]\n- B [#12]", "- A\n- B [#12]", ["- A [#99]"]),
    ],
)
def test_marks_of_notes_that_were_not_shown_are_stripped_and_listed(text: str, kept: str, lost: list[str]) -> None:
    verdict = checked(text, 12)
    assert (verdict.text, list(verdict.unsupported)) == (kept, lost)
    assert verdict.cited[0] == 12 and verdict.problem and "not shown" in verdict.problem


MARK = st.builds(
    lambda op, ids, sep, close: f"{op}{sep.join(ids)}{close}",
    st.sampled_from(["[", "(", "【", "[[", "[note ", "[ "]),
    st.lists(
        st.sampled_from(["#1", "#2", "# 12", "#99", "#98", "7", "[#99]", "#", "#１２", "0:05", "#" + "9" * 30]), min_size=1, max_size=4
    ),
    st.sampled_from([", ", "; ", " ", " and ", "-", "–", "\n", ""]),
    st.sampled_from(["]", ")", "】", "]]", " ]"]),
)
PROSE = st.lists(
    MARK | st.text(max_size=8) | st.sampled_from(["It costs forty", ". ", "! ", "\n", "。", "(", "[", "#", ")", "]", "…"]), max_size=14
)


@given(PROSE.map("".join), st.lists(st.integers(-3, 120), max_size=4))
@example("[#[#99]98]", [])
@example("[#\n99]", [])
@example("[#1 [#99]]", [])
@example("A.) [#99]", [])
def test_whatever_is_written_only_shown_notes_are_cited(text: str, notes: list[int]) -> None:
    verdict = checked(text, *notes)
    assert set(verdict.cited) <= SHOWN.keys() and len(set(verdict.cited)) == len(verdict.cited)
    assert set(cited_ids(verdict.text)) <= set(verdict.cited)
    assert {n for n in [*cited_ids(text), *notes] if n in SHOWN} <= set(verdict.cited)
    assert not re.search(r"\[ *#(98|99) *\]", verdict.text)
    again = checked(verdict.text)
    assert again.text == verdict.text, "a checked text stays as it is"
    if any(n not in SHOWN for n in cited_ids(text)):
        assert verdict.unsupported and verdict.problem


@pytest.mark.parametrize(
    "text", ["[#" + "1" * 20_000, "[#1" + " 1" * 5000, "[#1" + ", #1" * 5000, "(#1 " + "\t" * 20_000, "." * 20_000, "[#1 " + "1:" * 9000]
)
def test_no_text_makes_it_slow(text: str) -> None:
    with processor_seconds(5):
        checked(text)


@given(st.text())
def test_prose_without_marks_is_left_alone(text: str) -> None:
    if not cited_ids(text):
        assert checked(text).text == text.strip()


def test_ids_in_notes_only() -> None:
    verdict = checked("It costs forty.", 13, 12, 13)
    assert verdict.cited == (13, 12) and not verdict.problem and not verdict.unsupported
    wrong = checked("It costs forty.", 12, 99)
    assert wrong.cited == (12,) and wrong.unsupported == ("#99",) and wrong.problem and "#99" in wrong.problem


def test_an_answer_without_citation() -> None:
    verdict = checked("It costs forty.", confidence="high")
    assert verdict.problem == "no note is cited." and verdict.unsupported == ("It costs forty.",) and verdict.confidence == "low"


def test_not_found_needs_no_citation() -> None:
    verdict = checked("Nobody says it.", ending="not_found", confidence="medium")
    assert not verdict.problem and not verdict.unsupported and verdict.confidence == "medium"


def test_look_first() -> None:
    verdict = checked("Nobody says it.", ending="not_found", looked=False)
    assert verdict.unseen and verdict.problem == "nothing has been examined."


class TestDraft:
    @pytest.mark.parametrize("arguments", ["{", "[]", "null", '{"answer": 3}', "{}", "", "[" * 100_000, '{"answer": ' + "1" * 5000 + "}"])
    def test_broken_arguments_are_sent_back(self, arguments: str) -> None:
        draft = parse_finish_call([ToolCall("1", "finish", arguments)], "", ())
        assert draft.text == "" and draft.complaint and "finish" in draft.complaint

    def test_plain_text(self) -> None:
        assert parse_finish_call([], " Forty [#12]. ", ()) == DraftAnswer("Forty [#12].")
        assert parse_finish_call([], " ", ()).complaint == "the answer was empty."

    def test_an_empty_answer_is_sent_back(self) -> None:
        assert finish(answer=" ", notes=[12]).complaint == "the answer was empty."

    @pytest.mark.parametrize(
        ("given_", "notes"),
        [
            ([12, 13, 12], (12, 13)),
            (["12", "#13", "[#14]"], (12, 13, 14)),
            (12, (12,)),
            ("12", (12,)),
            (None, ()),
            ({"a": 1}, ()),
            ([True, 1.5, "x", [1], None, -3], ()),
            ("", ()),
            ("9" * 5000, ()),
        ],
    )
    def test_notes_however_they_are_written(self, given_: Any, notes: tuple[int, ...]) -> None:
        assert finish(answer="x", notes=given_).notes == notes

    @pytest.mark.parametrize(("given_", "found"), [(True, True), (False, False), ("false", False), (None, True), ("true", True)])
    def test_found(self, given_: Any, found: bool) -> None:
        assert finish(answer="x", found=given_).found is found

    @pytest.mark.parametrize("given_", ["high", "HIGH", 3, None, ["high"], {}])
    def test_confidence(self, given_: Any) -> None:
        assert finish(answer="x", confidence=given_).confidence == ("high" if given_ == "high" else "low")

    @pytest.mark.parametrize("given_", ["B", "b", " B ", "B.", "(B)", "B)"])
    def test_a_letter_however_it_is_written(self, given_: str) -> None:
        assert finish(("x", "y"), answer="a", choice=given_).choice == "B"

    @pytest.mark.parametrize("given_", ["C", "y", 2, "AB", ["A"], True])
    def test_a_wrong_letter_is_sent_back(self, given_: Any) -> None:
        draft = finish(("x", "y"), answer="a", choice=given_)
        assert draft.choice is None and draft.complaint == f"{given_!r} is not one of the options A, B."

    def test_no_letter_is_an_abstention(self) -> None:
        assert finish(("x", "y"), answer="a") == DraftAnswer("a")
        assert finish(("x", "y"), answer="a", choice=None) == DraftAnswer("a")

    def test_a_letter_where_there_is_no_choice_is_ignored(self) -> None:
        assert finish(answer="a", choice="A") == DraftAnswer("a")

    @given(
        st.dictionaries(
            st.sampled_from(["answer", "notes", "choice", "confidence", "found", "x"]),
            st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(), lambda x: st.lists(x, max_size=3)),
        )
    )
    def test_never_anything_but_a_draft(self, arguments: dict[str, Any]) -> None:
        verdict = check_answer(finish(("x", "y"), **arguments), SHOWN, looked=True)
        assert set(verdict.cited) <= SHOWN.keys() and verdict.choice in (None, "A", "B")


@pytest.mark.parametrize(
    ("choice", "text", "noted"),
    [
        ("B", "B) a gull [#12].", "a gull."),
        ("B", "(B) a gull [#12].", "a gull."),
        ("B", "**B.** A gull [#12].", "A gull."),
        ("B", "Option B: a gull [#12].", "a gull."),
        ("B", "B \u2013 a gull [#12].", "a gull."),
        ("A", "A gull [#12].", "A gull."),
        ("B", "B-movies [#12].", "B-movies."),
        ("B", "B [#12].", "B."),
        (None, "A) a gull [#12].", "A) a gull."),
    ],
)
def test_what_is_noted_of_a_picture_has_no_letter_of_an_option(choice: str | None, text: str, noted: str) -> None:
    assert said_of(checked(text, choice=choice), {}) == {12: noted}


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("A dog [#12], then a cat [#13].", {12: "A dog (0:02), then a cat (0:03-0:04).", 13: "A dog (0:02), then a cat (0:03-0:04)."}),
        ("A dog [#12], a sign [#1].", {12: "A dog (0:02), a sign."}),
        (
            "A dog [#12] runs [#12]. It is red [#12, #13].",
            {12: "A dog runs. It is red.", 13: "It is red."},
        ),
        ("A dog. It is red.", {1: "A dog. It is red."}),
    ],
)
def test_what_is_noted_of_a_picture_is_whole_and_tells_which_part_each_shows(text: str, noted: dict[int, str]) -> None:
    told = said_of(checked(text, 1), {12: "0:02", 13: "0:03-0:04"})
    assert {number: told[number] for number in noted} == noted
