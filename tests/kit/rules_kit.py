"""What the tests of the rules share: tools that find what they are given, and the next step of a conversation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer_agent.llm.rules.manager import RulesManager
from analyzer_agent.protocols import Reply, Spec
from analyzer_agent.records import JSON, Answer, QuestionRecord, ShownNote, ToolResult, VideoRecord
from analyzer_agent.testing import FakeAnalyzer
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool

MINUTE = TimeRange(0, 60_000)
Said = Sequence[tuple[float, float, str]]


TOOLS = {
    "subtitles": ("read_subtitles", "subtitle"),
    "speech": ("transcribe_speech", "speech"),
    "text": ("read_screen_text", "text"),
    "objects": ("detect_objects", "object"),
    "motion": ("find_motion", "motion"),
    "voice": ("find_voice", "voice"),
}


CLASSES = {"classes": {"type": "array", "items": {"type": "string"}}}


def tool(name: str, events: Said, duration: int) -> Tool:
    tool_name, kind = TOOLS[name]
    found = FakeAnalyzer([(TimeRange(round(a * 1000), round(b * 1000)), text) for a, b, text in events], kind=kind)
    filters = CLASSES if name == "objects" else {}
    spec = Spec(name, tool_name, f"Find {name}.", duration, lambda options, engine: found, (kind,), filters_schema=filters)
    return Tool(spec)


Ask = Callable[..., Answer]


def used(answer: Answer) -> list[str]:
    return [step.tool for step in answer.steps]


EVERYTHING: dict[str, Said] = {
    "subtitles": [(1, 3, "Welcome to the harbour."), (10, 13, "A crate of fish costs forty pounds.")],
    "speech": [(20, 23, "the captain is called Margaret")],
    "text": [(5, 9, "CAFE LUNA"), (30, 35, "EXIT")],
    "objects": [(0, 5, "1 person"), (8, 12, "3 person")],
    "motion": [(2, 4, "movement in the upper left"), (40, 44, "movement in the middle")],
    "voice": [(1, 3, "voice")],
}


WHOLE: dict[str, JSON] = {"ranges": [["0:00", "1:00"]]}


VIDEO = VideoRecord("a", "a.mp4", MINUTE)


OFFERED = ("search_notes", "read_notes", "finish", *(tool for tool, _ in TOOLS.values()))


def note(number: int, start: int, end: int, kind: str, text: str, **more: Any) -> ShownNote:
    return ShownNote(number, "a", TimeRange(start, end), kind, text, **more)


def result(*shown: ShownNote, tool: str = "read_subtitles", args: Mapping[str, JSON] = WHOLE, text: str = "") -> ToolResult:
    return ToolResult("c", text, tuple(n.id for n in shown), tool=tool, args=args, found=len(shown), shown=shown)


def next_step(record: QuestionRecord, tools: Sequence[str] = OFFERED, *more: Mapping[str, Any]) -> Reply:
    """Return what the rules manager does next; the texts say nothing that it could use."""
    messages: list[Mapping[str, Any]] = [{"role": "system", "content": "-", "record": record}, {"role": "user", "content": "-"}, *more]
    return RulesManager().complete(messages, [{"function": {"name": name}} for name in tools])


def about(question: str, *results: ToolResult, **more: Any) -> QuestionRecord:
    return QuestionRecord(question, videos=(VIDEO,), results=results, **more)
