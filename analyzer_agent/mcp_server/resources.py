"""Resources: the notes on a video, a frame of it, its report, the skill, and the timeline as an MCP App."""

from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from mcp.server.apps import APP_MIME_TYPE
from mcp.types import BlobResourceContents, ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from analyzer_agent.errors import AgentError
from analyzer_agent.mcp_server.tool_list import TIMELINE_APP
from analyzer_agent.page import PageVideo, app_text, build_document, page_text
from analyzer_agent.sanitize import encodable_json
from analyzer_agent.timeline import InvalidTime, parse
from analyzer_agent.web.opened import OpenedVideos

PAGE = 100
"""Videos to a page of the list."""
TEMPLATES = [
    ResourceTemplate(
        uri_template="notes:///{video}", name="notes", description="all stored notes on a video, with times", mime_type="application/json"
    ),
    ResourceTemplate(
        uri_template="frame:///{video}{?at}",
        name="frame",
        description="the frame shown at a time (`at`: seconds, or a clock such as 1:04.2)",
        mime_type="image/jpeg",
    ),
    ResourceTemplate(
        uri_template="report:///{video}",
        name="report",
        description="a page for people: timeline, notes, what was never looked at, questions and answers",
        mime_type="text/html",
    ),
]
_UI: dict[str, Any] = {"ui": {"prefersBorder": False}}
"""How clients show the app; it needs no address, so its policy names none."""


class Resources:
    """Lists and reads resources of the videos in the named folders."""

    def __init__(self, opened: OpenedVideos, skill: str) -> None:
        self._opened, self._library, self._skill = opened, opened.library, skill

    def listed(self, start: int) -> tuple[list[Resource], int | None]:
        """Return the resources of a page of videos from `start` on, and where the next page starts."""
        names = self._library.names()
        found = [] if start else [_resource("skill:///SKILL.md", "SKILL.md", "when to use which tool", "text/markdown"), _APP]
        for name in names[start : start + PAGE]:
            where = quote(name, safe="")
            found.append(_resource(f"notes:///{where}", f"notes on {name}", "all stored notes, with times", "application/json"))
            found.append(_resource(f"report:///{where}", f"report on {name}", "a page for people", "text/html"))
        return found, start + PAGE if start + PAGE < len(names) else None

    def read(self, uri: str) -> ReadResourceResult:
        """Read a resource.

        Raises:
            AgentError: there is none at this address.
        """
        parts = urlsplit(uri)
        name = unquote(parts.path.removeprefix("/"))
        match parts.scheme:
            case "skill" if name == "SKILL.md":
                return _text(uri, "text/markdown", self._skill)
            case "notes":
                return _text(uri, "application/json", encodable_json({"video": name, "notes": self._library.notes(name)}))
            case "frame":
                return self._frame(uri, name, parse_qs(parts.query).get("at", ["0"])[0])
            case "report":
                return _text(uri, "text/html", "".join(page_text(self._document(name), name)))
            case "timeline":
                return _text(uri, "application/json", encodable_json(self._document(name)))
            case "ui" if uri == TIMELINE_APP:
                return _text(uri, APP_MIME_TYPE, app_text("Timeline"), _UI)
        raise AgentError(f"There is no resource {uri!r}.", hint="List the resources and their templates.")

    def _frame(self, uri: str, name: str, at: str) -> ReadResourceResult:
        try:
            instant = parse(at)
        except InvalidTime as error:
            raise AgentError(f"'at': {error}.", hint="Give seconds (64.2) or a clock (1:04.2).") from error
        found = self._opened.frame(name, instant)
        if found is None:
            raise AgentError(f"There is no picture at {at}.")
        kind = found.removeprefix("data:").partition(";")[0]
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=kind, blob=found.partition(",")[2])])

    def _document(self, name: str) -> dict[str, Any]:
        """Return what a page shows of a video: see `build_document`."""
        library, thumbnails = self._library, self._opened.thumbnails(name)
        with self._opened.opened(name) as file:
            video = PageVideo(file, name, file.path.as_uri(), thumbnails)
            about = [one for one in library.sessions() if name in one["videos"]]
            talks = [{"name": one["session"], "begun": one["begun"], "turns": library.store.history.turns(one["session"])} for one in about]
            return build_document(library.reader([file]), library.specs, [video], talks)


def _resource(uri: str, name: str, about: str, kind: str) -> Resource:
    return Resource(uri=uri, name=name, description=about, mime_type=kind)


def _text(uri: str, kind: str, text: str, meta: dict[str, Any] | None = None) -> ReadResourceResult:
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=kind, text=text, _meta=meta)])


_APP = Resource(
    uri=TIMELINE_APP, name="timeline", description="the timeline of a video, shown by clients", mime_type=APP_MIME_TYPE, _meta=_UI
)
