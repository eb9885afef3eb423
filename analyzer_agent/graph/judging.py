"""What a judge is asked of a drafted answer: the question, the draft, the cited notes, and for one that sees the cited frames."""

from collections.abc import Collection, Sequence
from typing import Any

from analyzer_agent.messages import verification_prompt
from analyzer_agent.prompts import render
from analyzer_agent.records import ShownPicture
from analyzer_agent.toolbox import MergedNote, Toolbox
from analyzer_agent.toolbox.answer_check import CheckedAnswer, notes_text, repeats_text
from analyzer_agent.toolbox.cited_frames import cited_pictures, in_frames_only
from analyzer_agent.toolbox.coverage import coverage_sentence, viewed_sentence
from analyzer_agent.toolbox.schemas import judge_tool


def judge_request(
    toolbox: Toolbox,
    question: str,
    options: Sequence[str],
    answer: CheckedAnswer,
    runs: Sequence[MergedNote],
    viewed: Collection[ShownPicture] = (),
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the messages to a judge and the tool that it calls.

    Args:
        toolbox: the tools.
        question: the question.
        options: its options.
        answer: the draft.
        runs: the notes that it cites.
        viewed: the pictures that the model was shown for this question.
    """
    pictures = cited_pictures(runs, answer.moments) if toolbox.pictures else []
    shown = {picture.number for picture in pictures}
    notes = notes_text(toolbox, in_frames_only(toolbox.store, runs, question, shown))
    if answer.claim != "some":  # what is nowhere stands in no note
        videos = toolbox.session_videos.values()
        told = [coverage_sentence(toolbox.reader, videos), viewed_sentence(videos, viewed), repeats_text(toolbox, runs), notes]
        notes = "\n\n".join(filter(None, told))
    rules = [render("verify"), *([render("verify_frames")] if pictures else [])]
    text = verification_prompt(question, options, answer.text, answer.choice, notes)
    asked: Any = [{"type": "text", "text": text}, *(picture.to_part() for picture in pictures)] if pictures else text
    messages = [{"role": "system", "content": "\n\n".join(rules)}, {"role": "user", "content": asked}]
    return toolbox.with_pictures(messages) if pictures else messages, judge_tool(bool(pictures))
