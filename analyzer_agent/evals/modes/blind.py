"""The question alone: what a model answers without the video, the line that every other mode has to beat.

Not even the video's name is told. Nothing can be cited, so that the whole answer is listed as unsupported.
"""

from collections.abc import Callable
from dataclasses import dataclass

from analyzer_agent.evals.modes.single_call import QuestionContext, ask_and_check
from analyzer_agent.events import Event
from analyzer_agent.messages import question_message
from analyzer_agent.prompts import render
from analyzer_agent.toolbox.answer_check import Outcome


@dataclass(frozen=True)
class Blind:
    """Answers from the question and its options."""

    def answer(self, context: QuestionContext, write: Callable[[Event], None]) -> Outcome:
        """Ask the model; no analyzer runs and no video is read."""
        return ask_and_check(context, render("blind"), question_message(context.question, context.options), write, None)
