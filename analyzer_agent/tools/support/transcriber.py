"""Transcribe one audio track so that its words do not depend on the requested range.

A recognizer gets one window of audio at a time, pauses included. The grouping of voice into windows
depends only on the block of the track (see `audio_chunks`). Voice without words, or probably in
another language, is transcribed again separately; voice still without words is reported.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.audio_chunks import SAMPLE_RATE, AudioChunks

Window = Sequence[tuple[int, int]]
"""Stretches of voice as (start, end) in ms, in time order; transcribed as one piece of audio."""

WINDOW_MS = 30_000
"""The longest window with its margins, in ms: the length of Whisper's input."""
MARGIN_MS = 400
"""Sound heard before and after the voice of a window, as far as its neighbours leave room, in ms."""

HeardWords = Sequence[tuple[str, int, int, float]]
"""Words as (text, start, end, probability) in time order; times in ms."""

AGAIN = 1_500
"""Voice without words for at least this long, in ms, is transcribed again separately."""

UNHEARD = 3_000
"""Voice still without words for at least this long, in ms, is reported."""

_REACH = 500
"""A word covers the voice up to this far around it, in ms."""

_SOFT = 300
"""Audio added around a part of a window that is transcribed separately, in ms."""

_LEAK = 4
"""A word across a pause belongs after it, unless this many times more of it lies before it."""

_INVENTED = 0.3
"""Minimum mean probability of a separate transcript: Whisper invents words for breath and noise."""

_DOUBTFUL, _LOOP = 0.7, 2.4
"""Words below this mean probability, or above this compression ratio, may be another language."""

_PAUSE = 1_000
"""Minimum pause at which the language can change, in ms."""


class HeardWord(NamedTuple):
    """A recognized word, times in ms; `text` includes the space before it, if there is one."""

    text: str
    start: int
    end: int
    prob: float
    language: str = ""


class Recognizer(Protocol):
    """Interface of a speech engine; equal input gives equal output.

    Samples are float32[n], mono, 16 kHz; times are ms from their start.
    """

    languages: Sequence[str]
    """Supported language codes; if there is one, the language is never detected."""
    takes_hotwords: bool

    def windows(self, samples: NDArray[np.float32]) -> Sequence[Window]:
        """Return the stretches of voice without margins, grouped into windows for `words`."""

    def language(self, samples: NDArray[np.float32]) -> tuple[str, float]:
        """Detect the language of up to 30 s of audio; return its code and probability."""

    def words(self, samples: NDArray[np.float32], language: str, hotwords: str) -> HeardWords:
        """Transcribe a window; `hotwords` are separated by spaces, "" for none."""


class Listening(NamedTuple):
    """Callbacks and options of a transcription.

    `recognizer` returns the loaded engine, for each use, since it may be evicted in between.
    `language` returns the language code for samples; it is also given the surrounding one, or "".
    """

    recognizer: Callable[[], Recognizer]
    language: Callable[[NDArray[np.float32], str], str]
    hotwords: str


class Said(NamedTuple):
    """The words of a part of the track in time order, and the voice without words."""

    words: list[HeardWord]
    unheard: list[TimeRange]


class Transcriber:
    """Transcribes one track; holds only the audio of the blocks of the last request."""

    def __init__(self, video: Video, track: int, how: Listening) -> None:
        self._video = video
        self._how = how
        self._track = track
        self._blocks = AudioChunks(video, track)
        self._kept: dict[TimeRange, _Block] = {}

    def said(self, span: TimeRange) -> Said:
        """Return the transcript of all windows that overlap `span`."""
        touched = self._blocks.touching(span)
        self._kept = {block: self._kept[block] for block in touched if block in self._kept}
        found = Said([], [])
        for block in touched:
            if block not in self._kept:
                self._kept[block] = _Block(block.start, self._video.audio(block, SAMPLE_RATE, self._track), self._how)
            for words, unheard in self._kept[block].said(span):
                found.words.extend(words)
                found.unheard.extend(unheard)
        return found


class _Block:
    """The audio of a block in windows, each transcribed on first use."""

    def __init__(self, start: int, samples: NDArray[np.float32], how: Listening) -> None:
        self._start = start
        self._samples = samples
        self._how = how
        self._windows = how.recognizer().windows(samples)
        self._bounds = _bounds(self._windows, len(samples) * 1000 // SAMPLE_RATE)
        self._said: dict[int, Said] = {}

    def said(self, span: TimeRange) -> Iterator[Said]:
        """Yield the transcript of each window that overlaps `span`."""
        for number, window in enumerate(self._windows):
            if not TimeRange(self._start + window[0][0], self._start + window[-1][1]).overlaps(span):
                continue
            if number not in self._said:
                self._said[number] = self._heard(window, self._bounds[number])
            yield self._said[number]

    def _heard(self, window: Window, bounds: tuple[int, int]) -> Said:
        words = self._words(window, bounds, "")
        words = self._in_other_languages(window, bounds, words)
        language = words[0].language if words else ""
        # If the whole window gave no words, its stretches are tried one by one.
        gaps = holes(window, words) if words else [[stretch] for stretch in window if len(window) > 1]
        while gaps:
            gap = gaps.pop()
            more = self._words(gap, _around(gap, bounds), language) if _voice(gap) >= AGAIN else []
            if _sure(more) >= _INVENTED:
                words += more
                gaps += holes(gap, more)
        words.sort(key=lambda word: word.start)
        unheard = [TimeRange(gap[0][0], gap[-1][1]) for gap in holes(window, words) if _voice(gap) >= UNHEARD]
        return Said(
            [word._replace(start=self._start + word.start, end=self._start + word.end) for word in words],
            [TimeRange(self._start + gap.start, self._start + gap.end) for gap in unheard],
        )

    def _in_other_languages(self, window: Window, bounds: tuple[int, int], words: list[HeardWord]) -> list[HeardWord]:
        """Transcribe doubtful parts again in the language detected in them, if it differs."""
        for part in _doubtful(window, words):
            if len(part) == len(window):
                continue
            usual, around = words[0].language, _around(part, bounds)
            language = self._how.language(_cut(self._samples, around), usual)
            if language != usual:
                rest = [word for word in words if not _within(part, word)]
                words = sorted([*rest, *self._words(part, around, language)], key=lambda word: word.start)
        return words

    def _words(self, window: Window, bounds: tuple[int, int], around: str) -> list[HeardWord]:
        """Return the words of a window; times in ms from the start of the block.

        Args:
            window: the voice.
            bounds: the start and end of the sound to hear, with the margins around the voice.
            around: the language of the neighbouring windows, "" if unknown.
        """
        samples = _cut(self._samples, bounds)
        language = self._how.language(samples, around)
        found = []
        for text, begin, finish, prob in self._how.recognizer().words(samples, language, self._how.hotwords):
            found.append(HeardWord(text, bounds[0] + begin, bounds[0] + finish, prob, language))
        return at_voice(found, window)


def sound(samples: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return the audio of a window, pauses included, margins not."""
    return _cut(samples, (window[0][0], window[-1][1]))


def at_voice(words: Sequence[HeardWord], window: Window) -> list[HeardWord]:
    """Move the edges of words out of pauses, to the voice that they belong to.

    Recognizers start a word where the one before it ended, pause included, and end the last word
    before a pause early; voice detection is right within 50 ms.

    Args:
        words: in time order.
        window: the voice; no word starts or ends outside it.
    """
    first, last = window[0][0], window[-1][1]
    found: list[HeardWord] = []
    for word in words:
        start, end = max(word.start, first), min(word.end, last)
        voiced = [(a, b) for a, b in window if max(a, start) < min(b, end)]
        if len(voiced) > 1 and (voiced[-2][1] - max(start, voiced[-2][0])) > _LEAK * (end - voiced[-1][0]):
            voiced.pop()
        if voiced:
            start, end = max(start, voiced[-1][0]), min(end, voiced[-1][1])
        start = min(start, last - 1)
        found.append(word._replace(start=start, end=max(end, start + 1)))
    return [_to_the_end(word, after.start if after else last, window) for word, after in zip(found, [*found[1:], None], strict=False)]


def _to_the_end(word: HeardWord, limit: int, window: Window) -> HeardWord:
    """Extend a word to the end of its stretch, if that is near and before the next word starts."""
    end = next((b for a, b in window if a <= word.start < b), 0)
    return word._replace(end=end) if word.end < end <= min(limit, word.end + _REACH) else word


def holes(window: Window, words: Sequence[HeardWord]) -> list[list[tuple[int, int]]]:
    """Return the stretches of voice that no word covers, split at the words."""
    edges = sorted((word.start - _REACH, word.end + _REACH) for word in words)
    found = []
    at = window[0][0]
    for start, end in [*edges, (window[-1][1], window[-1][1])]:
        gap = [(max(a, at), min(b, start)) for a, b in window if max(a, at) < min(b, start)]
        if gap:
            found.append(gap)
        at = max(at, end)
    return found


def _cut(samples: NDArray[np.float32], bounds: tuple[int, int]) -> NDArray[np.float32]:
    return samples[bounds[0] * SAMPLE_RATE // 1000 : bounds[1] * SAMPLE_RATE // 1000]


def _bounds(windows: Sequence[Window], length: int) -> list[tuple[int, int]]:
    """Return the sound to hear for each window: its voice and margins that do not overlap."""
    pauses = [after[0][0] - before[-1][1] for before, after in pairwise(windows)]
    margins = [min(MARGIN_MS, pause // 2) for pause in pauses]
    around = zip(windows, [MARGIN_MS, *margins], [*margins, MARGIN_MS], strict=False)
    return [(max(window[0][0] - before, 0), min(window[-1][1] + after, length)) for window, before, after in around]


def _around(part: Window, bounds: tuple[int, int]) -> tuple[int, int]:
    """Return the sound of a part with the silence around it: voices start and end softly."""
    return max(part[0][0] - _SOFT, bounds[0]), min(part[-1][1] + _SOFT, bounds[1])


def _doubtful(window: Window, words: Sequence[HeardWord]) -> list[list[tuple[int, int]]]:
    """Return the parts between pauses with improbable or repetitive words; adjacent ones merged."""
    parts: list[list[tuple[int, int]]] = []
    last = False
    for part in _parts(window):
        own = [word for word in words if _within(part, word)]
        text = "".join(word.text for word in own).encode()
        now = bool(own) and (_sure(own) < _DOUBTFUL or len(text) > _LOOP * len(zlib.compress(text)))
        if now and last:
            parts[-1] += part
        elif now:
            parts.append(part)
        last = now
    return parts


def _parts(window: Window) -> list[list[tuple[int, int]]]:
    parts = [[window[0]]]
    for stretch in window[1:]:
        if stretch[0] - parts[-1][-1][1] >= _PAUSE:
            parts.append([])
        parts[-1].append(stretch)
    return parts


def _within(part: Window, word: HeardWord) -> bool:
    return part[0][0] - _PAUSE // 2 <= (word.start + word.end) // 2 < part[-1][1] + _PAUSE // 2


def _sure(words: Sequence[HeardWord]) -> float:
    return sum(word.prob for word in words) / len(words) if words else 0.0


def _voice(gap: Window) -> int:
    return sum(end - start for start, end in gap)
