"""Ask questions about videos: an LLM manages the analyzers, answers cite timestamped notes."""

from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import AgentError, Cancelled, ToolRefusal
from analyzer_agent.records import Answer, Citation, Note, Observation
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    from analyzer_agent.session import Session

__all__ = ["AgentError", "Answer", "Cancelled", "Citation", "Note", "Observation", "Session", "TimeRange", "ToolRefusal"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `Session` when it is first asked for: it brings langgraph with it."""
    if name == "Session":
        from analyzer_agent.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
