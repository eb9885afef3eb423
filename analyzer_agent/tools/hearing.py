"""What is heard on one audio track: the words of whichever part is asked for, the same ones however it is asked for.

A recognizer hears windows of sound, several together. Which stretches make a window and which windows go together depends on the
block of the track alone (see `seams`). Knows nothing of recognizers, grains or sentences.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer_agent.protocols import Video
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.seams import RATE, Blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Window = Sequence[tuple[int, int]]
"""Stretches of sound as (start, end) in ms, in time order, heard one after the other as if nothing lay between them."""

Heard = Sequence[tuple[str, int, int, float]]
"""Words as (text, start, end, probability) in time order, in ms."""


class Word(NamedTuple):
    """A word as heard: `text` keeps the space before it (languages without spaces have none); times in ms."""

    text: str
    start: int
    end: int
    prob: float


class Recognizer(Protocol):
    """What a speech engine must do. Samples are mono at 16 kHz; times are ms from their start; equal input gives equal output."""

    languages: Sequence[str]
    """The codes it understands; with exactly one, no language is ever detected."""
    takes_hotwords: bool
    together: int
    """How many windows it is given at a time."""

    def windows(self, samples: "NDArray[np.float32]") -> Sequence[Window]:
        """Return the stretches in which somebody speaks, put together as they are to be heard."""
        ...

    def language(self, samples: "NDArray[np.float32]") -> str:
        """Return the code of the language spoken in up to 30 s of voice."""
        ...

    def words(self, windows: Sequence["NDArray[np.float32]"], language: str, hotwords: str) -> Sequence[Heard]:
        """Return the words of each window; its stretches are joined, and so times count from the first one."""
        ...


class Hearing:
    """The words of one track. Keeps the sound of no more than the blocks that were asked for last."""

    def __init__(self, video: Video, track: int) -> None:
        self._video = video
        self._track = track
        self._blocks = Blocks(video, track)
        self._kept: dict[TimeRange, _Block] = {}

    def words(self, span: TimeRange, recognizer: Recognizer, language: str, hotwords: str) -> list[Word]:
        """Return all words said within `span`, in time order, and those heard together with them."""
        touched = self._blocks.touching(span)
        self._kept = {block: self._kept[block] for block in touched if block in self._kept}
        found: list[Word] = []
        for block in touched:
            if block not in self._kept:
                self._kept[block] = _Block(block.start, self._video.audio(block, RATE, self._track), recognizer)
            found += self._kept[block].words(span, recognizer, language, hotwords)
        return found


class _Block:
    """The sound of a block, in groups of windows.

    A group is heard as a whole when any of it is first requested: some recognizers hear a window differently in other company.
    """

    def __init__(self, start: int, samples: "NDArray[np.float32]", recognizer: Recognizer) -> None:
        self._start = start
        self._samples = samples
        windows = recognizer.windows(samples)
        self._groups = [windows[at : at + recognizer.together] for at in range(0, len(windows), recognizer.together)]
        self._heard: dict[int, list[Word]] = {}

    def words(self, span: TimeRange, recognizer: Recognizer, language: str, hotwords: str) -> list[Word]:
        found: list[Word] = []
        for number, group in enumerate(self._groups):
            if not any(TimeRange(self._start + start, self._start + end).overlaps(span) for window in group for start, end in window):
                continue
            if number not in self._heard:
                heard = recognizer.words([joined(self._samples, window) for window in group], language, hotwords)
                self._heard[number] = [word for window, words in zip(group, heard, strict=True) for word in self._placed(window, words)]
            found += self._heard[number]
        return found

    def _placed(self, window: Window, heard: Heard) -> Iterator[Word]:
        """Yield the words of a window at their place in the video; each lies in the stretch that holds its middle."""
        ends = list(accumulate(end - start for start, end in window))
        for text, begin, finish, prob in heard:
            at = min(bisect_right(ends, (begin + finish) // 2), len(window) - 1)
            first, last = self._start + window[at][0], self._start + window[at][1]
            skipped = last - ends[at]
            start = min(max(skipped + begin, first), last - 1)
            yield Word(text, start, min(max(skipped + finish, start + 1), last), prob)


def joined(samples: "NDArray[np.float32]", window: Window) -> "NDArray[np.float32]":
    """Return the stretches of a window as one sound."""
    import numpy as np

    return np.concatenate([samples[start * RATE // 1000 : end * RATE // 1000] for start, end in window])
