"""The words of notes and of queries, as the full-text index has them: the same function for both.

Texts are compared folded (`analyzer_agent.folding`). A run of a script without spaces is indexed as
its pairs of letters and its last letter: any part of it is then a phrase of pairs, and a single
letter the beginning of a pair.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from unicodedata import category

from analyzer_agent.folding import is_unspaced, letters_of, words_in

_MAX_QUERY_WORDS = 64
_PHRASE = re.compile(r'["“”„]([^"“”„]+)["“”]')
_PRIVATE, _PLANE = 0xF0000, 0x10000

_PLAIN = re.compile("[\x00-\x7f\xa0\xa1\xa7\xab\xbb\xbf\u2010-\u2027\u2030-\u205e]*")
"""ASCII and punctuation: a text that the tokenizer of the index folds and splits as `words_in` does."""


def indexed_words(text: str) -> str | None:
    """Return what is indexed in place of a text, None for the text itself."""
    if text.isascii() or _PLAIN.fullmatch(text):
        return None
    return " ".join(token for word in words_in(text) for token in _tokens(word))


def _tokens(word: str) -> list[str]:
    """Return the tokens of a folded word: itself, or its pairs of letters and its last letter."""
    if not is_unspaced(word):
        return [_kept(word)]
    letters = [_kept(letter) for letter in letters_of(word)]
    return [*map("".join, pairwise(letters)), letters[-1]]


def _kept(word: str) -> str:
    """Return a word with its marks as letters for private use: the tokenizer takes marks for separators."""
    return word if word.isalnum() else "".join(chr(_PRIVATE + ord(c) % _PLANE) if category(c).startswith("M") else c for c in word)


def query_words(query: str) -> list[str]:
    """Return the distinct words of a query as FTS phrases; pairs of letters where words are not set apart.

    At most 64 are returned: more would make the search slow, and are probably a pasted text.
    """
    found: list[str] = []
    for word in words_in(query):
        *pairs, _ = _tokens(word)
        found += [quoted(pair) for pair in pairs] if pairs else [_phrase([word])]
    return list(dict.fromkeys(found))[:_MAX_QUERY_WORDS]


def query_terms(query: str) -> list[str]:
    """Return the distinct words of a query and its phrases in double quotes, as FTS phrases."""
    parts = _PHRASE.split(query)  # every second part is a phrase
    terms = [_phrase(words) for n, part in enumerate(parts) for words in ([words_in(part)] if n % 2 else [[w] for w in words_in(part)])]
    return list(dict.fromkeys(filter(None, terms)))[:_MAX_QUERY_WORDS]


def parts_of(query: str) -> list[str]:
    """Return the words and the phrases in double quotes of a query, each as a query of its own."""
    parts = _PHRASE.split(query)
    found = [f'"{part}"' if n % 2 else word for n, part in enumerate(parts) for word in ([part] if n % 2 else words_in(part))]
    return [part for part in dict.fromkeys(found) if query_terms(part)][:_MAX_QUERY_WORDS]


def has_phrase(query: str) -> bool:
    """Return whether a query has a phrase in double quotes: several words, or words that are not set apart."""
    phrases = [words_in(part) for part in _PHRASE.split(query)[1::2]]
    return any(len(words) > 1 or is_unspaced("".join(words)) for words in phrases)


def _phrase(words: Sequence[str]) -> str:
    """Return the FTS phrase of consecutive words, the last of which may go on if words are not set apart."""
    tokens = [token for word in words for token in _tokens(word)]
    if not words or not is_unspaced(words[-1]):
        return quoted(" ".join(tokens)) if words else ""
    if len(letters_of(words[-1])) > 1:
        return quoted(" ".join(tokens[:-1]))
    return f"{quoted(' '.join(tokens))} *"


def quoted(phrase: str) -> str:
    """Return an FTS phrase."""
    return '"' + phrase.replace('"', '""') + '"'
