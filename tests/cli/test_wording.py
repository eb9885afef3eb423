"""Answers and events as people see them in a terminal, a log and a notebook: short, on one line, nothing from a video as markup."""

from html.parser import HTMLParser
from typing import Any

import pytest

from analyzer_agent import Answer, Citation, TimeRange, ToolResult
from analyzer_agent.events import Answered, Event, Progress, SentBack, TextDelta, Thinking, ToolFinished, ToolStarted, Verifying, Warned
from analyzer_agent.events import Waiting as WaitingFor
from analyzer_agent.records import JoinedNote, Unexamined, Usage

SPAN = TimeRange(64_200, 67_900)
RESULT = ToolResult("c", "long text", (1, 2), SPAN, reused_ms=8000, analyzed_ms=30_000, wall_ms=2500, tool="transcribe_speech")
HOSTILE = """<script>alert(1)</script> "a" 'b' & \x1b[31mred"""
ANSWER = Answer(
    "It costs forty [#12].",
    (Citation(12, SPAN, "it costs forty", "talk.mp4", "speech", "speech", "whisper", True, path="clips/my talk.mp4"),),
    choice="B",
    unsupported=("It is cheap.",),
    missing="Nobody says when.",
    not_examined=(Unexamined("text", SPAN, "failed", "no memory"),),
    confidence="medium",
    usage=Usage(media_ms_analyzed=8500, wall_ms=1200),
)
TOLD = """It costs forty [#12].
Choice: B
  [#12] 1:04.2-1:07.9 speech, whisper, uncertain: "it costs forty"
  Without evidence: It is cheap.
  Not proved: Nobody says when.
Not examined: text 1:04.2-1:07.9 (failed: no memory)
Confidence: medium
Cost: 8.5 new media-seconds, 0 reused, 1.2 s"""


def test_an_answer_is_told_as_the_command_line_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    from analyzer_agent.cli.output import print_answer

    assert str(ANSWER) == TOLD
    print_answer(ANSWER)
    assert capsys.readouterr().out == TOLD + "\n"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Thinking(2, 12), "thinking, step 2 of at most 12"),
        (TextDelta("It costs\nforty"), "It costs forty"),
        (Verifying(), "checking whether the evidence suffices"),
        (SentBack("draft", "no citation"), "answer sent back: no citation"),
        (
            ToolStarted("c", "transcribe_speech", {}, [SPAN], "whisper", 0, 3700, 5000),
            "transcribe_speech 1:04.2-1:07.9 (whisper): 3.7 s to analyze, about 5 s",
        ),
        (ToolStarted("c", "search_notes", {"query": "forty"}), 'search_notes "forty"'),
        (Progress("c", "find_text", SPAN, 8000, 12_000), "find_text: 8 s of 12 s done"),
        (WaitingFor("c", "find_text", SPAN), "find_text: waiting for another process that analyzes 1:04.2-1:07.9"),
        (ToolFinished(RESULT), "transcribe_speech: 2 notes, 30 s new in 2.5 s, 8 s reused"),
        (Warned("no sound"), "no sound"),
        (Answered(ANSWER), "It costs forty [#12]."),
    ],
)
def test_an_event_is_one_line(event: Event, told: str) -> None:
    assert str(event) == told
    assert repr(event) == f"<{type(event).__name__} {told}>"


def test_objects_print_short() -> None:
    assert repr(SPAN) == "TimeRange(1:04.2-1:07.9)" and repr([SPAN]) == "[TimeRange(1:04.2-1:07.9)]"
    assert repr(RESULT) == "<ToolResult transcribe_speech: 2 notes, 30 s new in 2.5 s, 8 s reused>"
    assert str(ANSWER.citations[0]) == '[#12] talk.mp4 1:04.2-1:07.9 speech, whisper, uncertain: "it costs forty"'
    note = JoinedNote(7, "a.mp4", "text", "text", "easyocr", SPAN, "CAFE")
    assert str(note) == '[#7] a.mp4 1:04.2-1:07.9 text, easyocr: "CAFE"'
    assert repr(ANSWER) == "<Answer 'It costs forty [#12].' answered, confidence medium, 1 citation>"
    assert len(repr(Answered(Answer("word " * 500)))) < 150 and len(repr(Answer("word " * 500))) < 150


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[Any] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_times_in_a_notebook_open_the_file_there() -> None:
    page = Tags(ANSWER._repr_html_())
    assert page.links == ["clips/my%20talk.mp4#t=64.2,67.9"]
    assert '[#12] 1:04.2-1:07.9 speech, whisper, uncertain: "it costs forty"' in page.text and "Not proved" in page.text
    absolute = Answer("x", (Citation(1, SPAN, "x", path="/clips/a.mp4"), Citation(2, SPAN, "y")))
    assert Tags(absolute._repr_html_()).links == ["file:///clips/a.mp4#t=64.2,67.9"], "without a file there is no link"


def test_nothing_from_a_video_or_a_model_is_markup() -> None:
    cited = Citation(1, SPAN, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, path=HOSTILE)
    other = Citation(2, SPAN, HOSTILE, "b.mp4", path="javascript:alert(1)")
    answer = Answer(
        HOSTILE, (cited, other), HOSTILE, (HOSTILE,), HOSTILE, (Unexamined(HOSTILE, SPAN, "failed", HOSTILE),), question=HOSTILE
    )
    page = Tags(answer._repr_html_())
    assert set(page.tags) == {"div", "p", "ul", "li", "a", "small", "br"}
    assert all(not link.startswith("javascript:") for link in page.links)
    assert "\x1b" not in str(answer) and "<script>" in str(answer), "text stays text"
