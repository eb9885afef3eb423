"""The question record that every format is read into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analyzer_agent.records import JSON
from analyzer_agent.timeline import TimeRange


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a video. Times are in ms.

    `answer` and `evidence` are gold data for scoring and must never reach a manager, whose prompt
    contains only `question`, `options`, `start` and `end`. `repr` omits them, so that logs cannot
    leak them.
    """

    id: str
    video: Path
    """Absolute path; the expected one if the video is missing."""
    question: str
    options: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    answer: int | str | None = field(default=None, repr=False)
    """The index of the right option, or the text of an open answer; None if not published."""
    evidence: tuple[TimeRange, ...] = field(default=(), repr=False)
    type: str = ""
    conversation: str | None = None
    """Questions with the same value are asked in order in one conversation."""
    dataset: str = "own"
    group: str = ""
    """Shared by the shuffles of one VNBench question, which are scored together."""
    duration: int | None = None
    duration_group: str = ""
    """As in the file: `"short"`, `"600"`."""
    subtitles: Path | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """Further fields for the benchmark's result file, with their names in the question file."""
