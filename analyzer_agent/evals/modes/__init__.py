"""Baselines: answer in one model call from a description, from frames, or from the question alone.

Each question is independent: the model is not shown earlier ones.
"""

from typing import Protocol

from analyzer_agent.evals.modes.description import Description, DescriptionLine, describe
from analyzer_agent.evals.modes.frames import Frames
from analyzer_agent.evals.modes.single_call import Blind, QuestionContext
from analyzer_agent.evals.modes.summarizer import Summarizer
from analyzer_agent.events import Emit
from analyzer_agent.toolbox.answer_check import Outcome

__all__ = ["Blind", "Description", "DescriptionLine", "Frames", "Mode", "QuestionContext", "Summarizer", "describe"]


class Mode(Protocol):
    """A way of answering a question."""

    def answer(self, context: QuestionContext, emit: Emit) -> Outcome:
        """Answer a question; `emit` receives the events.

        Raises:
            AgentError: the model or an analyzer cannot be used.
            Cancelled: `context.cancel` was set.
        """
