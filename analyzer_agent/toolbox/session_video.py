"""What the tools work with: analyzers that are ready to be bound, and the videos of a session.

Knows nothing of calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.protocols import Engine, Spec, Video
from analyzer_agent.timeline import TimeRange


@dataclass(frozen=True)
class Tool:
    """An analyzer that is ready to be bound: its spec and the engine chosen for it; `others` step in where that one cannot serve.

    `unable` says why it cannot run here; then it only tells what was brought in from elsewhere.
    """

    spec: Spec
    engine: Engine | None = None
    pinned: bool = False
    others: tuple[Engine, ...] = ()
    unavailable_reason: str = ""

    def serving(self, options: Mapping[str, Any]) -> "Tool":
        """Return the tool with its best engine for these options.

        Raises:
            ToolRefusal: there is none; says why of each.
        """
        if self.engine is None:
            return self
        why = {}
        for engine in (self.engine, *self.others):
            why[engine.name] = engine.unsupported_reason(self.spec.complete(options))
            if not why[engine.name]:
                return replace(self, engine=engine)
        raise ToolRefusal("; ".join(f"{name} {reason}" for name, reason in why.items()))


@dataclass(frozen=True)
class SessionVideo:
    """A video as the tools see it: its name in this session and the part that may be looked at.

    `name` is made safe for a prompt, `title` is the file's own name, for people; "" where they are the same.
    `imported` names the analyzers whose notes were brought in from elsewhere, `absent` says that the file is not here, "" where it is.
    """

    name: str
    video: Video
    scope: TimeRange
    imported: frozenset[str] = frozenset()
    unavailable_reason: str = ""
    title: str = ""


def missing_input(spec: Spec, session_video: SessionVideo) -> str:
    """Return why an analyzer has nothing to look at in a video, or nothing: a clause such as `a.mp4 has no sound`."""
    if spec.name in session_video.imported:
        return ""
    if session_video.unavailable_reason:
        return session_video.unavailable_reason
    have = {
        "picture": session_video.video.picture,
        "audio": session_video.video.audio_tracks,
        "subtitles": session_video.video.subtitle_tracks,
        "": True,
    }
    noun = {"picture": "picture", "audio": "sound", "subtitles": "subtitles"}.get(spec.needs, "")
    return "" if have[spec.needs] else f"{session_video.name} has no {noun}"
