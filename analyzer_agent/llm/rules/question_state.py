"""The state of a question, from its record: question, videos, results and shown notes.

`manager` decides what to do next.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from analyzer_agent.llm.rules.time_expressions import TimeSelector, parse_time_expression
from analyzer_agent.questions import option_letter
from analyzer_agent.records import ABSENCE, QuestionRecord, ShownNote, ToolResult, VideoRecord
from analyzer_agent.timeline import TimeRange

Call = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class QuestionState:
    """The question and everything that has happened since. Notes carry the name of their video.

    Attributes:
        question: the question without its time expression.
        part: the part of a video that it names, None for the whole.
        options: the options by letter.
        videos: the videos by name.
        results: the results of the calls so far.
        described: the notes in front of the question, in modes that give all notes at once.
        tools: the tools that can be called now; on the last step only `finish`.
        offered: all tools of the session.
    """

    question: str
    part: TimeSelector | None
    options: Mapping[str, str]
    videos: Mapping[str, VideoRecord]
    results: tuple[ToolResult, ...]
    described: tuple[ShownNote, ...]
    tools: frozenset[str]
    offered: frozenset[str]

    @classmethod
    def of(cls, record: QuestionRecord, tools: frozenset[str]) -> "QuestionState":
        """Return the state of a question, with the tools that can be called now."""
        question, part = parse_time_expression(record.question)
        names = {video.id: video.name for video in record.videos}
        return cls(
            question=question,
            part=part,
            options={option_letter(n): " ".join(text.split()) for n, text in enumerate(record.options)},
            videos={video.name: video for video in record.videos},
            results=tuple(replace(result, shown=_named(result.shown, names)) for result in record.results),
            described=_named(record.described or (), names),
            tools=tools,
            offered=tools | frozenset(record.tools),
        )

    @cached_property
    def notes(self) -> tuple[ShownNote, ...]:
        """The notes shown so far, each once, as shown last."""
        shown = [*self.described, *(note for result in self.results for note in result.shown)]
        return tuple({note.id: note for note in shown}.values())

    @property
    def cut(self) -> bool:
        """Whether a result was truncated."""
        return any(result.found > sum(note.times for note in result.shown) for result in self.results)

    @cached_property
    def _made(self) -> frozenset[str]:
        return frozenset(_key((result.tool, result.args)) for result in self.results)

    def is_made(self, call: Call) -> bool:
        """Return whether a call was made for this question."""
        return _key(call) in self._made

    def done(self, tool: str, video: str) -> bool:
        """Return whether a tool has covered all of a video: its calls cost nothing."""
        return tool in self.videos[video].covered_by

    def useless(self, tool: str, video: str) -> bool:
        """Return whether a video has no input for a tool.

        With one video this is always False: tools without any input are not offered.
        """
        return len(self.videos) > 1 and not self.done(tool, video) and tool in self.videos[video].without_input

    def inside(self, video: str) -> TimeRange | None:
        """Return the part of a video that the question is about, None if outside the scope."""
        scope = self.videos[video].scope
        return self.part(scope) if self.part else scope

    def holds(self, note: ShownNote) -> bool:
        """Return whether a note overlaps the part that the question is about."""
        part = self.inside(note.video)
        return self.part is None or (part is not None and note.span.overlaps(part))


def _key(call: Call) -> str:
    return json.dumps(call, sort_keys=True)


def _named(notes: Sequence[ShownNote], names: Mapping[str, str]) -> tuple[ShownNote, ...]:
    return tuple(replace(note, video=names[note.video]) for note in notes if note.video in names and note.kind != ABSENCE)
