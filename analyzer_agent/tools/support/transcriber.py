"""What is heard on one audio track: the words of whichever part is asked for, the same ones however it is asked for.

A recognizer hears one window of sound at a time, pauses included. Which stretches of voice make a window depends on the block of the
track alone (see `audio_chunks`). Voice that got no words, or was heard in the wrong language, is heard again by itself; what then still has
no words is told. Knows nothing of recognizers, grains or sentences.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.support.audio_chunks import SAMPLE_RATE, AudioChunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Window = Sequence[tuple[int, int]]
"""Stretches of voice as (start, end) in ms, in time order; heard as one sound, from the start of the first to the end of the last."""

HeardWords = Sequence[tuple[str, int, int, float]]
"""Words as (text, start, end, probability) in time order, in ms."""

AGAIN = 1_500
"""Where so much voice in a row, in ms, has no word, it is heard again by itself."""

UNHEARD = 3_000
"""Where so much voice in a row, in ms, still has no word, it is told."""

_REACH = 500
"""A word stands for the voice up to this far around it, in ms."""

_SOFT = 300
"""How much sound around a part of a window is heard with it, in ms."""

_INVENTED = 0.3
"""What is heard again by itself is kept from this mean probability of its words on: a breath or a noise alone makes Whisper invent."""

_DOUBTFUL, _LOOP = 0.7, 2.4
"""Below this mean probability, or where words repeat so much that they can be compressed this much, they may be of another language."""

_PAUSE = 1_000
"""Languages change in pauses from this length on, in ms."""


class HeardWord(NamedTuple):
    """A word as heard: `text` keeps the space before it (languages without spaces have none); times in ms."""

    text: str
    start: int
    end: int
    prob: float
    language: str = ""


class Recognizer(Protocol):
    """What a speech engine must do. Samples are mono at 16 kHz; times are ms from their start; equal input gives equal output."""

    languages: Sequence[str]
    """The codes it understands; with exactly one, no language is ever detected."""
    takes_hotwords: bool

    def windows(self, samples: "NDArray[np.float32]") -> Sequence[Window]:
        """Return the stretches in which somebody speaks, put together as they are to be heard."""

    def language(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        """Return the code of the language spoken in up to 30 s of sound, and its probability."""

    def words(self, samples: "NDArray[np.float32]", language: str, hotwords: str) -> HeardWords:
        """Return the words of a window."""


class Listening(Protocol):
    """How a track is heard."""

    hotwords: str

    @property
    def recognizer(self) -> Recognizer:
        """The engine; between two uses it may have been thrown out to make room for another."""

    def language(self, samples: "NDArray[np.float32]", around: str) -> str:
        """Return the code of the language to hear `samples` in; `around` is that of the sound around them, "" where there is none."""


class Said(NamedTuple):
    """The words of a part of the track in time order, and where there is voice without words."""

    words: list[HeardWord]
    unheard: list[TimeRange]


class Transcriber:
    """The words of one track. Keeps the sound of no more than the blocks that were asked for last."""

    def __init__(self, video: Video, track: int) -> None:
        self._video = video
        self._track = track
        self._blocks = AudioChunks(video, track)
        self._kept: dict[TimeRange, _Block] = {}

    def said(self, span: TimeRange, how: Listening) -> Said:
        """Return what is said within `span`, and what is heard together with it."""
        touched = self._blocks.touching(span)
        self._kept = {block: self._kept[block] for block in touched if block in self._kept}
        found = Said([], [])
        for block in touched:
            if block not in self._kept:
                self._kept[block] = _Block(block.start, self._video.audio(block, SAMPLE_RATE, self._track), how.recognizer)
            for words, unheard in self._kept[block].said(span, how):
                found.words.extend(words)
                found.unheard.extend(unheard)
        return found


class _Block:
    """The sound of a block, in windows; each is heard when any of it is first asked for."""

    def __init__(self, start: int, samples: "NDArray[np.float32]", recognizer: Recognizer) -> None:
        self._start = start
        self._samples = samples
        self._windows = recognizer.windows(samples)
        self._said: dict[int, Said] = {}

    def said(self, span: TimeRange, how: Listening) -> Iterator[Said]:
        """Yield what is said in each window that overlaps `span`."""
        for number, window in enumerate(self._windows):
            if not TimeRange(self._start + window[0][0], self._start + window[-1][1]).overlaps(span):
                continue
            if number not in self._said:
                self._said[number] = self._heard(window, how)
            yield self._said[number]

    def _heard(self, window: Window, how: Listening) -> Said:
        words = self._words(window, how, "")
        words = self._in_other_languages(window, words, how)
        language = words[0].language if words else ""
        # Where nothing is heard at all, each stretch is tried: the whole was.
        gaps = holes(window, words) if words else [[stretch] for stretch in window if len(window) > 1]
        while gaps:
            gap = gaps.pop()
            more = self._words(_wider(gap, window), how, language) if _voice(gap) >= AGAIN else []
            if _sure(more) >= _INVENTED:
                words += more
                gaps += holes(gap, more)
        words.sort(key=lambda word: word.start)
        unheard = [TimeRange(gap[0][0], gap[-1][1]) for gap in holes(window, words) if _voice(gap) >= UNHEARD]
        return Said(
            [word._replace(start=self._start + word.start, end=self._start + word.end) for word in words],
            [TimeRange(self._start + gap.start, self._start + gap.end) for gap in unheard],
        )

    def _in_other_languages(self, window: Window, words: list[HeardWord], how: Listening) -> list[HeardWord]:
        """Hear what is doubtful in the language detected in it alone, if that is another one."""
        for part in [_wider(part, window) for part in _doubtful(window, words)]:
            if len(part) < len(window) and (language := how.language(sound(self._samples, part), words[0].language)) != words[0].language:
                rest = [word for word in words if not _within(part, word)]
                words = sorted([*rest, *self._words(part, how, language)], key=lambda word: word.start)
        return words

    def _words(self, window: Window, how: Listening, around: str) -> list[HeardWord]:
        """Return the words of a window; times count from the start of the block."""
        first, last = window[0][0], window[-1][1]
        samples = sound(self._samples, window)
        language = how.language(samples, around)
        found = []
        for text, begin, finish, prob in how.recognizer.words(samples, language, how.hotwords):
            start = min(max(first + begin, first), last - 1)
            found.append(HeardWord(text, start, min(max(first + finish, start + 1), last), prob, language))
        return found


def sound(samples: "NDArray[np.float32]", window: Window) -> "NDArray[np.float32]":
    """Return the sound of a window, pauses included."""
    return samples[window[0][0] * SAMPLE_RATE // 1000 : window[-1][1] * SAMPLE_RATE // 1000]


def holes(window: Window, words: Sequence[HeardWord]) -> list[list[tuple[int, int]]]:
    """Return the voice that no word stands for, parted where there are words."""
    edges = sorted((word.start - _REACH, word.end + _REACH) for word in words)
    found = []
    at = window[0][0]
    for start, end in [*edges, (window[-1][1], window[-1][1])]:
        gap = [(max(a, at), min(b, start)) for a, b in window if max(a, at) < min(b, start)]
        if gap:
            found.append(gap)
        at = max(at, end)
    return found


def _wider(part: Window, window: Window) -> Window:
    """Return a part of a window with a little of the silence around it: voices begin and end softly."""
    (first, end), start, last = part[0], part[-1][0], part[-1][1]
    first, last = max(first - _SOFT, window[0][0]), min(last + _SOFT, window[-1][1])
    return [(first, last)] if len(part) == 1 else [(first, end), *part[1:-1], (start, last)]


def _doubtful(window: Window, words: Sequence[HeardWord]) -> list[list[tuple[int, int]]]:
    """Return the parts of a window, from pause to pause, whose words are improbable or repeat themselves; neighbours as one."""
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
