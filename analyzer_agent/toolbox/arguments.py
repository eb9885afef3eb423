"""What a model wrote as arguments, checked and understood; what cannot be understood is refused with the valid forms.

Knows nothing of what the arguments are for.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.timeline import TimeRange, clock, parse

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def decode(arguments: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return the arguments as a dict that fits the schema's properties; absent and null ones are left out.

    Raises:
        ToolRefusal: not a JSON object, an unknown or missing argument, or one of the wrong type.
    """
    try:
        given = json.loads(arguments or "{}")
    except json.JSONDecodeError as error:
        raise ToolRefusal(f"The arguments are not valid JSON ({error.msg} at character {error.pos}). Send one JSON object.") from error
    if not isinstance(given, dict):
        raise ToolRefusal("The arguments must be one JSON object.")
    for name in given:
        if name not in properties:
            raise ToolRefusal(f"Unknown argument {name!r}{closest(name, properties)}. Valid ones: {', '.join(properties)}.")
    given = {name: value for name, value in given.items() if value is not None}
    if missing := [name for name in required if name not in given]:
        raise ToolRefusal(f"Missing argument {missing[0]!r}.")
    for name, value in given.items():
        _check(name, value, properties[name])
    return given


def _check(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    kinds = schema.get("type", [])
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    fits = any(isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in wanted)
    if wanted and not fits:
        raise ToolRefusal(f"{name!r} must be of type {' or '.join(wanted)}, not {value!r}.")
    if "enum" in schema and value not in schema["enum"]:
        raise ToolRefusal(f"{value!r} is not a valid {name!r}; choose one of {', '.join(map(str, schema['enum']))}.")
    if isinstance(value, list) and "items" in schema and name not in ("ranges", "range"):
        for item in value:
            _check(name, item, schema["items"])


def closest(name: str, valid: Mapping[str, Any] | Sequence[str]) -> str:
    """Return `; did you mean 'x'?` where a valid name is close, else nothing."""
    near = difflib.get_close_matches(name, list(valid), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def time_range(given: Any, scope: TimeRange) -> TimeRange:
    """Return the range that `[start, end]` or `"start-end"` names, clipped to `scope`.

    Raises:
        ToolRefusal: not two times, backwards, or wholly outside of the scope.
    """
    pair = given.split("-") if isinstance(given, str) else list(given.values()) if isinstance(given, dict) else given
    try:
        start, end = (parse(time) for time in pair)
    except (TypeError, ValueError) as error:
        told = str(error) if "not a time" in str(error) else f"{given!r} is not a time range"
        raise ToolRefusal(f'{told}. A range is two times: ["0:10", "0:25.5"] or [10, 25.5].') from error
    if end <= start:
        raise ToolRefusal(f"{clock(start)}-{clock(end)} is not a range: its end must come after its start.")
    inside = TimeRange(start, end).within(scope)
    if inside is None:
        raise ToolRefusal(f"{clock(start)}-{clock(end)} lies outside of what can be looked at, {scope}.")
    return inside


def time_ranges(given: Any, scope: TimeRange) -> list[TimeRange]:
    """Return the ranges of a `ranges` argument; a single `[start, end]` is taken as one range."""
    items = [given] if isinstance(given, str) or (len(given) == 2 and not isinstance(given[0], list | dict)) else given
    if not items:
        raise ToolRefusal('\'ranges\' is empty. Name at least one: [["0:00", "0:30"]].')
    if all(isinstance(item, str) and "-" not in item for item in items):
        items = [items]
    return [time_range(item, scope) for item in items]
