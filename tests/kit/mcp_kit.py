"""What the tests of the MCP server share: servers on a folder with a small clip, and the SDK's own client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.service import FolderLibrary, Jobs, NamedFolders
from analyzer_agent.testing import ScriptedModel
from session_kit import pier

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client
from mcp.server import Server
from mcp.types import CallToolResult

from analyzer_agent.mcp_server import create_server, http_app
from patience import PATIENCE_S, wait_for

TOKEN = "a-token-that-nobody-guesses"


@contextmanager
def server_on(folder: Path, *replies: Any, wait_s: float = 45.0, **more: Any) -> Iterator[tuple[Server[Any], Jobs]]:
    """Yield a server on a folder, with a scripted model."""
    settings = Settings(store=folder / "s.db", tools=("subtitles",), verify="never")
    folders = NamedFolders([folder / "videos"])
    with Jobs(settings, folders, model=ScriptedModel(*replies), **more) as jobs:
        library = FolderLibrary(folders, settings)
        try:
            yield create_server(jobs, library, wait_s=wait_s), jobs
        finally:
            library.close()


def harbour(folder: Path) -> Path:
    """Make a folder with the clip, and a file beside it that is not named; return the folder."""
    (folder / "videos").mkdir()
    (folder / "secret.mp4").write_bytes(pier(folder / "videos").read_bytes())
    return folder


def with_client(server: Any, use: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
    """Connect a client to a server and return what `use` returns; in the mode `legacy`, as clients before 2026-07 do."""

    async def main() -> Any:
        async with Client(server, mode=mode) as client:
            return await use(client)

    return asyncio.run(main())


def text_of(result: CallToolResult) -> str:
    """Return the texts of a result."""
    return "\n".join(part.text for part in result.content if part.type == "text")


@contextmanager
def over_http(server: Server[Any]) -> Iterator[str]:
    """Serve over HTTP on loopback, and yield the address."""
    import uvicorn

    config = uvicorn.Config(http_app(server, TOKEN), port=0, log_level="error", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: running.started)
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        running.should_exit = True
        thread.join()


@asynccontextmanager
async def http_client(address: str, token: str = TOKEN) -> AsyncIterator[Client]:
    """Yield a client that is connected over HTTP."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        yield client
