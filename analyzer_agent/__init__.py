"""Ask questions about videos: an LLM manages the analyzers, answers cite timestamped notes."""

from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import AgentError, Cancelled, ToolRefusal
from analyzer_agent.records import Answer, Citation, JoinedNote, Note, Observation, ToolResult, Word
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    from analyzer_agent.config import Settings
    from analyzer_agent.session import EnginePool, Library, Session

__all__ = [
    "AgentError",
    "Answer",
    "Cancelled",
    "Citation",
    "EnginePool",
    "JoinedNote",
    "Library",
    "Note",
    "Observation",
    "Session",
    "Settings",
    "TimeRange",
    "ToolRefusal",
    "ToolResult",
    "Word",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import names that load other libraries on first access."""
    if name in ("EnginePool", "Library", "Session"):
        from analyzer_agent import session

        return getattr(session, name)
    if name == "Settings":
        from analyzer_agent.config import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
