"""Transcribe one audio track so that its words do not depend on the requested range.

A recognizer gets one window of audio at a time, pauses included. The grouping of voice into windows
depends only on the block of the track (see `audio_chunks`). Voice without words, or probably in
another language, is transcribed again separately; voice still without words is reported.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.audio_chunks import SAMPLE_RATE, AudioChunks
from analyzer_agent.tools.support.voiced_words import HeardWord, Window, at_voice, holes, mark_stretched, voice_inside

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

_SOFT = 300
"""Audio added around a part of a window that is transcribed separately, in ms."""

_INVENTED = 0.3
"""Minimum mean probability of a separate transcript: Whisper invents words for breath and noise."""

_DOUBTFUL, _LOOP = 0.7, 2.4
"""Words below this mean probability, or above this compression ratio, may be another language."""

_PAUSE = 1_000
"""Minimum pause at which the language can change, in ms."""


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
        words = self._where_stretched(window, bounds, words)
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

    def _where_stretched(self, window: Window, bounds: tuple[int, int], words: list[HeardWord]) -> list[HeardWord]:
        """Transcribe the voice below stretched words again separately, and use the result if it has more words."""
        found: list[HeardWord] = []
        rest = words
        for is_stretched, run in groupby(words, key=lambda word: word.stretched):
            some = list(run)
            rest = rest[len(some) :]
            place = found[-1].end if found else bounds[0], rest[0].start if rest else bounds[1]
            if is_stretched and (found or rest) and (part := voice_inside(window, *place)):
                more = self._words(part, _around(part, place), some[0].language)
                some = more if len(more) > len(some) and _sure(more) >= _INVENTED else some
            found += some
        return found

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
        return at_voice(mark_stretched(found, window), window)


def sound(samples: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return the audio of a window, pauses included, margins not."""
    return _cut(samples, (window[0][0], window[-1][1]))


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
