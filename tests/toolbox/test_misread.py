"""Words that OCR misread are offered to those who search: in a search, in an enumeration, beside an absence."""

import pytest

from analyzer_agent.folding import alike, misread
from analyzer_agent.storage import Store
from analyzer_agent.testing import call
from toolbox_kit import boxed, done, finds

SIGNS = ((0, 1_000, "shuttersteck"), (8_000, 9_000, "stpck"), (16_000, 17_000, "Fish 12"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("shutterstock", "SHUTTERSTECK", True),
        ("stpck", "shutterstock", True),
        ("harbour", "harbor", True),
        ("2024", "2025", False),
        ("PIER 4", "PIER 7", False),
        ("cat", "car", False),
        ("stall", "fish", False),
    ],
)
def test_what_is_alike(one: str, other: str, expected: bool) -> None:
    assert alike(one, other) is alike(other, one) is expected


def test_the_most_alike_come_first_and_the_words_themselves_are_no_misreadings() -> None:
    assert misread(["shutterstock"], ["stpck", "shutterstock", "fish", "shuttersteck"]) == ["shuttersteck", "stpck"]


@pytest.mark.parametrize(("tool", "argument"), [("search_notes", "query"), ("find_all", "words")])
def test_where_the_word_was_found_only_what_is_very_like_it(store: Store, tool: str, argument: str) -> None:
    box = boxed(store, finds((0, 1_000, "an umbrella"), (8_000, 9_000, "SAFE NUMBER"), (12_000, 13_000, "umbrelia")))
    done(box, call("find_fake", ranges="0:00-0:30"))
    assert done(box, call(tool, **{argument: "umbrella"})).text.endswith("search these too: umbrelia\n</notes>")


@pytest.mark.parametrize(("tool", "argument"), [("search_notes", "query"), ("find_all", "words")])
def test_they_are_offered_and_can_be_found(store: Store, tool: str, argument: str) -> None:
    box = boxed(store, finds(*SIGNS))
    done(box, call("find_fake", ranges="0:00-0:30"))
    head, _, lines = done(box, call(tool, **{argument: "shutterstock"})).text.partition("\n<notes>\n")
    assert head.startswith("No note matches 'shutterstock'")
    assert lines.endswith("... read alike in pictures, search these too: shuttersteck, stpck\n</notes>"), "data, in the fence"
    assert '"stpck"' in done(box, call(tool, **{argument: "stpck"})).text
    assert "read alike" not in done(box, call(tool, **{argument: "fish"})).text
    assert "read alike" not in done(box, call(tool, **{argument: "shutterstock", "range": "0:10-0:30"})).text


def test_other_kinds_are_not_read_by_ocr(store: Store) -> None:
    box = boxed(store, finds((0, 1_000, "shuttersteck"), kind="speech"))
    done(box, call("find_fake", ranges="0:00-0:30"))
    assert "read alike" not in done(box, call("search_notes", query="shutterstock")).text
