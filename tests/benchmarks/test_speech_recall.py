"""The benchmark of what is heard: counting words, cutting, and what it tells."""

from random import Random

import pytest

from benchmarks import speech_recall
from benchmarks.speech_recall import Cut, pieces, recalled, tokens


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert tokens(" C'est ÉVIDENT, n’est-ce pas?") == ["c", "est", "évident", "n", "est", "ce", "pas"]


def test_words_count_in_their_order_and_each_once() -> None:
    assert recalled(["ask", "not", "what", "your", "country"], ["ask", "what", "country", "can", "your"]) == 3
    assert recalled(["a", "a"], ["a"]) == 1 and recalled([], ["a"]) == recalled(["a"], []) == 0


def test_recall_is_that_of_the_longest_common_subsequence() -> None:
    def within(words: list[str], other: list[str]) -> bool:
        rest = iter(other)
        return all(word in rest for word in words)

    chance = Random(1)
    for _ in range(100):
        truth, heard = (chance.choices("abc", k=chance.randint(0, 7)) for _ in range(2))
        subsets = ([word for i, word in enumerate(truth) if n >> i & 1] for n in range(2 ** len(truth)))
        assert recalled(truth, heard) == max(len(words) for words in subsets if within(words, heard))


def test_pieces_lie_within_the_recording_and_are_all_different() -> None:
    found = list(pieces(20, (5, 14, 30), 10))
    assert len(set(found)) == len(found) and {length for length, _ in found} == {5, 14}
    assert all(start + length <= 20 for length, start in found) and (5, 0) in found and (5, 15) in found


@pytest.mark.parametrize(
    ("ours", "cpu", "good"), [((90, 90), 1.2, True), ((90, 88), 1.0, False), ((100, 79), 1.0, False), ((95, 95), 1.4, False)]
)
def test_a_missed_target_is_told(ours: tuple[int, int], cpu: float, good: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert speech_recall._told([Cut("talk", 30, n, 100, heard, 90, cpu, 1.0) for n, heard in enumerate(ours)]) is good
    assert f"processor time {cpu:.2f} x" in capsys.readouterr().out


def test_the_needles_have_a_truth_with_times() -> None:
    quiet, music = speech_recall._needles()
    assert len(quiet.samples) == len(music.samples) and quiet.truth[-1][2] < len(quiet.samples) / speech_recall.RATE
    assert [start for _, start, _ in quiet.truth] == sorted(start for _, start, _ in quiet.truth)
