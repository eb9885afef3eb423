"""The table of question-file formats: the fields that identify each, and its reader.

File names are ignored. Reading any file yields questions or raises `AgentError`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analyzer_agent.errors import AgentError
from analyzer_agent.evals.formats import multiple_choice, open_ended
from analyzer_agent.evals.formats.fields import FieldReader
from analyzer_agent.evals.formats.native import EXAMPLE_LINE, TABLE, own_format
from analyzer_agent.evals.formats.question import Question
from analyzer_agent.evals.formats.source import Source


@dataclass(frozen=True)
class Format:
    """A format: display name, required fields (one of each tuple), forbidden fields, and reader."""

    title: str
    known_by: tuple[tuple[str, ...], ...]
    read: Callable[[FieldReader, Source], Iterator[Question]]
    hints: tuple[str, str] = ("", "")
    """An example of a record as JSON, and one as CSV."""
    never: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The format in messages: `NExT-QA, IntentQA (video or video_id, …)`."""
        return f"{self.title} ({', '.join(' or '.join(names) for names in self.known_by)})"

    def missing(self, fields: Sequence[str]) -> list[str]:
        """Return the missing required fields, quoted; all if a forbidden field is present."""
        there = set() if set(self.never) & set(fields) else set(fields)
        return [" or ".join(map(repr, names)) for names in self.known_by if not set(names) & there]


def _fields(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name.split("|")) for name in names)


FORMATS = (
    Format("EgoSchema", _fields("q_uid", "question", "option 0"), multiple_choice.egoschema),
    Format("NExT-QA, NExT-GQA or IntentQA", _fields("video|video_id", "question", "qid", "a0"), multiple_choice.nextqa),
    Format("Video-MME", _fields("question_id", "videoID|video_id", "question", "options"), multiple_choice.videomme),
    Format("Video-MME result template", _fields("video_id", "questions"), multiple_choice.videomme),
    Format("LongVideoBench", _fields("id", "video_path", "question", "candidates"), multiple_choice.longvideobench),
    Format("VNBench", _fields("video", "question", "options", "type", "try", "gt|gt_option"), multiple_choice.vnbench),
    Format("LVBench", _fields("key", "qa"), multiple_choice.lvbench),
    Format("ActivityNet-QA", _fields("video_name", "question", "question_id"), open_ended.activitynetqa),
    Format("MSRVTT-QA", _fields("video_id", "question", "answer", "id|qid"), open_ended.msrvttqa, never=("a1", "options", "frame_count")),
    Format("own", _fields("id", "video", "question"), own_format, (f"A line looks like this: {EXAMPLE_LINE}", TABLE)),
)
"""In order of priority: the first format with no missing field reads the file."""

_OWN_FIELDS = ("options", "from", "to", "conversation", "answer", "evidence", "type", *"abcdefghij")

_NOT_QUESTION_FILES = (
    (("pred", "gt"), "is a file of results, not of questions", "Give the file that the results are made from."),
    (
        ("answer", "type", "question_id"),
        "holds the answers of ActivityNet-QA, not its questions",
        "Give the file of questions, whose name ends in _q.",
    ),
)
"""Files often mistaken for question files: fields, problem, hint."""


def detect_format(fields: Sequence[str], name: str, table: bool = False) -> Format:
    """Return the format of a file with these fields.

    Args:
        fields: the fields of the first record.
        name: the file name, for messages.
        table: whether the file is CSV.

    Raises:
        AgentError: no format matches; the message names the fields that the nearest one lacks.
    """
    for one in FORMATS:
        if not one.missing(fields):
            return one
    nearest = min(FORMATS, key=lambda one: len(one.missing(fields)) / len(one.known_by))
    missing = nearest.missing(fields)
    if 2 * len(missing) <= len(nearest.known_by):
        named = {field for names in nearest.known_by for field in names} | {*_OWN_FIELDS}
        others = [repr(field) for field in fields if field not in named]
        rename = f"Rename the column {' or '.join(others)} to {missing[0]}. " if table and len(missing) == 1 and others else ""
        raise AgentError(
            f"{name} looks like a file of the format {nearest.title}, but the field {', '.join(missing)} is missing.",
            hint=f"{rename}{nearest.hints[table]}" or _known_formats(),
        )
    for telling, what, hint in _NOT_QUESTION_FILES:
        if set(telling) <= set(fields):
            raise AgentError(f"{name} {what}.", hint=hint)
    has = ", ".join(repr(field[:40]) for field in fields[:8]) or "none"
    raise AgentError(f"{name} is not a question file of a known format; its fields: {has}.", hint=_known_formats())


def _known_formats() -> str:
    return f"Formats are known by their fields: {'; '.join(one.told for one in FORMATS)}."
