"""The server process: it ends when it is told to, also while clients wait for events."""

import logging
import socket
from typing import TYPE_CHECKING

import uvicorn

from analyzer_agent.service import Jobs

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_END_S = 2
"""Seconds that open connections have at the end."""


class WebServer(uvicorn.Server):
    """Serves an application; at its end it stops the jobs, so that the streams of their events end, too."""

    def __init__(self, app: "ASGIApp", jobs: Jobs) -> None:
        super().__init__(
            uvicorn.Config(app, log_level=logging.WARNING, access_log=False, server_header=False, timeout_graceful_shutdown=_END_S)
        )
        self._jobs = jobs

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the jobs, and then the connections."""
        self._jobs.stop()
        await super().shutdown(sockets)
