"""What the routes share: jobs, library, opened videos, and the conversations that chat programs go on with."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from analyzer_agent.service import FolderLibrary, Job, Jobs, NotFound
from analyzer_agent.web.opened import OpenedVideos

_REMEMBERED = 1000


class AsciiResponse(JSONResponse):
    """JSON in ASCII: names of files may hold what UTF-8 cannot encode."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class SeenConversations:
    """Finds the session of a chat, which a program sends as all its messages each time. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def session_of(self, messages: Sequence[Mapping[str, Any]], videos: Sequence[str]) -> str | None:
        """Return the session in which exactly these messages were said about these videos, if there is one."""
        with self._lock:
            return self._sessions.get(_key(messages, videos))

    def remember(self, messages: Sequence[Mapping[str, Any]], videos: Sequence[str], session: str) -> None:
        """Remember a session by its messages, the last answer included."""
        with self._lock:
            self._sessions[_key(messages, videos)] = session
            while len(self._sessions) > _REMEMBERED:
                self._sessions.popitem(last=False)


def _key(messages: Sequence[Mapping[str, Any]], videos: Sequence[str]) -> str:
    said = [[one["role"], " ".join(one["content"].split())] for one in messages if one["role"] in ("user", "assistant")]
    return hashlib.sha256(json.dumps([said, list(videos)]).encode()).hexdigest()


@dataclass(frozen=True)
class WebContext:
    """What the routes work with."""

    jobs: Jobs
    library: FolderLibrary
    opened: OpenedVideos
    seen: SeenConversations = field(default_factory=SeenConversations)

    def start(
        self, question: str, videos: Sequence[str], session: str | None = None, options: Sequence[str] = (), effort: str | None = None
    ) -> Job:
        """Start a question as a job.

        Args:
            question: the question.
            videos: names of videos.
            session: a conversation about videos of the named folders.
            options: the options of a multiple-choice question.
            effort: another effort than that of the server.

        Raises:
            AgentError: see `Jobs.start`; the effort is unknown.
            NotFound: there is no such session or video.
        """
        if session:
            about = self.library.videos_of(session)
            if not about:
                raise NotFound(f"There is no session {session!r}.", hint="List the sessions, or leave it out to start one.")
            videos = videos or about
        settings = self.jobs.settings
        if effort is not None:
            settings = settings.changed(**{"effort": effort})  # type: ignore[arg-type]  # which checks it
        return self.jobs.start(question, videos, settings, session=session or None, options=options)


def context_of(request: Request) -> WebContext:
    """Return what the routes of a request's application share."""
    context: WebContext = request.app.state.context
    return context
