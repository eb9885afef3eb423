"""The benchmark of what is heard: counting words, cutting, what it keeps and what it tells."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

pytest.importorskip("whisper_normalizer", reason="needs whisper-normalizer: pip install '.[dev]'")

from benchmarks import speech_recall
from benchmarks.speech_recall import Cut, errors, pieces, recalled, tokens
from benchmarks.speech_sources import RATE, Source, needles, read_source
from sounds import write_channels


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert tokens(" C'est ÉVIDENT, n’est-ce pas?", "fr") == ["c", "est", "évident", "n", "est", "ce", "pas"]


def test_numbers_and_amounts_are_compared_as_digits_in_english() -> None:
    assert tokens("The ticket costs forty dollars.", "en") == tokens("the ticket costs $40", "en")
    assert tokens("It's twelve past nine", "en") == tokens("it is 12 past 9", "en")


def test_errors_are_those_of_the_nearest_reference() -> None:
    assert errors([["ask", "not"], ["ask", "not", "what"]], ["ask", "what"]) == 1
    assert errors([[]], ["you"]) == 1 and errors([["you"]], ["you"]) == 0


def test_words_cut_in_two_do_not_count() -> None:
    def hear(_: Any) -> list[tuple[str, float, float]]:
        return [("ask", 0.0, 0.2), ("not", 0.3, 0.9)]

    source = Source("talk", np.zeros(3 * RATE, np.float32), [("ask", 0.8, 1.2), ("not", 1.3, 1.9), ("what", 1.9, 2.2)], "en")
    cut = speech_recall._measured(source, 1, 1, hear, lambda _: [("not", 0.3, 0.9)])
    assert (cut.words, cut.ours, cut.plain, cut.ours_errors, cut.plain_errors) == (1, 1, 1, 0, 0)


def test_cuts_that_are_in_the_file_are_not_measured_again(tmp_path: Path) -> None:
    cut = Cut("talk", 5, 0, 10, 9, 9, 1, 1, 1.0, 1.0)
    speech_recall._keep(tmp_path / "cuts.json", [cut])
    assert speech_recall._measured_before(tmp_path / "cuts.json") == {("talk", 5, 0): cut}
    assert speech_recall._measured_before(tmp_path / "none.json") == {} and speech_recall._measured_before(None) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("talk.srt", "1\n00:00:00,000 --> 00:00:01,000\nask not\n"),
        ("talk.json", json.dumps({"segments": [{"start": 0, "end": 1, "text": "ask not"}], "text": "", "language": "en"})),
    ],
)
def test_a_transcript_that_comes_with_a_recording_is_its_reference(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    sound = write_channels(tmp_path / "talk.wav", np.zeros((1, RATE)))
    never: Any = None
    assert read_source(sound, tmp_path / name, never).truth == [("ask", 0.0, 0.5), ("not", 0.5, 1.0)]


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
    assert speech_recall._told([Cut("talk", 30, n, 100, heard, 90, 5, 5, cpu, 1.0) for n, heard in enumerate(ours)]) is good
    assert f"processor time {cpu:.2f} x" in capsys.readouterr().out


def test_the_needles_have_a_truth_with_times() -> None:
    quiet, music = needles()
    assert len(quiet.samples) == len(music.samples) and quiet.truth[-1][2] < len(quiet.samples) / RATE
    assert [start for _, start, _ in quiet.truth] == sorted(start for _, start, _ in quiet.truth)
