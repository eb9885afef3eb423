"""Read and validate a question file before a run; `evals.formats` knows the formats."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import detect_format
from analyzer_agent.evals.formats.fields import FieldReader
from analyzer_agent.evals.formats.native import EXAMPLE_LINE
from analyzer_agent.evals.formats.parsing import read_records
from analyzer_agent.evals.formats.question import Question
from analyzer_agent.evals.formats.source import Source
from analyzer_agent.importing import prepare
from analyzer_agent.session import open_or_find_imported
from analyzer_agent.storage import Store

__all__ = ["EXAMPLE_LINE", "Question", "Questions", "missing_videos", "read_questions"]


@dataclass(frozen=True, slots=True)
class Questions(Sequence[Question]):
    """The questions of a file in order, and how they were read."""

    questions: tuple[Question, ...]
    format: str
    """The display name of the format."""
    used: tuple[Path, ...] = ()
    """The companion files used for answers, gold spans or names of videos."""

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, at: Any) -> Any:
        return self.questions[at]


def read_questions(path: Path, videos: Path | None = None, map: Path | None = None) -> Questions:
    """Return the questions of a file of any known format.

    Videos are searched below `videos` and next to the file; missing ones are no error, see
    `missing_videos`.

    Args:
        path: the question file.
        videos: the folder of the videos.
        map: a JSON file that maps ids to paths of videos, if there is none next to the question
            file.

    Raises:
        AgentError: the file cannot be read, its format is unknown, or a record is invalid; the
            message names the record, the field and the accepted values.
    """
    records = read_records(path)
    if not records.fields:
        raise AgentError(f"The question file {str(path)!r} holds no question.", hint=f"Each line is one JSON object: {EXAMPLE_LINE}")
    format, source = detect_format(records.fields, path.name, records.table), Source(path, videos, map)
    found: dict[str, Question] = {}
    for place, values in records.rows:
        row = FieldReader(values, place, format.hints[records.table] or f"The format is {format.told}.")
        for question in format.read(row, source):
            if question.id in found:
                raise row.wrong(f"the id {question.id!r} was used before; each question needs its own")
            found[question.id] = question
    if not found:
        raise AgentError(f"The question file {str(path)!r} holds no question.", hint=f"Each line is one JSON object: {EXAMPLE_LINE}")
    return Questions(tuple(found.values()), format.title, tuple(source.used))


def missing_videos(questions: Iterable[Question]) -> dict[Path, list[Question]]:
    """Return the expected paths of missing videos, with their questions."""
    missing: dict[Path, list[Question]] = {}
    there: dict[Path, bool] = {}
    for question in questions:
        if question.video not in there:
            there[question.video] = os.path.isfile(question.video)
        if not there[question.video]:
            missing.setdefault(question.video, []).append(question)
    return missing


def import_subtitles(question: Question, settings: Settings) -> None:
    """Import the subtitles of a question's video, if there are any and `tools` allows them.

    Raises:
        AgentError: the video or the subtitles cannot be read.
    """
    if question.subtitles is None or (settings.tools is not None and "subtitles" not in settings.tools):
        return
    begins = question.extra.get("starting_timestamp_for_subtitles")
    starts_at = round(float(begins) * 1000) if isinstance(begins, int | float) else 0
    with open_or_find_imported(question.video, settings) as video, Store(settings.store) as store:
        for _ in prepare(question.subtitles, video, kind="subtitle", starts_at=starts_at).run(store):
            pass
