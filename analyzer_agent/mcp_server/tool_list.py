"""The tools as clients see them: those of the toolbox for one video that the call names, and those of this server."""

from collections.abc import Iterable, Mapping
from typing import Any

from mcp.types import Tool, ToolAnnotations

from analyzer_agent.protocols import Spec
from analyzer_agent.records import FEW_VIDEOS
from analyzer_agent.toolbox import tools_for_any_video
from analyzer_agent.toolbox.schemas import function_schema

LIST, SEARCH, ASK, TIMELINE = "list_videos", "search_library", "ask", "show_timeline"
START, STATUS, RESULT, CANCEL = "start", "status", "result", "cancel"
TIMELINE_APP = "ui://analyzer-agent/timeline.html"

_VIDEO = {"type": "string", "description": f"a video, by its name from {LIST}"}
_VIDEOS = {"type": "array", "items": {"type": "string"}, "description": f"videos, by their names from {LIST}"}
_JOB = {"type": "string", "description": "the id of a job"}
_TEXT = {"type": "string"}
_TOLD = {
    "range": 'a time range, such as "0:10-0:25.5"; seconds are taken as well',
    "ranges": 'the time ranges to analyze, such as "0:00-0:30, 1:00-1:10"',
}
"""What the toolbox's rules tell its own models of arguments."""


class ToolList:
    """All tools, by what they do.

    Args:
        specs: the specs of the analyzers that can run here.
        missing: why others cannot, by the names of their tools.
    """

    def __init__(self, specs: Iterable[Spec], missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        analyzers, look_ups = (list(map(_of_a_video, tools)) for tools in tools_for_any_video(specs))
        self.analyzers = {_name(tool): tool for tool in analyzers}
        self.look_ups = {_name(tool): tool for tool in look_ups}
        self.own = {_name(tool): tool for tool in _own_tools([ASK, *self.analyzers])}

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """Return the parameters of a tool of this server, None if it has none of this name."""
        return self.own[name]["function"]["parameters"] if name in self.own else None

    def names(self) -> list[str]:
        """Return the names of all tools."""
        return [*self.own, *self.look_ups, *self.analyzers]

    def as_listed(self) -> list[Tool]:
        """Return the tools in the format of the protocol."""
        changing = (ASK, START, CANCEL)
        own = [_listed(tool, reads=name not in changing) for name, tool in self.own.items()]
        return [
            *own,
            *(_listed(tool) for tool in self.look_ups.values()),
            *(_listed(tool, reads=False) for tool in self.analyzers.values()),
        ]


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool["function"]["name"])


def _of_a_video(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool of the toolbox with the video as its first argument."""
    function = tool["function"]
    given = function["parameters"]
    told = {name: {**schema, "description": _TOLD[name]} if name in _TOLD else schema for name, schema in given["properties"].items()}
    return function_schema(_name(tool), function["description"], {"video": _VIDEO, **told}, ["video", *given.get("required", [])])


def _listed(tool: Mapping[str, Any], reads: bool = True) -> Tool:
    function = tool["function"]
    # Analyzing only adds notes, and the same call again finds what is stored.
    hints = ToolAnnotations(read_only_hint=reads, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    meta = {"ui": {"resourceUri": TIMELINE_APP}} if function["name"] == TIMELINE else None
    return Tool(
        name=function["name"], description=function["description"], input_schema=function["parameters"], annotations=hints, _meta=meta
    )


def _own_tools(long: list[str]) -> list[dict[str, Any]]:
    return [
        function_schema(
            LIST,
            "List the videos, the conversations about them, and which analyzers cannot run here.",
            {},
            [],
        ),
        function_schema(
            SEARCH,
            "Find words in the notes of all videos. Analyzes nothing; tells which videos were not examined for speech.",
            {"words": {"type": "string", "description": 'words or "phrases"'}, "limit": {"type": "integer", "minimum": 1, "maximum": 100}},
            ["words"],
        ),
        function_schema(
            ASK,
            "Ask a question about videos: analyzers run where needed, and the answer cites notes with times. "
            "If it takes long, the id of a job comes back, whose result you get later.",
            {
                "question": _TEXT,
                "videos": {**_VIDEOS, "description": f"{_VIDEOS['description']}; of more than {FEW_VIDEOS}, none means all"},
                "session": {"type": "string", "description": "a conversation to go on with, which then needs no videos"},
                "options": {"type": "array", "items": {"type": "string"}, "description": "of a multiple-choice question"},
            },
            ["question"],
        ),
        function_schema(
            START,
            f"Start {ASK} or an analyzer as a job, and return its id at once.",
            {"tool": {"type": "string", "enum": long}, "arguments": {"type": "object", "description": "the arguments of the tool"}},
            ["tool", "arguments"],
        ),
        function_schema(STATUS, "Tell how far a job is, or all jobs.", {"job": _JOB}, []),
        function_schema(
            RESULT,
            "Wait for the result of a job, at most as long as clients allow; if it is not there, call again.",
            {"job": _JOB},
            ["job"],
        ),
        function_schema(CANCEL, "Stop a job. What was analyzed stays stored.", {"job": _JOB}, ["job"]),
        function_schema(
            TIMELINE,
            "Show the user the timeline of a video: what was found when, and what was never looked at.",
            {"video": _VIDEO},
            ["video"],
        ),
    ]
