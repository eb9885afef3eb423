"""Grade answers strictly: no answer counts as wrong.

Open answers are compared as in SQuAD: lower case, without punctuation, articles and extra spaces.
"""

import re
import string
from collections import Counter

from analyzer_agent.evals.score.answer_file import Scored

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

NO_ANSWER_TEXTS = ("unanswerable", "not found", "not in video", "not answerable", "no answer")
"""Normalised gold answers which mean that the video does not contain the answer."""


def normalized(text: str) -> str:
    """Normalise a text for comparison.

    Source: SQuAD's evaluation script, `normalize_answer`.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def f1(text: str, gold: str) -> float:
    """Return the F1 score over normalised words, 0 to 1; 1 if both texts are empty, 0 if one is.

    Source: SQuAD's evaluation script, `compute_f1`.
    """
    ours, theirs = normalized(text).split(), normalized(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs))


def is_absent(one: Scored) -> bool:
    """Tell whether, by its gold, the question has no answer in the video."""
    return isinstance(one.gold.answer, str) and normalized(one.gold.answer) in NO_ANSWER_TEXTS


def is_right(one: Scored) -> bool:
    """Tell whether choice or normalised text is right; abstention is if `is_absent`."""
    if is_absent(one):
        return one.outcome == "abstained"
    if one.outcome != "answered" or one.gold.answer is None:
        return False
    if one.has_options:
        return one.picked == one.gold.answer
    return normalized(one.text) == normalized(str(one.gold.answer))


def has_gold(one: Scored) -> bool:
    """Tell whether the question has a gold answer."""
    return one.gold.answer is not None
