"""What the messages of a question say: what is asked of which videos, which calls were made, which notes were shown.

Reads what a language model would read, and nothing else. Knows nothing of what to do next.
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
"""What the briefing says of a video in which a tool has nothing to look at; what needs a picture has "no picture"."""


@dataclass(frozen=True)
class CallResult:
    """A call that was made, and the text that came back."""

    name: str
    arguments: Mapping[str, Any]
    text: str

    @property
    def lines(self) -> list[NoteLine]:
        """The notes that it shows, each with its video where the call names one."""
        video = self.arguments.get("video")
        return [replace(line, video=line.video or video) if isinstance(video, str) else line for line in parse_note_lines(self.text)]


@dataclass(frozen=True)
class QuestionState:
    """The question and everything that happened since. `part` is the time it names, `described` the notes that came with it.

    `tools` can be called now: on the last step only `finish`. `offered` are all that the session has.
    `covered` tells for each video which analyzers have looked at all of it, `facts` what the briefing says of it.
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
        """Read the state of the question off the messages."""
        system = next((str(m["content"]) for m in messages if m["role"] == "system"), "")
        # Answers to earlier questions are plain text; the rules manager itself always answers with a call.
        earlier = [n for n, m in enumerate(messages) if m["role"] == "assistant" and not m.get("tool_calls")]
        begin = next(n for n, m in enumerate(messages) if m["role"] == "user" and (not earlier or n > earlier[-1]))
        # Where there is no tool but finish, all notes come with the question, in front of it.
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
        """The notes shown so far, each once, the latest showing of it."""
        shown = [*parse_note_lines(self.described), *(line for result in self.results for line in result.lines)]
        return tuple({line.id: line for line in shown}.values())

    @property
    def cut(self) -> bool:
        """Whether a result said that there is more than it shows."""
        return any(is_truncated(text) for text in (self.described, *(result.text for result in self.results)))

    def done(self, tool: str, video: str) -> bool:
        """Tell whether a tool's analyzer has looked at all of a video, so that its notes cost nothing."""
        return TOOL_ANALYZERS.get(tool, "") in self.covered.get(video, ())

    def useless(self, tool: str, video: str) -> bool:
        """Tell whether a tool has nothing to look at in a video. What has nothing to look at in any of them is not offered."""
        return len(self.videos) > 1 and not self.done(tool, video) and _NEEDS.get(tool, "no picture") in self.facts.get(video, "")

    def inside(self, video: str) -> TimeRange | None:
        """Return the part of a video that is asked about, None where that lies outside of it."""
        return self.part(self.videos[video]) if self.part else self.videos[video]

    def holds(self, line: NoteLine) -> bool:
        """Tell whether a note lies in what is asked about."""
        if self.part is None:
            return True
        scope = self.videos.get(line.video) or next(iter(self.videos.values()), None)
        part = self.part(scope) if scope else None
        return part is not None and line.span.overlaps(part)


def key(call: Call) -> str:
    """Return what makes a call the same as another."""
    return json.dumps(call, sort_keys=True)


def _results(turn: Sequence[Mapping[str, Any]]) -> list[CallResult]:
    texts = {m["tool_call_id"]: str(m["content"]) for m in turn if m["role"] == "tool"}
    calls = [call for m in turn if m["role"] == "assistant" for call in m.get("tool_calls") or ()]
    return [CallResult(call["function"]["name"], _arguments(call), texts.get(call["id"], "")) for call in calls]


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a call; on a question that another manager began they may be anything."""
    try:
        given = json.loads(call["function"]["arguments"])
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
