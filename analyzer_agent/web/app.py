"""The application: its routes, and how errors are told."""

from collections.abc import Collection
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_agent.errors import AgentError
from analyzer_agent.service import Busy, FolderLibrary, Jobs, NotFound
from analyzer_agent.web import api, completions, pages
from analyzer_agent.web.access import Access
from analyzer_agent.web.context import AsciiResponse, WebContext
from analyzer_agent.web.openapi import openapi_document
from analyzer_agent.web.opened import OpenedVideos


def create_app(jobs: Jobs, library: FolderLibrary, token: str, hosts: Collection[str] = ()) -> Starlette:
    """Return the application.

    Args:
        jobs: answers questions; whoever made it closes it.
        library: reads the store; likewise.
        token: the secret that every request must have.
        hosts: names of this server besides those of loopback.
    """
    app = Starlette(
        routes=[*pages.ROUTES, *api.ROUTES, *completions.ROUTES, Route("/api/openapi.json", _openapi)],
        middleware=[Middleware(Access, token=token, hosts=hosts)],
        exception_handlers={AgentError: _told, HTTPException: _http_error},
    )
    app.state.context = WebContext(jobs, library, OpenedVideos(library))
    return app


async def _openapi(_request: Request) -> AsciiResponse:
    return AsciiResponse(openapi_document())


async def _told(request: Request, error: Exception) -> Response:
    """Tell an error that a person can fix."""
    assert isinstance(error, AgentError)
    status = 404 if isinstance(error, NotFound) else 429 if isinstance(error, Busy) else 400
    return _error(request, status, str(error), error.hint)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, str(error.detail), "")


def _error(request: Request, status: int, error: str, hint: str) -> AsciiResponse:
    body: dict[str, Any] = {"error": error, "hint": hint}
    if request.url.path.startswith("/v1/"):  # as OpenAI's clients expect it
        body = {"error": {"message": " ".join(filter(None, (error, hint))), "type": "invalid_request_error", "param": None, "code": None}}
    return AsciiResponse(body, status, {"Retry-After": "5"} if status == 429 else None)
