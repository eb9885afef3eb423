"""The MCP server over stdio, as a real process, and over HTTP on loopback."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcp_kit import TOKEN, harbour, http_client, over_http, server_on, text_of
from patience import PATIENCE_S
from session_kit import SUBTITLES, Held, says


def test_a_client_starts_the_command_and_asks_over_stdio(tmp_path: Path) -> None:
    command = ["-m", "analyzer_agent", "mcp", str(harbour(tmp_path) / "videos"), "--store", str(tmp_path / "s.db"), "--manager", "rules"]
    server = StdioServerParameters(command=sys.executable, args=[*command, "--tools", "subtitles"], env=dict(os.environ))

    async def main() -> None:
        seen: list[str | None] = []

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            seen.append(message)

        async with Client(stdio_client(server)) as client:
            assert client.server_info is not None and client.server_info.name == "analyzer-agent"
            assert '"pier.mp4"' in text_of(await client.call_tool("list_videos"))
            asked = {"question": "What does a crate cost?", "videos": ["pier.mp4"]}
            answer = await client.call_tool("ask", asked, progress_callback=progress)
            assert "forty pounds" in text_of(answer) and any("read_subtitles" in (message or "") for message in seen)
            outside = await client.call_tool("ask", {"question": "What?", "videos": [str(tmp_path / "secret.mp4")]})
            assert outside.is_error and "There is no file" in text_of(outside)

    asyncio.run(main())


def test_a_job_outlives_its_client_over_http(tmp_path: Path) -> None:
    held = Held(says("Forty [#2].", 2))

    async def first(address: str) -> str:
        async with http_client(address) as client:
            started = await client.call_tool("start", {"tool": "ask", "arguments": {"question": "What?", "videos": ["pier.mp4"]}})
            assert started.meta is not None
            return str(started.meta["job"])

    async def second(address: str, job: str) -> str:
        async with http_client(address) as client:
            held.go.set()
            result = await client.call_tool("result", {"job": job})
            assert result.meta is not None and result.meta["state"] == "answered"
            return text_of(result)

    with server_on(harbour(tmp_path), SUBTITLES, held) as (server, _), over_http(server) as address:
        job = asyncio.run(first(address))
        assert held.asked.wait(PATIENCE_S)
        assert "Forty [#2]." in asyncio.run(second(address, job))


def test_a_call_that_its_client_gives_up_goes_on(tmp_path: Path) -> None:
    held = Held(says("Forty [#2].", 2))

    async def give_up(address: str) -> None:
        async with http_client(address) as client:
            call = asyncio.create_task(client.call_tool("ask", {"question": "What?", "videos": ["pier.mp4"]}))
            await asyncio.to_thread(held.asked.wait, PATIENCE_S)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    async def come_back(address: str) -> str:
        async with http_client(address) as client:
            return text_of(await client.call_tool("status"))

    with server_on(harbour(tmp_path), SUBTITLES, held) as (server, jobs), over_http(server) as address:
        asyncio.run(give_up(address))
        held.go.set()
        (job,) = jobs.all()
        assert job.wait(PATIENCE_S) and job.answer is not None
        assert f"Job {job.id} (ask) answered" in asyncio.run(come_back(address))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 421),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"}, 403),
    ],
)
def test_http_needs_the_token_this_host_and_no_foreign_page(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    import httpx

    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    with server_on(harbour(tmp_path)) as (server, _), over_http(server) as address:
        answer = httpx.post(address, json=body, headers={"Accept": "application/json, text/event-stream"} | headers)
    assert answer.status_code == status
