"""The data that travels between layers: observations, notes, tool results, answers.

Frozen dataclasses without behaviour beyond their own invariants; knows nothing of storage, models or analyzers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from analyzer_agent.timeline import TimeRange, seconds

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

Confidence = Literal["high", "medium", "low"]
Finished = Literal["answered", "not_found", "out_of_steps", "out_of_budget"]
Reason = Literal["unseen", "failed", "unavailable", "budget", "not_understood"]

UNHEARD = "unheard"
"""The kind that marks voice of which no words were understood. Its text is empty: no search finds it, results and answers tell of it."""

KINDS = (
    "scene",
    "speech",
    "voice",
    "subtitle",
    "text",
    "object",
    "track",
    "motion",
    "caption",
    "tag",
    "look",
    "moment",
    "chapter",
    UNHEARD,
)
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
class Sample(Observation):
    """What is kept of an instant to be searched later: no note, but a vector, which only its analyzer understands."""

    vector: bytes = b""


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
class Word:
    """A word that was heard, with its time; `probability` is the engine's own, if it gives one."""

    text: str
    span: TimeRange
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class JoinedNote:
    """One thing that the store tells: a note, or pieces that belong together, as it is shown and cited.

    It is cited as `id`; `notes` are the ids of all its pieces. `uncertain` is what a weak engine found. `words` are there for speech
    whose engine gives them.
    """

    id: int
    video: str
    kind: str
    analyzer: str
    engine: str
    span: TimeRange
    text: str
    score: float | None = None
    uncertain: bool = False
    notes: tuple[int, ...] = ()
    words: tuple[Word, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `notes --json --words` prints: times in seconds."""
        plain = {name: getattr(self, name) for name in ("id", "video", "kind", "analyzer", "engine")}
        times = {"start": seconds(self.span.start), "end": seconds(self.span.end), "text": self.text}
        more = {"score": None if self.score is None else round(self.score, 4), "uncertain": self.uncertain, "notes": list(self.notes)}
        words = [
            {"word": w.text, "start": seconds(w.span.start), "end": seconds(w.span.end), "probability": w.probability} for w in self.words
        ]
        return plain | times | more | ({"words": words} if words else {})


@dataclass(frozen=True, slots=True)
class Provenance:
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


@dataclass(frozen=True, slots=True, repr=False)
class ToolResult:
    """What one tool call gave: `text` for the model, `note_ids` it may now cite, and what it cost.

    `found` counts the notes, each joined from its pieces; `text` may tell several in one line, or not all of them.
    `refusal` is the reason why the call was not carried out, None if it was.
    """

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
    refusal: str | None = None
    found: int = 0

    def __repr__(self) -> str:
        from analyzer_agent.wording import finished

        return f"<ToolResult {finished(self, None)}>"

    @property
    def refused(self) -> bool:
        """Whether the call was not carried out."""
        return self.refusal is not None


@dataclass(frozen=True, slots=True)
class Citation:
    """A note that an answer rests on; `span` and `text` come from the store, never from the model.

    `words` are the times of the words that the answer quotes, where the note keeps them.
    """

    note: int
    span: TimeRange
    text: str
    video: str = ""
    kind: str = ""
    analyzer: str = ""
    engine: str = ""
    uncertain: bool = False
    words: tuple[TimeRange, ...] = ()
    path: str = field(default="", repr=False)
    """Where the file lies, if it is here."""

    @property
    def times(self) -> str:
        """When it is said or seen, for people: `0:59.3-1:08.2 (of 0:59.3-1:12.4)` where only a part of a note is quoted."""
        quoted = ", ".join(map(str, self.words))
        whole = not self.words or (self.words[0].start <= self.span.start and self.words[-1].end >= self.span.end)
        return str(self.span) if whole else f"{quoted} (of {self.span})"


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


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """An answer with its proof: checked citations, what was not examined, and the steps that led to it.

    `missing` says what the citations lack, where they were judged not to suffice.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    choice: str | None = None
    unsupported: tuple[str, ...] = ()
    missing: str = ""
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

    def __str__(self) -> str:
        """Return what the command line prints: the answer, its citations with times, what is not proved, what it cost."""
        from analyzer_agent.wording import answer_text

        return answer_text(self)

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else f"{self.text[:59]}…"
        cited = f"{len(self.citations)} citation{'' if len(self.citations) == 1 else 's'}"
        return f"<Answer {text!r} {self.finished}, confidence {self.confidence}, {cited}>"

    def _repr_html_(self) -> str:
        """Return the answer for a notebook, with times that open the file there."""
        from analyzer_agent.markup import answer_html

        return answer_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `ask --json` prints: times in seconds."""
        return answer_json(self)


def made_by(answer: Mapping[str, Any]) -> str:
    """Return who made an answer, from its JSON: `gpt-5.4 (manager)`, `rules`."""
    mode, manager, model = (str(answer.get(name) or "") for name in ("mode", "manager", "model"))
    if manager == "rules":
        return "rules" if mode in ("", "manager") else f"rules ({mode})"
    return f"{model or manager or 'an unknown model'} ({mode or 'manager'})"


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as the object that `ask --json` prints: times in seconds with three decimals."""
    return {
        "question": answer.question,
        "answer": answer.text,
        "choice": answer.choice,
        "finished": answer.finished,
        "confidence": answer.confidence,
        "citations": [
            {"note": c.note, "video": c.video, "kind": c.kind, "analyzer": c.analyzer, "engine": c.engine}
            | {"start": seconds(c.span.start), "end": seconds(c.span.end), "text": c.text}
            | ({"words": [{"start": seconds(w.start), "end": seconds(w.end)} for w in c.words]} if c.words else {})
            | ({"uncertain": True} if c.uncertain else {})
            for c in answer.citations
        ],
        "unsupported": list(answer.unsupported),
        **({"missing": answer.missing} if answer.missing else {}),
        "not_examined": [
            {"analyzer": u.analyzer, "start": seconds(u.span.start), "end": seconds(u.span.end), "reason": u.reason}
            | ({"detail": u.detail} if u.detail else {})
            for u in answer.not_examined
        ],
        "mode": answer.mode,
        "steps": [
            {"tool": s.tool, "args": s.args, "reused_seconds": seconds(s.reused_ms), "analyzed_seconds": seconds(s.analyzed_ms)}
            | {"wall_seconds": seconds(s.wall_ms), "notes": list(s.note_ids)}
            | ({"refused": s.text} if s.refused else {})
            for s in answer.steps
        ],
        "usage": {
            "llm_calls": answer.usage.llm_calls,
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "analyzer_seconds": seconds(answer.usage.analyzer_ms),
            "media_seconds_analyzed": seconds(answer.usage.media_ms_analyzed),
            "media_seconds_reused": seconds(answer.usage.media_ms_reused),
            "wall_seconds": seconds(answer.usage.wall_ms),
        },
        "manager": answer.manager,
        "model": answer.model,
        "session": answer.session,
    }
