"""The state of a question, parsed from its messages: question, videos, calls and shown notes.

It reads only what a language model would read. `manager` decides what to do next.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from analyzer_agent.llm.rules.question_parser import TOOL_ANALYZERS, TimeSelector, parse_time_expression
from analyzer_agent.llm.rules.tool_output_parser import NoteLine, is_truncated, parse_note_lines
from analyzer_agent.timeline import TimeRange, parse

Call = tuple[str, Mapping[str, Any]]

_VIDEO = re.compile(r'^- "(?P<name>[^\n]+)": (?P<start>[\d:.]+)-(?P<end>[\d:.]+)(?P<facts>.*)$', re.M)
_COVERED = re.compile(r"^- (?:(?P<video>\S+): )?(?P<analyzer>\w+): all of it$", re.M)
_COST = re.compile(r"^- (\w+)(?: \([^\n]*\))?: (?:about|not measured|tells only)", re.M)
_OPTION = re.compile(r"^([A-Z])\. (.+)$", re.M)
_NEEDS = {"read_subtitles": "no subtitle track", "transcribe_speech": "no audio track", "find_voice": "no audio track"}
"""The briefing's words for a video without input for a tool; by default "no picture"."""


@dataclass(frozen=True)
class CallResult:
    """A call and the text of its result."""

    name: str
    arguments: Mapping[str, Any]
    text: str

    @property
    def lines(self) -> list[NoteLine]:
        """The notes that the result shows, each with its video if the call names one."""
        video = self.arguments.get("video")
        return [replace(line, video=line.video or video) if isinstance(video, str) else line for line in parse_note_lines(self.text)]


@dataclass(frozen=True)
class QuestionState:
    """The question and everything that has happened since.

    Attributes:
        question: the question without its time expression and options.
        part: the part of a video that it names, None for the whole.
        options: the options by letter.
        videos: scope by name.
        results: the calls so far, with their results.
        described: the notes in front of the question, in modes that give all notes at once.
        tools: the tools that can be called now; on the last step only `finish`.
        offered: all tools of the session.
        covered: by video, the analyzers that have covered all of it.
        facts: by video, its line in the briefing.
    """

    question: str
    part: TimeSelector | None
    options: Mapping[str, str]
    videos: Mapping[str, TimeRange]
    results: tuple[CallResult, ...]
    described: str
    tools: frozenset[str]
    offered: frozenset[str]
    covered: Mapping[str, frozenset[str]]
    facts: Mapping[str, str]

    @classmethod
    def read(cls, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> "QuestionState":
        """Parse the state from messages and tools in the format of Chat Completions."""
        system = next((str(m["content"]) for m in messages if m["role"] == "system"), "")
        # Answers to earlier questions are plain text; within a question, the rules manager only
        # makes calls.
        earlier = [n for n, m in enumerate(messages) if m["role"] == "assistant" and not m.get("tool_calls")]
        begin = next(n for n, m in enumerate(messages) if m["role"] == "user" and (not earlier or n > earlier[-1]))
        # In modes with finish as the only tool, the notes precede the question.
        described, _, posed = str(messages[begin]["content"]).rpartition("</notes>\n\n")
        by_name = {t["function"]["name"]: t["function"] for t in tools}
        several = "choice" in by_name["finish"].get("parameters", {}).get("properties", {})
        asked, part = parse_time_expression(posed.split("\n\nOptions:\n")[0] if several else posed)
        named = {m["name"]: m for m in _VIDEO.finditer(system)}
        covered: dict[str, set[str]] = {name: set() for name in named}
        for m in _COVERED.finditer(system):
            for name in [m["video"]] if m["video"] else named:
                covered.setdefault(name, set()).add(m["analyzer"])
        return cls(
            question=asked,
            part=part,
            options=dict(_OPTION.findall(posed.split("\n\nOptions:\n")[-1])) if several else {},
            videos={name: TimeRange(parse(m["start"]), parse(m["end"])) for name, m in named.items()},
            results=tuple(_results(messages[begin + 1 :])),
            described=described,
            tools=frozenset(by_name),
            offered=frozenset(by_name) | frozenset(_COST.findall(system)),
            covered={name: frozenset(analyzers) for name, analyzers in covered.items()},
            facts={name: m["facts"] for name, m in named.items()},
        )

    @cached_property
    def notes(self) -> tuple[NoteLine, ...]:
        """The notes shown so far, each once, as shown last."""
        shown = [*parse_note_lines(self.described), *(line for result in self.results for line in result.lines)]
        return tuple({line.id: line for line in shown}.values())

    @property
    def cut(self) -> bool:
        """Whether a result was truncated."""
        return any(is_truncated(text) for text in (self.described, *(result.text for result in self.results)))

    def done(self, tool: str, video: str) -> bool:
        """Return whether a tool's analyzer has covered all of a video: its calls cost nothing."""
        return TOOL_ANALYZERS.get(tool, "") in self.covered.get(video, ())

    def useless(self, tool: str, video: str) -> bool:
        """Return whether a video has no input for a tool.

        With one video this is always False: tools without any input are not offered.
        """
        return len(self.videos) > 1 and not self.done(tool, video) and _NEEDS.get(tool, "no picture") in self.facts.get(video, "")

    def inside(self, video: str) -> TimeRange | None:
        """Return the part of a video that the question is about, None if outside the scope."""
        return self.part(self.videos[video]) if self.part else self.videos[video]

    def holds(self, line: NoteLine) -> bool:
        """Return whether a note overlaps the part that the question is about."""
        if self.part is None:
            return True
        scope = self.videos.get(line.video) or next(iter(self.videos.values()), None)
        part = self.part(scope) if scope else None
        return part is not None and line.span.overlaps(part)


def key(call: Call) -> str:
    """Return a key by which equal calls are recognised."""
    return json.dumps(call, sort_keys=True)


def _results(turn: Sequence[Mapping[str, Any]]) -> list[CallResult]:
    texts = {m["tool_call_id"]: str(m["content"]) for m in turn if m["role"] == "tool"}
    calls = [call for m in turn if m["role"] == "assistant" for call in m.get("tool_calls") or ()]
    return [CallResult(call["function"]["name"], _arguments(call), texts.get(call["id"], "")) for call in calls]


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call's arguments, {} if invalid: another manager may have started the question."""
    try:
        given = json.loads(call["function"]["arguments"])
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
