"""The one record that every question file becomes. Knows nothing of files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analyzer_agent.records import JSON
from analyzer_agent.timeline import TimeRange


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a video. Times are ms.

    `answer` and `evidence` are the gold: they are for scoring and must never reach a manager, whose prompt is made of `question`,
    `options`, `start` and `end` alone. They are left out of `repr`, so that a log line cannot give them away.
    """

    id: str
    video: Path
    """Absolute; where the video should be when there is none."""
    question: str
    options: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    answer: int | str | None = field(default=None, repr=False)
    """The index of the right option, or the text of an open answer; None where the file keeps it secret."""
    evidence: tuple[TimeRange, ...] = field(default=(), repr=False)
    type: str = ""
    conversation: str | None = None
    """Questions that share it follow one another in one conversation."""
    dataset: str = "own"
    group: str = ""
    """Shared by the shuffles of one VNBench question, which count only together."""
    duration: int | None = None
    duration_group: str = ""
    """As the file has it: `"short"`, `"600"`."""
    subtitles: Path | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """What the benchmark's own result file needs beyond the id, under the names of the question file."""
