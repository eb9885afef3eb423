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
        unavailable_reason: why the analyzer cannot run here, so that only imported notes are read;
            None if it can.
    """

    spec: Spec
    engine: Engine | None = None
    pinned: bool = False
    others: tuple[Engine, ...] = ()
    unavailable_reason: str | None = None

    def serving(self, options: Mapping[str, Any]) -> "Tool":
        """Return the tool with the best engine that supports these options.

        Raises:
            ToolRefusal: no engine does; the message gives the reason of each.
        """
        if self.engine is None:
            return self
        reasons = []
        for engine in (self.engine, *self.others):
            reason = engine.unsupported_reason(self.spec.complete(options))
            if not reason:
                return replace(self, engine=engine)
            reasons.append(f"{engine.name} {reason}")
        raise ToolRefusal("; ".join(reasons))


@dataclass(frozen=True)
class SessionVideo:
    """A video of a session.

    Attributes:
        name: the unique name that models use, safe for a prompt.
        video: the video.
        scope: the part that may be analyzed.
        imported: the analyzers with imported notes on it.
        unavailable_reason: why the file cannot be analyzed (it is missing), None if it can.
        title: the file's own name, for people; "" if it equals `name`.
    """

    name: str
    video: Video
    scope: TimeRange
    imported: frozenset[str] = frozenset()
    unavailable_reason: str | None = None
    title: str = ""


def missing_input(spec: Spec, session_video: SessionVideo) -> str | None:
    """Return why a video has no input for an analyzer (`a.mp4 has no sound`); None if it has."""
    if spec.name in session_video.imported:
        return None
    if session_video.unavailable_reason:
        return session_video.unavailable_reason
    have = {
        "picture": session_video.video.picture,
        "audio": session_video.video.audio_tracks,
        "subtitles": session_video.video.subtitle_tracks,
        "": True,
    }
    noun = {"picture": "picture", "audio": "sound", "subtitles": "subtitles"}.get(spec.needs, "")
    return None if have[spec.needs] else f"{session_video.name} has no {noun}"
