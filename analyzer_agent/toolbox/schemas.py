"""The tools' names, descriptions and JSON schemas, as a language model gets them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analyzer_agent.protocols import Spec
from analyzer_agent.records import KINDS
from analyzer_agent.wording import option_letter

OVERVIEW, SURVEY, READ, SEARCH, FINISH, JUDGE = "overview", "survey", "read_notes", "search_notes", "finish", "judge"

_TIME = {"type": ["string", "number"], "description": 'a clock "1:04.2" or seconds 64.2'}
RANGE: dict[str, Any] = {"type": "array", "items": _TIME, "minItems": 2, "maxItems": 2, "description": "[start, end]"}
RANGES: dict[str, Any] = {"type": "array", "items": RANGE, "minItems": 1, "description": 'time ranges to look at: [["0:00", "0:30"], ...]'}


def function_schema(name: str, description: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return a tool in the format of the Chat Completions API."""
    parameters = {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def analyzer_tool(spec: Spec, videos: Sequence[str]) -> dict[str, Any]:
    """Return the schema of an analyzer's tool; `videos` are the names to choose from."""
    properties: dict[str, Any] = {**_video(videos), "ranges": RANGES}
    if spec.step:
        every = {"type": "number", "description": f"seconds between samples, default {spec.step / 1000:g}"}
        properties["every"] = every
    properties |= {**spec.options_schema, **spec.filters_schema}
    where = [] if spec.searched else [*_video(videos), "ranges"]
    return function_schema(spec.tool, spec.description, properties, [*where, *spec.required])


def reading_tools(videos: Sequence[str], kinds: Iterable[str]) -> list[dict[str, Any]]:
    """Return the schemas of the free look-ups, which run no analyzer."""
    names = [k for k in KINDS if k in set(kinds)] + sorted(set(kinds) - set(KINDS))
    only = {"kinds": {"type": "array", "items": {"type": "string", "enum": names}, "description": "only these kinds of notes"}}
    return [
        function_schema(
            OVERVIEW,
            "See what the notes tell of the whole video, or of a range: at most 12 parts, each with the words that set it apart, its most "
            "telling notes, and which analyzers have looked at it. Free: nothing is analyzed.",
            {**_video(videos), "range": RANGE},
            [*_video(videos)],
        ),
        function_schema(
            READ,
            "Read the notes that earlier calls have left on a time range. Free: nothing is analyzed.",
            {**_video(videos), "range": RANGE, **only},
            [*_video(videos), "range"],
        ),
        function_schema(
            SEARCH,
            "Search all notes taken so far for words. Free: nothing is analyzed, so it finds only what has been looked at.",
            {"query": {"type": "string"}, "range": RANGE, **only, **_video(videos)},
            ["query"],
        ),
    ]


def survey_tool(videos: Sequence[str], among: int) -> dict[str, Any]:
    """Return the schema of the survey.

    Args:
        videos: the names of the videos for which a survey is worthwhile.
        among: the number of videos in the session; the call names the video if it is over 1.
    """
    video = {"video": {"type": "string", "enum": list(videos), "description": "which video"}} if among > 1 else {}
    return function_schema(
        SURVEY, "Run all that is cheap over the whole video at once, and get one description in time order.", video, [*video]
    )


def finish_tool(options: Sequence[str] | None) -> dict[str, Any]:
    """Return the schema of the tool that ends the question; `options` add a choice by letter."""
    properties: dict[str, Any] = {
        "answer": {"type": "string", "description": "the answer; after each claim the notes it rests on: It costs forty [#12]."},
        "notes": {"type": "array", "items": {"type": "integer"}, "description": "ids of all notes that the answer rests on"},
        "confidence": {"type": "string", "enum": ["high", "medium", "low"]},
        "found": {"type": "boolean", "description": "false if the video, as far as it was examined, does not hold the answer"},
        "not_examined": {"type": "string", "description": "what was left unexamined although it might matter"},
    }
    if options:
        letters = [option_letter(n) for n in range(len(options))]
        properties["choice"] = {"type": "string", "enum": letters, "description": "the letter of the chosen option; leave out to abstain"}
    return function_schema(FINISH, "Give the answer and end the question.", properties, ["answer", "notes", "confidence", "found"])


def judge_tool() -> dict[str, Any]:
    """Return the schema of the tool with which a model judges whether notes support an answer."""
    properties = {
        "sufficient": {"type": "boolean", "description": "whether the notes by themselves show what the answer says"},
        "missing": {"type": "string", "description": "if not: what they do not show, in one sentence; else empty"},
        "contradictory": {"type": "boolean", "description": "whether two of the notes contradict each other on what is asked"},
    }
    return function_schema(JUDGE, "Tell whether the notes suffice.", properties, ["sufficient", "missing"])


def _video(videos: Sequence[str]) -> dict[str, Any]:
    return {"video": {"type": "string", "enum": list(videos), "description": "which video"}} if len(videos) > 1 else {}
