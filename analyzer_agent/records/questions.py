"""A question with the facts about it, for a manager that reads records instead of prose."""

from dataclasses import dataclass
from typing import Any

from analyzer_agent.records.answers import Answer, ToolResult
from analyzer_agent.records.notes import ShownNote
from analyzer_agent.timeline import TimeRange

FEW_VIDEOS = 8
"""Up to so many videos a manager is told each by name; more are a library, which has tools of its own."""


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """A video of the session.

    Attributes:
        id: the id by which notes refer to it.
        name: the name by which calls refer to it.
        scope: the part that may be analyzed.
        covered_by: the tools that have covered the whole scope, so that calling them costs nothing.
        without_input: the offered tools for which it has no input.
    """

    id: str
    name: str
    scope: TimeRange
    covered_by: frozenset[str] = frozenset()
    without_input: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question with the facts that the messages tell a language model.

    Attributes:
        question: the question.
        options: the options of a multiple-choice question, in the order of their letters.
        videos: the videos of the session.
        tools: the analyzers' tools of the session.
        results: the results of the calls so far, in order.
        described: the notes given with the question, in modes without calls; else None.
    """

    question: str
    options: tuple[str, ...] = ()
    videos: tuple[VideoRecord, ...] = ()
    tools: tuple[str, ...] = ()
    results: tuple[ToolResult, ...] = ()
    described: tuple[ShownNote, ...] | None = None


@dataclass(frozen=True, slots=True)
class EachAnswer:
    """The answer to a question that was put to one of many videos by itself.

    Attributes:
        video: the name of its file.
        id: its id.
        answer: the answer; None if there is none.
        why: why there is none; "" if there is one.
    """

    video: str
    id: str
    answer: Answer | None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `ask --each --json` prints for a video."""
        told = {"answer": self.answer.to_dict()} if self.answer else {"error": self.why}
        return {"video": self.video, **told}
