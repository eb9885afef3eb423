"""`search_notes`: all words first, then most of them, told which; phrases hold together; words without meaning are passed over."""

import pytest

from analyzer_agent.storage import Store
from analyzer_agent.testing import call
from toolbox_kit import boxed, done, finds

DOGS = finds(
    (0, 1_000, "four dogs in the snow"),
    (2_000, 3_000, "three cats"),
    (4_000, 5_000, "dogs, and later three of them"),
    (6_000, 7_000, "three dogs"),
    (8_000, 9_000, "a cat or two"),
)


def searched(store: Store, query: str) -> tuple[str, list[str]]:
    """Return the first line of the result, and the texts of its notes."""
    box = boxed(store, DOGS)
    done(box, call("find_fake", ranges=[[0, 10]]))
    result = done(box, call("search_notes", query=query))
    return result.text.splitlines()[0], [note.text for note in result.shown]


def test_notes_with_all_words_come_first_and_the_others_are_told_apart(store: Store) -> None:
    head, found = searched(store, "three dogs")
    assert found[:2] == ["dogs, and later three of them", "three dogs"]
    assert sorted(found[2:]) == ["four dogs in the snow", "three cats"]
    assert head == "Of the notes on 'three dogs' the first 2 have all words; others have some:"


def test_that_no_note_has_all_words_is_told_and_most_words_come_first(store: Store) -> None:
    head, found = searched(store, "three dogs snow cats four")
    assert head.startswith("No note on ") and head.endswith(" has all words; others have some:")
    assert found[0] == "four dogs in the snow"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('"three dogs"', ["three dogs"]),
        ('"dogs three"', []),
        ("the dogs OR of", ["four dogs in the snow", "dogs, and later three of them", "three dogs"]),
        ("a or the", ["a cat or two"]),
    ],
)
def test_phrases_hold_together_and_words_without_meaning_are_passed_over(store: Store, query: str, expected: list[str]) -> None:
    head, found = searched(store, query)
    assert sorted(found)[: len(expected)] == sorted(expected)
    assert bool(found) == bool(expected) == (not head.startswith("No note matches"))
    if query.startswith(("'", '"', "the")):
        assert len(found) == len(expected)
