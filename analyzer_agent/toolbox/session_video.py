"""The tools' operands: analyzers with their engines, and the videos of a session."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.protocols import Engine, Spec, Video
from analyzer_agent.timeline import TimeRange


@dataclass(frozen=True)
class Tool:
    """An analyzer with its engines.

    Attributes:
        spec: the analyzer's spec.
        engine: the chosen engine; None if the analyzer needs none.
        pinned: whether the user chose the engine: notes of other engines may then not replace its
            own.
        others: fallback engines for options that `engine` does not support.
        unavailable_reason: why the analyzer cannot run here, "" if it can; otherwise only imported
            notes are read.
    """

    spec: Spec
    engine: Engine | None = None
    pinned: bool = False
    others: tuple[Engine, ...] = ()
    unavailable_reason: str = ""

    def serving(self, options: Mapping[str, Any]) -> "Tool":
        """Return the tool with the best engine that supports these options.

        Raises:
            ToolRefusal: no engine does; the message gives the reason of each.
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
    """A video of a session.

    Attributes:
        name: the unique name that models use, safe for a prompt.
        video: the video.
        scope: the part that may be analyzed.
        imported: the analyzers with imported notes on it.
        unavailable_reason: why the file cannot be analyzed (it is missing), "" if it can.
        title: the file's own name, for people; "" if it equals `name`.
    """

    name: str
    video: Video
    scope: TimeRange
    imported: frozenset[str] = frozenset()
    unavailable_reason: str = ""
    title: str = ""


def missing_input(spec: Spec, session_video: SessionVideo) -> str:
    """Return why a video has no input for an analyzer, such as `a.mp4 has no sound`; "" if it has."""
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
