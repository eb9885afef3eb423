"""The form in which texts are compared: one for search, quotations and the rules manager.

The same word comes in many forms: full-width letters from an OCR model, decomposed accents from
macOS, a ligature, `ß` and `ss`. OCR misreads single letters, see `alike`. And some scripts are written without spaces between words. Stored
texts stay as they came; only what is compared is folded.
"""

import re
from collections.abc import Iterable
from unicodedata import category, combining, decimal, normalize

_ACCENTS = frozenset({1, *range(10, 37), *range(200, 241)})
"""Combining classes of the marks that a reader may leave out: accents of Latin, Greek and Cyrillic,
the points of Hebrew and Arabic. Marks of other classes, such as the vowels of Thai and Devanagari or
the voicing of kana, make another word."""

_LETTERS = str.maketrans(
    {
        **{"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ı": "i"},
        # As people type them on another keyboard: Arabic, Persian and Urdu.
        **{"\u0649": "\u064a", "\u06cc": "\u064a", "\u06a9": "\u0643", "\u0629": "\u0647", "\u0640": None},
        **dict.fromkeys("\u02bc\u2018\u2019\u02b9", "'"),
    }
)


class _Marks(dict[int, str | None]):
    """A table for `str.translate` that is filled on use: what each character becomes, None for nothing."""

    def __missing__(self, code: int) -> str | None:
        one = chr(code)
        digit = decimal(one, None)
        dropped = combining(one) in _ACCENTS or category(one) == "Cf" or _INVISIBLE.match(one)
        self[code] = None if dropped else one if digit is None else str(digit)
        return self[code]


class _Separators(dict[int, str]):
    """A table for `str.translate`: a space for what is no part of a word."""

    def __missing__(self, code: int) -> str:
        self[code] = chr(code) if chr(code).isalnum() or category(chr(code)).startswith("M") else " "
        return self[code]


_INVISIBLE = re.compile("[\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Variation selectors and the grapheme joiner; format characters, such as soft hyphens, are of category Cf."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaadf\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf"  # Thai, Lao, Burmese, Khmer, Tai
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Hangul: spaces, but particles belong to the word
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3035\u3038-\u312f\u31a0-\u31ff\u3400-\u9fff\ua000-\ua4cf\uf900-\ufaff"  # Han, kana, Yi
    "\U00016fe0-\U00018cff\U0001af00-\U0001b2ff\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}\\s]+")
_UNSPACED_START = re.compile(f"[{_UNSPACED}]")

_marks, _separators = _Marks(), _Separators()


def fold(text: str) -> str:
    """Return a text in the form in which texts are compared.

    Letters are small and without accents, of normal width, composed; digits are those of ASCII;
    ligatures are spelled out, invisible characters are left out.

    >>> fold("Ｃａｆé Ｇröße ﬁn")
    'cafe grosse fin'
    """
    if text.isascii():
        return text.lower()
    plain = normalize("NFKD", normalize("NFKD", text).casefold()).translate(_LETTERS)
    return normalize("NFC", plain.translate(_marks))


def words_in(text: str) -> list[str]:
    """Return the folded words of a text: letters and digits with their marks.

    A run of a script without spaces between words is one word, see `is_unspaced`; it ends where
    another script begins.
    """
    return _WORD.findall(fold(text).translate(_separators))


def is_unspaced(word: str) -> bool:
    """Return whether a folded word is a run of a script in which words are not set apart."""
    return _UNSPACED_START.match(word) is not None


def letters_of(word: str) -> list[str]:
    """Return the letters of a folded word, each with the marks that follow it."""
    found: list[str] = []
    for one in word:
        if found and category(one).startswith("M"):
            found[-1] += one
        else:
            found.append(one)
    return found


_ALIKE, _SHORTEST, _SHORTEST_PART, _LEAST_SHARE = 80, 4, 5, 0.4
"""The least likeness, 0 to 100; letters that a text and a part of one must have; and the share of the whole that a part must be."""


def alike(text: str, other: str) -> bool:
    """Return whether OCR may have read one text as the other, or as a part of it; never with other digits.

    >>> alike("shutterstock", "shuttersteck"), alike("stpck", "shutterstock"), alike("COUNTER 1", "COUNTER 2")
    (True, True, False)
    """
    from rapidfuzz import fuzz  # loads slowly, and most commands compare nothing this way

    one, two = sorted((fold(text), fold(other)), key=len)
    if len(one) < _SHORTEST or [c for c in one if c.isdigit()] != [c for c in two if c.isdigit()]:
        return False
    part = len(one) >= _SHORTEST_PART and len(one) >= _LEAST_SHARE * len(two)
    return fuzz.ratio(one, two) >= _ALIKE or (part and fuzz.partial_ratio(one, two) >= _ALIKE)


def misread(words: Iterable[str], known: Iterable[str], least: int = 0) -> list[str]:
    """Return those of the known words (folded) that may be misread forms of some words, the most alike first.

    Args:
        words: the words.
        known: the words that were read.
        least: the least likeness of whole words, 0 to 100; by default a part of a word may do.
    """
    from rapidfuzz import fuzz

    asked = {word for word in words if word.isalpha() and not is_unspaced(word)}
    found = {
        one: max(fuzz.ratio(one, word) for word in asked) for one in known if one not in asked and any(alike(one, word) for word in asked)
    }
    return sorted((one for one in found if found[one] >= least), key=lambda one: (-found[one], one))
