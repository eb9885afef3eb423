"""The path of one call, from the model's tool call to stored notes: short, and read from top to bottom."""

import ast
import re
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from analyzer_agent import Session
from analyzer_agent.protocols import Reply
from analyzer_agent.sample import sample_path
from analyzer_agent.testing import ScriptedModel, call
from places import PACKAGE

MAX_FILES, MAX_CALLS = 10, 20

SINK_LAYERS = ("evidence", "toolbox", "graph", "evals", "importing")
"""Packages whose functions return their results and give events to a callback."""


def frames_of_the_package(frame: FrameType | None) -> list[tuple[str, str]]:
    """Return (file, function) of the package's own frames, outermost first."""
    found = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            found.append((path.relative_to(PACKAGE).as_posix(), frame.f_code.co_name))
        frame = frame.f_back
    return found[::-1]


def traced(folder: Path, analyzer: str, tool: str) -> list[tuple[str, str]]:
    """Answer a question with one call, and return the frames from the graph's `act` to the first `Ledger.commit`."""
    paths: list[list[tuple[str, str]]] = []
    begun: list[list[tuple[str, str]]] = []

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return
        name = Path(frame.f_code.co_filename).name, frame.f_code.co_name
        if name == ("scheduler.py", "run"):
            begun.append(frames_of_the_package(frame))
        if name == ("ledger.py", "commit"):
            paths.append(frames_of_the_package(frame))

    finish = call("finish", answer="Nothing.", notes=[], confidence="low", found=False)
    model = ScriptedModel(Reply(calls=(call(tool, ranges=[["0:00", "0:10"]]),)), Reply(calls=(finish,)))
    threading.setprofile(watch)
    try:
        with Session(sample_path(), store=folder / "s.db", model=model, tools=(analyzer,), verify="never") as session:
            session.ask("What is said?")
    finally:
        threading.setprofile(None)
        sys.setprofile(None)
    functions = [function for _, function in begun[0]]
    return begun[0][functions.index("act") :] + paths[0]


@pytest.mark.parametrize(("analyzer", "tool"), [("subtitles", "read_subtitles"), ("voice", "find_voice")])
def test_a_call_passes_few_files_and_functions(tmp_path: Path, analyzer: str, tool: str) -> None:
    path = traced(tmp_path, analyzer, tool)
    told = "\n".join(f"{file} {function}" for file, function in path)
    assert path[0][1] == "act" and path[-1][1] == "commit", told
    assert len({file for file, _ in path}) <= MAX_FILES and len(path) <= MAX_CALLS, told


def test_no_event_climbs_through_a_generator() -> None:
    wrong = []
    for layer in SINK_LAYERS:
        for path in sorted((PACKAGE / layer).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                written = ast.unparse(node) if isinstance(node, ast.Subscript) else ""
                if re.match(r"(Generator|Iterator|Iterable)\[(Event|Progress|Waiting|Warned|Tool(Started|Finished))\b", written):
                    wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {written}")  # type: ignore[attr-defined]
                if isinstance(node, ast.Name) and node.id in ("StopIteration", "get_stream_writer"):
                    wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.id}")
    assert wrong == []


def test_an_event_passes_one_queue() -> None:
    sources = [path for layer in (*SINK_LAYERS, "session") for path in sorted((PACKAGE / layer).rglob("*.py"))]
    queues = [
        path.relative_to(PACKAGE).as_posix() for path in sources if re.search(r"\b(Simple)?Queue\(", path.read_text(encoding="utf-8"))
    ]
    assert queues == ["session/turn_queue.py"]


def test_sharing_a_decoding_pass_is_nothing_that_a_caller_knows() -> None:
    words = re.compile(r"\b(seats?|shared_pass|divided|decode_view|shared_views)\b")
    sources = [path for path in sorted(PACKAGE.rglob("*.py")) if "media" not in path.relative_to(PACKAGE).parts]
    assert [path.relative_to(PACKAGE).as_posix() for path in sources if words.search(path.read_text(encoding="utf-8"))] == []
