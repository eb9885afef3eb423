"""The set-up lines in docs/mcp.md: valid JSON and TOML, and commands that start the server with a folder."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra 'mcp'")

from analyzer_agent.cli import main
from places import ROOT

PAGE = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
COMMAND = "/home/me/analyzer-agent/.venv/bin/analyzer-agent"
ADDRESS = "http://127.0.0.1:8766/mcp"


def blocks(kind: str) -> list[str]:
    return [text for named, text in re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.M | re.S) if named == kind]


def servers() -> Iterator[dict[str, Any]]:
    """Yield the settings of the server in each file: what clients name the outer object is theirs."""
    for block in blocks("json"):
        ((outer, found),) = json.loads(block).items()
        assert outer in ("mcpServers", "servers")
        yield from found.values()
    for block in blocks("toml"):
        yield from tomllib.loads(block)["mcp_servers"].values()


def lines() -> list[list[str]]:
    """Return the commands that set a client up, as words."""
    return [shlex.split(line) for block in blocks("") for line in block.splitlines() if " mcp add " in line]


def starts(command: str, arguments: list[str], folder: Path) -> None:
    """Assert that the server takes these arguments."""
    assert command == COMMAND and arguments[0] == "mcp"
    context = main.make_context("analyzer-agent", [arguments[0]], resilient_parsing=True)
    chosen = main.get_command(context, arguments[0])
    assert chosen is not None
    given = [str(folder) if word == "/home/me/videos" else word for word in arguments[1:]]
    assert chosen.make_context("mcp", given, parent=context).params["paths"] == (str(folder),)


def test_settings_files_start_the_server_or_name_its_address(tmp_path: Path) -> None:
    found = list(servers())
    assert len(found) == 4
    for one in found:
        if "url" in one:
            assert one["url"] == ADDRESS and one["headers"]["Authorization"].startswith("Bearer ")
        else:
            starts(one["command"], one["args"], tmp_path)


def test_command_lines_start_the_server_or_name_its_address(tmp_path: Path) -> None:
    assert [words[0] for words in lines()] == ["claude", "codex", "gemini"] * 2
    for words in lines():
        if COMMAND in words:
            starts(COMMAND, words[words.index(COMMAND) + 1 :], tmp_path)
        else:
            assert ADDRESS in words
