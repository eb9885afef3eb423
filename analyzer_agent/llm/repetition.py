"""A model that repeats itself without end, recognised while it writes."""

from collections import Counter

_LONGEST_PASSAGE = 1500
_LEAST_REPEATS = 8
_LEAST_CHARS = 1200
_CHECK_EVERY = 200
_KEY_CHARS = 24
_WORDS, _GRAM, _LEAST_DISTINCT = 500, 6, 0.1


class RepetitionWatch:
    """Looks for a passage that is repeated at the end of a growing text.

    Legitimate output repeats too: lists of ranges, or dashes of a table. It is a loop if a passage
    of up to 1,500 characters stands there at least eight times on end, in at least 1,200
    characters; or if fewer than a tenth of the last 500 groups of six words differ.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._unchecked = 0

    def feed(self, piece: str) -> str | None:
        """Add a piece; return the passage that is repeated, else None."""
        self._tail += piece
        self._unchecked += len(piece)
        if self._unchecked < _CHECK_EVERY:
            return None
        self._unchecked = 0
        self._tail = self._tail[-(_LONGEST_PASSAGE * _LEAST_REPEATS + _LEAST_CHARS) :]
        return self._exact() or self._nearly()

    def _exact(self) -> str | None:
        text = self._tail
        key = text[-_KEY_CHARS:]
        if len(text) < _LEAST_CHARS:
            return None
        at = len(text) - len(key)
        while (at := text.rfind(key, 0, at + len(key) - 1)) >= 0:
            period = len(text) - len(key) - at
            if period > _LONGEST_PASSAGE:
                return None
            span = max(_LEAST_CHARS, period * _LEAST_REPEATS)
            if span <= len(text) and text[-span:-period] == text[-span + period :]:
                return text[-period:]
        return None

    def _nearly(self) -> str | None:
        words = self._tail.split()[-_WORDS:]
        grams = Counter(" ".join(words[n : n + _GRAM]) for n in range(len(words) - _GRAM + 1))
        if len(words) < _WORDS or len(grams) >= _LEAST_DISTINCT * grams.total():
            return None
        return f"{grams.most_common(1)[0][0]} "
