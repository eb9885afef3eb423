"""Place recognized words where the voice is, and find the voice that no word explains.

Recognizers place words roughly: across pauses, or over voice that has more words than they wrote.
Voice detection is right within 50 ms.
"""

from collections.abc import Sequence
from typing import NamedTuple

Window = Sequence[tuple[int, int]]
"""Stretches of voice as (start, end) in ms, in time order; transcribed as one piece of audio."""

_REACH = 500
"""A word covers the voice up to this far around it, in ms."""

_LEAK = 4
"""A word across a pause belongs after it, unless this many times more of it lies before it."""

_LONGEST, _PER_DIGIT = 2_000, 400
"""Maximum voice in a word, in ms, and what each digit adds: "1,250" is one word.

Where Whisper stops early, it places its last words over all that follows them.
"""

_INSTANT = 20
"""Words of at most this length, in ms, beside such a word share its wrong times: Whisper's times have steps of 20 ms."""


class HeardWord(NamedTuple):
    """A recognized word, times in ms; `text` includes the space before it, if there is one.

    `stretched`: it lasts longer than the word can, so what else was said there may be missing.
    """

    text: str
    start: int
    end: int
    prob: float
    language: str = ""
    stretched: bool = False


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


def mark_stretched(words: Sequence[HeardWord], window: Window) -> list[HeardWord]:
    """Mark words within which more voice lies than they can have, and those beside them that take no time."""
    voice = [sum(end - start for start, end in voice_inside(window, word.start, word.end)) for word in words]
    found = [ms > _LONGEST + _PER_DIGIT * sum(map(str.isdigit, word.text)) for ms, word in zip(voice, words, strict=True)]
    for order in (range(1, len(words)), range(-2, -len(words) - 1, -1)):
        for i in order:
            found[i] |= found[i - order.step] and words[i].end - words[i].start <= _INSTANT
    return [word._replace(stretched=is_stretched) for word, is_stretched in zip(words, found, strict=True)]


def holes(window: Window, words: Sequence[HeardWord]) -> list[list[tuple[int, int]]]:
    """Return the stretches of voice that no word covers, split at the words."""
    ends = [min(word.end, word.start + _LONGEST) if word.stretched else word.end for word in words]
    edges = sorted((word.start - _REACH, end + _REACH) for word, end in zip(words, ends, strict=True))
    found = []
    at = window[0][0]
    for start, end in [*edges, (window[-1][1], window[-1][1])]:
        gap = [(max(a, at), min(b, start)) for a, b in window if max(a, at) < min(b, start)]
        if gap:
            found.append(gap)
        at = max(at, end)
    return found


def voice_inside(window: Window, start: int, end: int) -> list[tuple[int, int]]:
    """Return the stretches of voice from `start` to `end`, in ms."""
    return [(max(a, start), min(b, end)) for a, b in window if max(a, start) < min(b, end)]
