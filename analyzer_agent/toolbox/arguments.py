"""Arguments written by a model: decoded and validated; refusals name the valid forms."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.timeline import InvalidTime, TimeRange, clock, parse

_RANGES = ("range", "ranges")
_BETWEEN = re.compile(r"\s*(?:[-\u2013\u2014]|\bto\b)\s*")

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def decode(arguments: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Decode a JSON object and check it against a schema; null arguments are dropped.

    Args:
        arguments: the JSON text of a call.
        properties: the schema's properties.
        required: the names of the required properties.

    Raises:
        ToolRefusal: not a JSON object, or an argument is unknown, missing or of the wrong type.
    """
    given = parse_object(arguments)
    for name in given:
        if name not in properties:
            raise ToolRefusal(f"Unknown argument {name!r}{closest(name, properties)} Valid ones: {', '.join(properties)}.")
    given = {name: value for name, value in given.items() if value is not None}
    if missing := [name for name in required if name not in given]:
        raise ToolRefusal(f"Missing argument {missing[0]!r}.")
    for name, value in given.items():
        _check(name, value, properties[name])
    return given


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object written by a model; empty text is an empty object.

    Raises:
        ToolRefusal: the text is not a JSON object.
    """
    try:
        given = json.loads(text.strip() or "{}")
    except json.JSONDecodeError as error:
        raise ToolRefusal(f"The arguments are not valid JSON ({error.msg} at character {error.pos}). Send one JSON object.") from error
    except (ValueError, RecursionError) as error:  # too many digits, or too deeply nested
        raise ToolRefusal("The arguments are not valid JSON. Send one JSON object.") from error
    if not isinstance(given, dict):
        raise ToolRefusal("The arguments must be one JSON object.")
    return given


def as_written(text: str) -> dict[str, Any]:
    """Return the arguments of a refused call: parsed, or the raw text under "arguments"."""
    try:
        return parse_object(text)
    except ToolRefusal:
        return {"arguments": text}


def _check(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    if name in _RANGES:
        return  # checked by `time_range`, which accepts several forms
    kinds = schema.get("type", [])
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    fits = any(isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in wanted)
    if wanted and not fits:
        raise ToolRefusal(f"{name!r} must be of type {' or '.join(wanted)}, not {value!r}.")
    if "enum" in schema and value not in schema["enum"]:
        valid = list(map(str, schema["enum"]))
        raise ToolRefusal(f"{value!r} is not a valid {name!r}{closest(str(value), valid)} Choose one of {', '.join(valid)}.")
    if isinstance(value, list) and "items" in schema:
        for item in value:
            _check(name, item, schema["items"])


def closest(name: str, valid: Mapping[str, Any] | Sequence[str]) -> str:
    """Return `; did you mean 'x'?` if a valid name is close to `name`, else a full stop."""
    near = difflib.get_close_matches(name, list(valid), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def time_range(given: Any, scope: TimeRange) -> TimeRange:
    """Parse `[start, end]`, `"start-end"` or `{"start": ..., "end": ...}`, clipped to `scope`.

    Raises:
        ToolRefusal: not two times, the end before the start, or entirely outside the scope.
    """
    try:
        start, end = (parse(time) for time in _pair(given))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        # The message quotes the whole argument, so that it can be fenced as the model's own text.
        told = str(error) if isinstance(error, InvalidTime) and not isinstance(given, str) else f"{given!r} is not a time range"
        raise ToolRefusal(f'{told}. A range is two times: ["0:10", "0:25.5"] or [10, 25.5].') from error
    if end <= start:
        raise ToolRefusal(f"{clock(start)}-{clock(end)} is not a range: its end must come after its start.")
    inside = TimeRange(start, end).within(scope)
    if inside is None:
        raise ToolRefusal(f"{clock(start)}-{clock(end)} lies outside of what can be looked at, {scope}.")
    return inside


def _pair(given: Any) -> Sequence[Any]:
    if isinstance(given, str):
        return _BETWEEN.split(given.strip())
    if isinstance(given, dict):
        return [given["start"], given["end"]]
    if isinstance(given, list):
        return given
    raise TypeError("not a pair")


def time_ranges(given: Any, scope: TimeRange) -> list[TimeRange]:
    """Parse a `ranges` argument; a single range is accepted as well.

    Raises:
        ToolRefusal: there is no range, or one is invalid.
    """
    items = [given] if _is_one(given) else given
    if not items:
        raise ToolRefusal('\'ranges\' is empty. Name at least one: [["0:00", "0:30"]].')
    return [time_range(item, scope) for item in items]


def _is_one(given: Any) -> bool:
    """Return whether `given` is a single range, not a list of ranges."""
    if not isinstance(given, list):
        return True
    return len(given) == 2 and not any(isinstance(i, list | dict) or (isinstance(i, str) and _BETWEEN.search(i.strip())) for i in given)
