"""Answers to "which of these videos ...": a list of videos, each with a citation."""

from collections.abc import Sequence
from typing import Any

from analyzer_agent.llm.rules.extractive_answer import SIGNATURE, Passage

_MAX_VIDEOS_NAMED = 3
_HIGH_CONFIDENCE_SCORE = 0.75


def answer(units: Sequence[Passage], videos: Sequence[str], unexamined: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of finish with the videos that have a hit, and the unexamined ones.

    Args:
        units: the passages of the notes, each of one video.
        videos: the names of all videos, in order.
        unexamined: the videos that were not, or not completely, analyzed.
    """
    best: dict[str, Passage] = {}
    for unit in sorted((u for u in units if u.enough), key=lambda u: (-u.score, u.start)):
        best.setdefault(unit.lines[0].video, unit)
    found = [best[video] for video in videos if video in best]
    left = not_examined(unexamined, len(videos))
    if not found:
        where = "what was looked at" if left else f"any of the {len(videos)} videos"
        text = f"Not found in {where}."
    else:
        listed = ", ".join(f"{u.lines[0].video} [#{u.lines[0].id}]" for u in found)
        text = f"Found in {'at least ' if left else ''}{len(found)} of {len(videos)} videos: {listed}."
    sure = found and not left and all(u.score >= _HIGH_CONFIDENCE_SCORE and not u.lines[0].uncertain for u in found)
    told = {
        "answer": " ".join(part for part in (text, left, SIGNATURE) if part),
        "notes": [u.lines[0].id for u in found],
        "confidence": "medium" if sure else "low",
        "found": bool(found),
    }
    return told | ({"not_examined": left} if left else {})


def not_examined(videos: Sequence[str], among: int) -> str:
    """Return a sentence on the videos not, or not completely, analyzed; "" if there are none."""
    if not videos:
        return ""
    more = f" and {len(videos) - _MAX_VIDEOS_NAMED} more" if len(videos) > _MAX_VIDEOS_NAMED else ""
    return f"Not examined, or not wholly: {len(videos)} of {among} videos ({', '.join(videos[:_MAX_VIDEOS_NAMED])}{more})."
