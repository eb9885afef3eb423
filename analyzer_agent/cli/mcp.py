"""`mcp`: offer analyzers, look-ups and questions to other agents over the Model Context Protocol."""

import asyncio
import sys
from contextlib import closing
from typing import Any

import click

from analyzer_agent.cli.help import command
from analyzer_agent.cli.options import settings_of, shared_options
from analyzer_agent.cli.output import echo
from analyzer_agent.cli.serve import LOOPBACK, listening, named_paths, run_app, secret_of
from analyzer_agent.errors import require


@command()
@click.argument("paths", nargs=-1, metavar="[VIDEO|FOLDER]...")
@click.option("--http", is_flag=True, help="Serve several clients over HTTP, on this machine alone, instead of one over stdin and stdout.")
@click.option("--port", default=8766, type=click.IntRange(0, 65535), metavar="N", help="The port; 0 means any free one.  [default: 8766]")
@click.option("--token", envvar="ANALYZER_MCP_TOKEN", metavar="TEXT", help="The secret of all requests over HTTP.  [default: a new one]")
@click.option("--skill", is_flag=True, help="Print a skill (SKILL.md) that teaches an agent when to use what, and end.")
@shared_options("library", "manager", "analyzers", "store", without=("mode", "frames"))
def mcp(paths: tuple[str, ...], http: bool, port: int, token: str | None, skill: bool, **flags: Any) -> None:
    """Serve the videos of these folders, or of a library, to other agents over MCP: analyzers, look-ups, questions as tools.

    Clients such as Claude, Cursor and VS Code start this command themselves: name it, with the
    folders, in their settings (docs/mcp.md). Without a folder, the current one is served. Only what
    lies in the folders can be read.
    """
    require("mcp", "mcp", "mcp")
    from analyzer_agent.mcp_server import create_server, http_app, serve_stdio, skill_text
    from analyzer_agent.service import FolderLibrary, Jobs, NamedFolders

    if skill:
        click.echo(skill_text(), nl=False)
        return
    settings, secret = settings_of(flags), secret_of(token)
    folders = NamedFolders(named_paths(paths, flags["library"], settings))
    with Jobs(settings, folders) as jobs, closing(FolderLibrary(folders, settings)) as library:
        server = create_server(jobs, library)
        if not http:
            if sys.stdin.isatty():
                echo("Waiting for a client, which sends requests to stdin: this is for programs (docs/mcp.md). Ctrl-C ends it.", err=True)
            asyncio.run(serve_stdio(server))
            return
        with listening(LOOPBACK, port) as listener:
            echo(f"Serving MCP at http://{LOOPBACK}:{listener.getsockname()[1]}/mcp. Ctrl-C ends it.", err=True)
            echo("Clients send this header:", err=True)
            echo(f"Authorization: Bearer {secret}")
            run_app(http_app(server, secret), listener, jobs)
