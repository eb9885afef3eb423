"""What the tests of the server share: a real one on loopback, with a scripted model."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from analyzer_agent.config import Settings
from analyzer_agent.service import FolderLibrary, Jobs, NamedFolders
from analyzer_agent.testing import ScriptedModel
from patience import PATIENCE_S, wait_for
from session_kit import Held

TOKEN = "a-token-that-nobody-guesses"


@dataclass
class Served:
    """A running server."""

    base: str
    jobs: Jobs

    def client(self, token: str = TOKEN, **more: Any) -> httpx.Client:
        """Return a client, by default one with the token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.base, headers=headers | more.pop("headers", {}), timeout=PATIENCE_S, **more)


@contextmanager
def served(folder: Path, *replies: Any, store: Path | None = None, **more: Any) -> Iterator[Served]:
    """Serve a folder until the block ends."""
    pytest.importorskip("uvicorn", reason="needs the extra page")
    from analyzer_agent.web import create_app
    from analyzer_agent.web.server import WebServer

    settings = Settings(store=store or folder / "s.db", tools=("subtitles",), verify="never")
    folders = NamedFolders([folder])
    with Jobs(settings, folders, model=ScriptedModel(*replies), **more) as jobs:
        library = FolderLibrary(folders, settings)
        server = WebServer(create_app(jobs, library, TOKEN), jobs)
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_for(lambda: server.started)
        port = listener.getsockname()[1]
        try:
            yield Served(f"http://127.0.0.1:{port}", jobs)
        finally:
            for reply in replies:
                if isinstance(reply, Held):  # else a test that has failed waits for it
                    reply.go.set()
            server.should_exit = True
            thread.join(PATIENCE_S)
            library.close()
            assert not thread.is_alive()
