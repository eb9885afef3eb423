"""The data that travels between layers: observations, notes, tool results, answers.

Frozen dataclasses without behaviour beyond their own invariants; knows nothing of storage, models or analyzers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from analyzer_agent.timeline import TimeRange

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

Confidence = Literal["high", "medium", "low"]
Finished = Literal["answered", "not_found", "out_of_steps", "out_of_budget"]
Reason = Literal["unseen", "failed", "unavailable", "budget"]

KINDS = ("scene", "speech", "voice", "subtitle", "text", "object", "motion", "caption", "tag", "look")
"""The kinds that built-in analyzers yield; a plug-in may bring its own."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One finding: what (`kind`, `text`) was found when (`span`).

    `score` is 0 to 1. `detail` is small JSON: boxes, words, the frame's pts, the language. `detail["continues"]` is true
    on a piece that was cut at its grain's edge and goes on from the piece before it.
    """

    span: TimeRange
    kind: str
    text: str
    score: float | None = None
    detail: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """An observation once stored; `id` is what answers cite."""

    id: int
    video: str
    analyzer: str
    key: str
    observation: Observation

    @property
    def span(self) -> TimeRange:
        return self.observation.span

    @property
    def kind(self) -> str:
        return self.observation.kind

    @property
    def text(self) -> str:
        return self.observation.text


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where a note comes from: everything that changes what an analyzer stores. `key` is its digest.

    `tier` ranks engines (0 is best). Engines compete within a `lane` (audio track 2 is another lane than track 1).
    """

    key: str
    analyzer: str
    version: str
    engine: str
    tier: int
    weights: str
    lane: str
    params: Mapping[str, JSON]
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Unexamined:
    """A range that an analyzer did not look at, and why."""

    analyzer: str
    span: TimeRange
    reason: Reason
    detail: str = ""
    video: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What one tool call gave: `text` for the model, `note_ids` it may now cite, and what it cost."""

    call_id: str
    text: str
    note_ids: tuple[int, ...] = ()
    span: TimeRange | None = None
    reused_ms: int = 0
    analyzed_ms: int = 0
    wall_ms: int = 0
    tool: str = ""
    args: Mapping[str, JSON] = field(default_factory=dict)
    not_examined: tuple[Unexamined, ...] = ()
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Citation:
    """A note that an answer rests on; `span` and `text` come from the store, never from the model."""

    note: int
    span: TimeRange
    text: str
    video: str = ""
    kind: str = ""
    analyzer: str = ""
    engine: str = ""
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one model call."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one question cost. Media time counts once per analyzer that looked at it."""

    llm_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    analyzer_ms: int = 0
    media_ms_analyzed: int = 0
    media_ms_reused: int = 0
    wall_ms: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its proof: checked citations, what was not examined, and the steps that led to it."""

    text: str
    citations: tuple[Citation, ...] = ()
    choice: str | None = None
    unsupported: tuple[str, ...] = ()
    not_examined: tuple[Unexamined, ...] = ()
    confidence: Confidence = "low"
    steps: tuple[ToolResult, ...] = ()
    usage: Usage = Usage()
    finished: Finished = "answered"
    question: str = ""
    mode: str = "manager"
    manager: str = ""
    model: str = ""
    session: str = ""
