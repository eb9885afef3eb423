"""Words stay at the voice that said them: pauses are no part of them, nor the sound around a window."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.transcriber import MARGIN_MS, Listening, Transcriber
from analyzer_agent.tools.support.voiced_words import HeardWord, at_voice
from sounds import BurstListener, SoundVideo, bursts

Times = tuple[int, int]


def at(window: list[Times], *words: Times) -> list[Times]:
    return [(word.start, word.end) for word in at_voice([HeardWord(" w", start, end, 1.0) for start, end in words], window)]


@pytest.mark.parametrize(
    ("window", "heard", "said"),
    [
        # Whisper starts the first word with the window, and ends the last one early.
        ([(320, 2_240)], [(0, 520), (520, 1_900)], [(320, 520), (520, 2_240)]),
        # A word begins where the one before it ended: it was said after the pause.
        ([(0, 1_000), (2_000, 3_000)], [(0, 850), (850, 2_300)], [(0, 1_000), (2_000, 2_300)]),
        ([(0, 4_352), (5_440, 7_616)], [(4_240, 5_520), (5_520, 7_616)], [(5_440, 5_520), (5_520, 7_616)]),
        # One that only touches the next stretch was said before the pause.
        ([(0, 1_000), (2_000, 3_000)], [(500, 2_010), (2_010, 3_000)], [(500, 1_000), (2_010, 3_000)]),
        # No word reaches far into voice that it does not cover: that would hide what was not understood.
        ([(0, 9_000)], [(0, 800)], [(0, 800)]),
        # Words in silence stay where they are, but none leaves the window.
        ([(0, 1_000), (3_000, 4_000)], [(1_600, 1_900)], [(1_600, 1_900)]),
        ([(1_000, 2_000)], [(200, 300), (2_300, 2_400)], [(1_000, 1_001), (1_999, 2_000)]),
    ],
)
def test_words_move_to_their_voice(window: list[Times], heard: list[Times], said: list[Times]) -> None:
    assert at(window, *heard) == said


LENGTHS = st.tuples(st.integers(0, 900), st.integers(100, 2_000))


@given(st.lists(LENGTHS, min_size=1, max_size=6), st.lists(st.integers(0, 12_000), min_size=1))
def test_words_keep_their_order_and_stay_inside_the_voice(stretches: list[Times], edges: list[int]) -> None:
    window: list[Times] = []
    for pause, length in stretches:
        start = (window[-1][1] if window else 0) + pause + 160
        window.append((start, start + length))
    cuts = sorted(edges)
    moved = at(window, *zip(cuts, [*cuts[1:], cuts[-1] + 300], strict=True))
    assert len(moved) == len(cuts)
    assert moved == sorted(moved) and all(window[0][0] <= start < end <= window[-1][1] for start, end in moved)


class Sleepy(BurstListener):
    """Hears that every word starts with its window and lasts until the next one, as Whisper does."""

    def windows(self, samples: NDArray[np.float32]) -> list[list[Times]]:
        return [[(start, end)] for _, start, end in self._bursts(samples)]

    def words(self, samples: NDArray[np.float32], language: str, hotwords: str) -> list[tuple[str, int, int, float]]:
        self.decoded += len(samples) // 16
        return [(f" w{i}", 0, end, 0.9) for i, _, end in self._bursts(samples)]


def said(listener: Any, video: SoundVideo) -> list[tuple[str, int, int]]:
    hearing = Transcriber(video, 1, Listening(lambda: listener, lambda *_: "en", ""))
    return [(word.text.strip(), word.start, word.end) for word in hearing.said(TimeRange(0, video.duration)).words]


def test_the_sound_around_a_window_is_heard_and_no_part_of_its_words() -> None:
    words = [(25_000, 25_200), (30_000, 31_000), (75_600, 78_000)]
    listener = Sleepy()
    assert said(listener, SoundVideo(80_000, [bursts(80_000, words)])) == [(f"w{i}", *word) for i, word in enumerate(words)]
    assert listener.decoded == sum(end - start + 2 * MARGIN_MS for start, end in words)


def test_no_sound_is_heard_in_two_windows() -> None:
    words = [(0, 500), (600, 1_000), (1_300, 2_000)]
    listener = Sleepy()
    assert said(listener, SoundVideo(2_000, [bursts(2_000, words)])) == [(f"w{i}", *word) for i, word in enumerate(words)]
    assert listener.decoded == 2_000


class Hasty(BurstListener):
    """Stops after a few words where a window is long, and places the last ones over all that follows, as Whisper does."""

    def __init__(self, last: str = " w1", then: Sequence[str] = (" w2",)) -> None:
        super().__init__()
        self.last, self.then = last, then
        self.asked = 0

    def windows(self, samples: NDArray[np.float32]) -> list[list[Times]]:
        return [[(start, end) for _, start, end in self._bursts(samples)]]

    def words(self, samples: NDArray[np.float32], language: str, hotwords: str) -> list[tuple[str, int, int, float]]:
        self.asked += 1
        words = super().words(samples, language, hotwords)
        if len(samples) < 8_000 * 16:
            return [word for word in words if self.then]
        (text, start, end, prob), (_, begin, *_), *_ = words
        whole = len(samples) // 16
        return [(text, start, end, prob), (self.last, begin, whole, 0.9), *((word, whole, whole, 0.9) for word in self.then)]


FIVE = [(500, 2_000), (2_500, 4_000), (4_300, 5_800), (6_200, 7_600), (7_900, 9_000)]


def test_what_a_stretched_word_hides_is_heard_separately() -> None:
    found = said(Hasty(), SoundVideo(10_000, [bursts(10_000, FIVE)]))
    assert [text for text, *_ in found] == ["w0", "w1", "w2", "w3", "w4"]
    assert all(abs(start - begin) <= 50 and abs(end - finish) <= 50 for (_, start, end), (begin, finish) in zip(found, FIVE, strict=True))


def test_a_stretched_word_stays_where_nothing_else_is_heard_and_the_rest_is_reported() -> None:
    listener = Hasty(then=())
    video = SoundVideo(10_000, [bursts(10_000, FIVE)])
    heard = Transcriber(video, 1, Listening(lambda: listener, lambda *_: "en", "")).said(TimeRange(0, video.duration))
    assert [word.text for word in heard.words] == [" w0", " w1"]
    assert heard.unheard == [TimeRange(2_500, 7_400)]


def test_a_long_number_is_one_word_and_not_heard_again() -> None:
    listener = Hasty(last=" $1,234,567.89", then=())
    found = said(listener, SoundVideo(10_000, [bursts(10_000, [(500, 2_000), (2_500, 7_900)])]))
    assert [text for text, *_ in found] == ["w0", "$1,234,567.89"] and listener.asked == 1
