"""Baselines: answer in one model call from a description, from frames, or from the question alone.

Each question is independent: the model is not shown earlier ones.
"""

from collections.abc import Callable, Generator
from typing import Protocol

from analyzer_agent.evals.modes.description import Description, DescriptionLine, describe
from analyzer_agent.evals.modes.frames import Frames
from analyzer_agent.evals.modes.single_call import Blind, QuestionContext
from analyzer_agent.evals.modes.summarizer import Summarizer
from analyzer_agent.events import Event
from analyzer_agent.toolbox.answer_check import Outcome
from analyzer_agent.toolbox.scheduler import run_in_thread

__all__ = ["Blind", "Description", "DescriptionLine", "Frames", "Mode", "QuestionContext", "Summarizer", "answer", "describe"]


class Mode(Protocol):
    """A way of answering a question."""

    def answer(self, context: QuestionContext, write: Callable[[Event], None]) -> Outcome:
        """Answer a question; `write` receives the events.

        Raises:
            AgentError: the model or an analyzer cannot be used.
            Cancelled: `context.cancel` was set.
        """


def answer(mode: Mode, context: QuestionContext) -> Generator[Event, None, Outcome]:
    """Answer a question in a separate thread; yield its events and return the outcome.

    Raises whatever `Mode.answer` raises.
    """
    return run_in_thread(lambda write: mode.answer(context, write), context.cancel)
