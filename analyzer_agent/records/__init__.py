"""The data passed between layers: observations, notes, tool results, answers."""

from analyzer_agent.records.answers import (
    Answer,
    Citation,
    Confidence,
    Finished,
    Reason,
    TokenUsage,
    ToolCall,
    ToolResult,
    Unexamined,
)
from analyzer_agent.records.notes import (
    GAP,
    JSON,
    KINDS,
    UNHEARD,
    JoinedNote,
    Note,
    Observation,
    Provenance,
    Sample,
    ShownNote,
    Unread,
    Word,
    gap,
)
from analyzer_agent.records.questions import QuestionRecord, VideoRecord
from analyzer_agent.records.usage import Usage

__all__ = [
    "GAP",
    "JSON",
    "KINDS",
    "UNHEARD",
    "Answer",
    "Citation",
    "Confidence",
    "Finished",
    "JoinedNote",
    "Note",
    "Observation",
    "Provenance",
    "QuestionRecord",
    "Reason",
    "Sample",
    "ShownNote",
    "TokenUsage",
    "ToolCall",
    "ToolResult",
    "Unexamined",
    "Unread",
    "Usage",
    "VideoRecord",
    "Word",
    "gap",
]
