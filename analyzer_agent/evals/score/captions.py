"""Compute BLEU, CIDEr and METEOR of open answers with COCO's code (`pycocoevalcap`).

COCO's tokenizer needs Java, so words are split here: lower case, runs of letters and digits, with
inner apostrophes. Figures may differ from those of papers in the second decimal.
"""

import re
import shutil
from collections.abc import Sequence
from typing import Any

from analyzer_agent.errors import require
from analyzer_agent.evals.score.answer_file import Scored
from analyzer_agent.evals.score.open_ended import open_questions
from analyzer_agent.evals.score.sections import Section

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")

_TextsById = dict[str, list[str]]


def captions(items: Sequence[Scored]) -> Section | None:
    """Return BLEU-1 to 4, CIDEr and METEOR; None without open answers.

    Raises:
        Unavailable: pycocoevalcap is not installed.
    """
    require("pycocoevalcap", "score", "BLEU")
    bleu = require("pycocoevalcap.bleu.bleu", "score", "BLEU")
    cider = require("pycocoevalcap.cider.cider", "score", "CIDEr")
    asked = [one for one in open_questions(items) if isinstance(one.gold.answer, str)]
    if not asked:
        return None
    golds: _TextsById = {one.id: [words(str(one.gold.answer))] for one in asked}
    ours: _TextsById = {one.id: [words(one.text) if one.outcome == "answered" else ""] for one in asked}
    values = dict(zip((f"BLEU-{n}" for n in range(1, 5)), bleu.Bleu(4).compute_score(golds, ours, verbose=0)[0], strict=True))
    values["CIDEr"] = cider.Cider().compute_score(golds, ours)[0]
    values |= _meteor(golds, ours)
    note = "CIDEr weighs words by their rarity among these gold answers: compare it between runs on the same questions only."
    if "METEOR" not in values:
        note += " METEOR is not there: COCO's code for it needs Java."
    rows = [(name, len(asked), round(100 * float(value), 4)) for name, value in values.items()]
    return Section("captions", "Text metrics", ("measure", "questions", "score x 100"), rows, note)


def words(text: str) -> str:
    """Return the words of a text in lower case, separated by single spaces."""
    return " ".join(_WORD.findall(text.lower()))


def _meteor(golds: _TextsById, ours: _TextsById) -> dict[str, float]:
    """Return METEOR if Java is available."""
    if shutil.which("java") is None:
        return {}
    scorer: Any = require("pycocoevalcap.meteor.meteor", "score", "METEOR").Meteor()
    try:
        return {"METEOR": scorer.compute_score(golds, ours)[0]}
    finally:
        # The scorer does not close these pipes itself.
        scorer.meteor_p.stdout.close()
        scorer.meteor_p.stderr.close()
