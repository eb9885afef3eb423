"""What happens while a question is answered. The library yields these, an interface draws them.

Knows nothing of how they are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from analyzer_agent.records import JSON, Answer, ToolResult
from analyzer_agent.timeline import TimeRange


class _Happened:
    """What all events have: `str()` is one line for people, `repr()` is short."""

    __slots__ = ()

    def __str__(self) -> str:
        from analyzer_agent.wording import event_line

        return event_line(self)  # type: ignore[arg-type]  # each subclass is one of `Event`

    def __repr__(self) -> str:
        text = str(self)
        return f"<{type(self).__name__} {text if len(text) <= 120 else text[:119] + '…'}>"


@dataclass(frozen=True, slots=True, repr=False)
class Thinking(_Happened):
    """The model is asked for its next step (counted from 1)."""

    step: int
    limit: int


@dataclass(frozen=True, slots=True, repr=False)
class TextDelta(_Happened):
    """A piece of the model's text, as it streams."""

    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Verifying(_Happened):
    """The model is asked, apart, whether the cited notes suffice for the answer."""


@dataclass(frozen=True, slots=True, repr=False)
class SentBack(_Happened):
    """An answer was not accepted, and the model is told why: what may have streamed of it (`draft`) does not hold."""

    draft: str
    why: str


@dataclass(frozen=True, slots=True, repr=False)
class ToolStarted(_Happened):
    """A tool call begins. `reused_ms` is covered already, `new_ms` has to be analyzed."""

    call_id: str
    tool: str
    args: Mapping[str, JSON] = field(default_factory=dict)
    ranges: Sequence[TimeRange] = ()
    engine: str = ""
    reused_ms: int = 0
    new_ms: int = 0
    estimate_ms: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Progress(_Happened):
    """A grain was finished: `done_ms` of `total_ms` new media time."""

    call_id: str
    tool: str
    span: TimeRange
    done_ms: int
    total_ms: int
    found: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Waiting(_Happened):
    """Another process is analyzing `span`; its result will be used."""

    call_id: str
    tool: str
    span: TimeRange


@dataclass(frozen=True, slots=True, repr=False)
class ToolFinished(_Happened):
    """A tool call ended."""

    result: ToolResult


@dataclass(frozen=True, slots=True, repr=False)
class Warned(_Happened):
    """Something the user should know that does not stop the question.

    `refused_call` is the id of the call whose refusal it reports, if that is what it reports.
    """

    text: str
    refused_call: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Answered(_Happened):
    """The question is answered."""

    answer: Answer


Event: TypeAlias = Thinking | TextDelta | Verifying | SentBack | ToolStarted | Progress | Waiting | ToolFinished | Warned | Answered
