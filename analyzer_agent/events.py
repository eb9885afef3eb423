"""The events of a question. The library emits them; the interface decides how to show them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from analyzer_agent.records import JSON, Answer, ToolResult, Usage
from analyzer_agent.sanitize import truncated
from analyzer_agent.timeline import TimeRange


class _Happened:
    """Base class of all events: `str()` is one line for people, `repr()` is short."""

    __slots__ = ()

    def __str__(self) -> str:
        from analyzer_agent.wording import event_line

        return event_line(self)  # type: ignore[arg-type]  # each subclass is one of `Event`

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {truncated(str(self), 120)}>"


@dataclass(frozen=True, slots=True, repr=False)
class Thinking(_Happened):
    """The model is queried for the next step: `step` of at most `limit`, counted from 1.

    `used` is what all models have used for the question so far.
    """

    step: int
    limit: int
    used: Usage = field(default=Usage(), compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class TextDelta(_Happened):
    """A piece of the model's text as it streams."""

    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Writing(_Happened):
    """The model is writing what is not shown, such as thoughts: `tokens` of this reply so far."""

    tokens: int


@dataclass(frozen=True, slots=True, repr=False)
class Verifying(_Happened):
    """A separate model call checks whether the cited notes support the answer."""


@dataclass(frozen=True, slots=True, repr=False)
class SentBack(_Happened):
    """An answer was sent back with a reason (`why`); its text (`draft`), if streamed, is void."""

    draft: str
    why: str


@dataclass(frozen=True, slots=True, repr=False)
class ToolStarted(_Happened):
    """A tool call begins.

    Attributes:
        ranges: the requested ranges.
        engine: the name of the engine; "" if there is none.
        reused_ms: media time that is covered already.
        new_ms: media time to analyze.
        estimate_ms: estimated run time; None if the speed has not been measured.
    """

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
    """A grain was finished: `done_ms` of `total_ms` new media time, `found` notes in it."""

    call_id: str
    tool: str
    span: TimeRange
    done_ms: int
    total_ms: int
    found: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Waiting(_Happened):
    """Another process holds the claim on `span`; its result will be used."""

    call_id: str
    tool: str
    span: TimeRange


@dataclass(frozen=True, slots=True, repr=False)
class ToolFinished(_Happened):
    """A tool call ended."""

    result: ToolResult


@dataclass(frozen=True, slots=True, repr=False)
class Warned(_Happened):
    """A warning for the user; the question continues.

    `refused_call` is the id of the call whose refusal is reported, if any.
    """

    text: str
    refused_call: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Answered(_Happened):
    """The question is answered."""

    answer: Answer


Event: TypeAlias = (
    Thinking | Writing | TextDelta | Verifying | SentBack | ToolStarted | Progress | Waiting | ToolFinished | Warned | Answered
)

Emit: TypeAlias = Callable[[Event], None]
"""The sink of a question's events. Any thread may call it."""


def discard(_event: Event) -> None:
    """Do nothing: the sink of whoever needs no events."""
