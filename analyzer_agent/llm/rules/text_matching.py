"""Word matching for the rules manager: the subject of a question, and how well a text fits it."""

import re

_STOP = frozenset(
    """
    a about after all also am an and any anybody anyone anything are as at be been before being between but by can could did do does doing
    during each ever exactly first for from get give go goes going had happen happens has have he her here him his how i if in into is
    it its just kind long made make many me mention mentioned mentions more most much my next no not now of off on one
    only or other our out over please read reads said say saying says second see seen she should show shown shows so some somebody
    someone something speak speaks spoken tell tells text than that the their them then there these they thing this those time times
    to told too under until up us use used very video clip film movie was we were what when where which while who whom whose why will with
    videos clips films movies recording recordings footage lecture lectures mentions mentioning discuss discusses discussed discussing
    talked talking speaking
    word words would written you your talk talks talking display displayed screen picture
    """.split()  # noqa: SIM905 (prose reads better than a list of strings)
)

_ENDINGS = ("ations", "ation", "ingly", "edly", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "ly", "s", "e")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case, without possessive endings."""
    return [re.sub(r"['’]s$", "", word.casefold()) for word in _WORD.findall(text)]


def plain_words(text: str) -> list[str]:
    """Return the distinct content words of a text in lower case, not stemmed."""
    return list(dict.fromkeys(word for word in tokens(text) if word not in _STOP and (len(word) > 1 or word.isdigit())))


def stem(word: str) -> str:
    """Remove the most common English endings from a word; at least three letters remain.

    >>> stem("assembling") == stem("assembled") == stem("assemble")
    True
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            root = word[: -len(ending)]
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiouls" else root
    return word


def content_stems(text: str) -> list[str]:
    """Return the distinct stems of the content words of a text, in order."""
    return list(dict.fromkeys(stem(word) for word in tokens(text) if word not in _STOP and (len(word) > 1 or word.isdigit())))


def stem_overlap(wanted: list[str], text: str) -> float:
    """Return the share of the wanted stems that a text contains, from 0 to 1."""
    if not wanted:
        return 0.0
    have = {stem(word) for word in tokens(text)}
    return sum(word in have for word in wanted) / len(wanted)


_VERB_ENDINGS = ("ed", "ing")
_IRREGULAR = frozenset(
    "built made held kept sold bought found left sent taken given written worn done put set come gone grown stand lie".split()  # noqa: SIM905
)


def subject_stems(question: str) -> list[str]:
    """Return the content stems of a question without verbs, which are often paraphrased."""
    verbs = {stem(word) for word in tokens(question) if word.endswith(_VERB_ENDINGS) or word in _IRREGULAR}
    return [word for word in content_stems(question) if word not in verbs]


_NUMBERS = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|twenty|thirty|forty|fifty"
    r"|hundred|thousand|half|dozen)\b"
)
_ANSWERS = (
    (r"\bwhere\b", r"\b(?:in|at|on|near|under|behind|to|from|platform|street)\b"),
    (r"\b(?:how (?:much|many|long|old|far)|price|cost|number|which platform|what time)\b", _NUMBERS),
    (r"\bwhy\b", r"\b(?:because|since|due|so that|to)\b"),
)
"""Pairs of patterns: of a question type, and of texts that can answer it."""


def matches_answer_type(question: str, text: str) -> bool:
    """Return whether a text has the requested type of answer, such as a place for "where"."""
    return all(re.search(answer, text, re.I) for asks, answer in _ANSWERS if re.search(asks, question, re.I))


def asks_for_answer_type(question: str) -> bool:
    """Return whether a question asks for a recognisable type: a place, a number or a reason."""
    return any(re.search(asks, question, re.I) for asks, _ in _ANSWERS)
