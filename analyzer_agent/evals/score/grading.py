"""Whether an answer is right, strictly: who does not answer is wrong.

Open answers are compared as SQuAD does: lower case, without punctuation, articles and needless blanks. Knows nothing of benchmarks' rules.
"""

import re
import string
from collections import Counter

from analyzer_agent.evals.score.answer_file import Scored

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

NO_ANSWER_TEXTS = ("unanswerable", "not found", "not in video", "not answerable", "no answer")
"""Gold answers (normalised) that say that the video does not hold the answer."""


def normalized(text: str) -> str:
    """Return a text as it is compared.

    Source: SQuAD's evaluation script, `normalize_answer`.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def f1(text: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall over normalised words, 0 to 1; without any words on a side, whether both have none.

    Source: SQuAD's evaluation script, `compute_f1`.
    """
    ours, theirs = normalized(text).split(), normalized(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs))


def is_absent(one: Scored) -> bool:
    """Tell whether the gold says that the video does not hold the answer."""
    return isinstance(one.gold.answer, str) and normalized(one.gold.answer) in NO_ANSWER_TEXTS


def is_right(one: Scored) -> bool:
    """Tell whether the answer is right, by choice or by its normalised words; an abstention is right where nothing is to be found."""
    if is_absent(one):
        return one.outcome == "abstained"
    if one.outcome != "answered" or one.gold.answer is None:
        return False
    if one.has_options:
        return one.picked == one.gold.answer
    return normalized(one.text) == normalized(str(one.gold.answer))


def has_gold(one: Scored) -> bool:
    """Tell whether it is known what is right."""
    return one.gold.answer is not None
