"""The pages for people, and the files that they consist of."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from analyzer_agent.page import live_text, static_file
from analyzer_agent.service import NotFound
from analyzer_agent.web.access import POLICY

_KINDS = {"js": "text/javascript", "css": "text/css"}


async def home(_request: Request) -> HTMLResponse:
    """Show the videos, the conversations and the search."""
    return HTMLResponse(live_text("home", POLICY))


async def watch(_request: Request) -> HTMLResponse:
    """Show videos with what was found in them, and take questions."""
    return HTMLResponse(live_text("watch", POLICY))


async def static(request: Request) -> Response:
    """Send a module or a style sheet."""
    name = request.path_params["name"]
    kind, text = _KINDS.get(name.rpartition(".")[2]), static_file(name)
    if kind is None or text is None:
        raise NotFound(f"There is no file {name!r}.")
    return Response(text, media_type=kind, headers={"Cache-Control": "private, no-cache"})


ROUTES = [Route("/", home), Route("/watch", watch), Route("/static/{name}", static)]
