"""The contract of analyzers as checks: each returns the broken rule, or None.

`Spec` runs `spec_fault` at construction, `Spec.bind` runs `analyzer_fault`, and the gap runner
checks every grain with `item_fault` and `grain_fault`. The rules that need several runs over a
video are in `testing.check_analyzer`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import PluginError
from analyzer_agent.records import GAP, UNHEARD, Observation, Sample
from analyzer_agent.timeline import TimeRange, grid_step

if TYPE_CHECKING:
    from analyzer_agent.protocols import Grain, Spec

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TOOL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
_NEEDS = ("picture", "audio", "subtitles", "")
_RESOURCES = ("cpu", "gpu", "network")
_OWN_TOOLS = ("overview", "survey", "read_notes", "search_notes", "find_all", "query", "finish", "judge", "view")
_TOLD = 200
"""Characters of a plug-in's value that a message repeats."""

JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
"""The types that a schema of options and filters may name."""

_OWN_ARGUMENTS = ("ranges", "video")
"""Arguments that every analyzer's tool has; sampling ones also have `every`."""


def contract_error(spec: "Spec", rule: str) -> Exception:
    """Return the error for a broken rule: a PluginError for plug-ins, else a RuntimeError."""
    if not spec.source:
        return RuntimeError(f"the analyzer {spec.name!r} breaks its contract: {rule}")
    return PluginError(
        f"The analyzer {spec.name!r} ({spec.source}) breaks the contract of analyzers: {rule}.",
        hint="Its author can find the fault with analyzer_agent.testing.check_analyzer. Until then leave it out, or uninstall the package.",
    )


def analyze_error(spec: "Spec", error: Exception) -> Exception:
    """Return the error for an exception raised in `analyze`: a plug-in's names its package."""
    if not spec.source:
        return error
    return PluginError(
        f"The analyzer {spec.name!r} ({spec.source}) failed in analyze: {type(error).__name__}: {error}.",
        hint="Repair or uninstall the package that brings it, or leave the analyzer out.",
    )


def spec_fault(spec: "Spec") -> str | None:
    """Return the rule that a spec breaks, with the field's name and value."""
    checks = (_names_fault, _times_fault, _kinds_fault, _schema_fault, _choices_fault)
    return next((fault for check in checks if (fault := check(spec))), None)


def _names_fault(spec: "Spec") -> str | None:
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"name={spec.name!r} must be lower-case letters, digits and underscores, such as 'loudness'"
    if not isinstance(spec.tool, str) or not _TOOL.fullmatch(spec.tool):
        return f"tool={spec.tool!r} must be a function's name, such as 'measure_loudness'"
    if spec.tool in _OWN_TOOLS:
        return f"tool={spec.tool!r} is the name of a tool that every session has; choose another one"
    if not isinstance(spec.description, str) or not spec.description.strip():
        return "description must say what the tool is good for: the model chooses by it"
    if not callable(spec.factory):
        return f"factory={spec.factory!r} must be a function of (options, engine) that returns the analyzer"
    return None


def _times_fault(spec: "Spec") -> str | None:
    for field in ("grain", "step", "context"):
        value = getattr(spec, field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            return f"{field}={value!r} must be a whole number of milliseconds from 0"
    if spec.step and grid_step(spec.step / 1000) != spec.step:
        return f"step={spec.step} must be 125 ms times a power of two, such as {grid_step(spec.step / 1000)}"
    longer, shorter = max(spec.grain, spec.step), min(spec.grain, spec.step)
    if shorter and longer % shorter:
        return f"grain={spec.grain} must hold a whole number of samples of step={spec.step}"
    return None


def _kinds_fault(spec: "Spec") -> str | None:
    kinds = spec.kinds
    if not isinstance(kinds, tuple) or not kinds or not all(isinstance(kind, str) and kind for kind in kinds):
        return f"kinds={kinds!r} must be a tuple of names, such as ('loudness',)"
    return None


def _schema_fault(spec: "Spec") -> str | None:
    for field in ("options_schema", "filters_schema"):
        schema = getattr(spec, field)
        if not isinstance(schema, Mapping) or not all(isinstance(one, Mapping) for one in schema.values()):
            return f"{field} must map each name to its JSON schema, such as {{'limit': {{'type': 'integer'}}}}"
        if taken := [name for name in schema if name in _OWN_ARGUMENTS or (spec.step and name == "every")]:
            return f"{field} names {taken[0]!r}, which is an argument of every tool"
        for name, one in schema.items():
            if fault := _property_fault(one):
                return f"{field}: the schema of {name!r} is not valid: {fault}"
    if both := sorted(set(spec.options_schema) & set(spec.filters_schema)):
        return f"{both[0]!r} is an option and a filter: options change what is stored, filters only what is read"
    if unknown := [name for name in spec.required if name not in {**spec.options_schema, **spec.filters_schema}]:
        return f"required names {unknown[0]!r}, which is neither an option nor a filter"
    if spec.searched and "limit" not in spec.filters_schema:
        return "searched analyzers need a filter named 'limit'"
    return None


def _property_fault(schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the JSON schema of one option or filter."""
    kinds = schema.get("type", [])
    named = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(named, list | tuple) or not all(isinstance(kind, str) and kind in JSON_TYPES for kind in named):
        return f"type={_told(kinds)} must be one of {', '.join(JSON_TYPES)}, or a list of them"
    if "enum" in schema and (not isinstance(schema["enum"], list | tuple) or not schema["enum"]):
        return f"enum={_told(schema['enum'])} must be a list of values"
    for bound in ("minimum", "maximum"):
        if bound in schema and not _is_number(schema[bound]):
            return f"{bound}={_told(schema[bound])} must be a number"
    if schema.get("minimum", 0) > schema.get("maximum", schema.get("minimum", 0)):
        return f"minimum={schema['minimum']} is above maximum={schema['maximum']}"
    if "items" in schema:
        if not isinstance(schema["items"], Mapping):
            return f"items={_told(schema['items'])} must be a JSON schema"
        if fault := _property_fault(schema["items"]):
            return f"its items: {fault}"
    if schema.get("default") is not None and (fault := value_fault(schema["default"], schema)):
        return f"default={_told(schema['default'])} does not fit: {fault}"
    return None


def value_fault(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return what a value of an option or filter breaks of its schema, as what to give instead."""
    kinds = schema.get("type", [])
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    if wanted and not fits_type(value, wanted):
        return f"give a value of type {' or '.join(wanted)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"choose one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, list | tuple) and "items" in schema:
        return next((fault for one in value if (fault := value_fault(one, schema["items"]))), None)
    return bounds_fault(value, schema)


def fits_type(value: Any, kinds: Sequence[str]) -> bool:
    """Return whether a value is of one of these types of JSON schemas; tuples count as arrays."""
    plain = list(value) if isinstance(value, tuple) else value
    return any(isinstance(plain, JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(plain, bool)) for kind in kinds)


def bounds_fault(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return which numbers a schema allows if `value` is a number that it does not; else None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, float) and not isfinite(value):
        return "give a number"
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    allowed = [f"from {low}"] * (low is not None) + [f"to {high}" if low is not None else f"up to {high}"] * (high is not None)
    return f"give a number {' '.join(allowed)}"


def _choices_fault(spec: "Spec") -> str | None:
    if spec.needs not in _NEEDS:
        return f"needs={spec.needs!r} must be one of {', '.join(map(repr, _NEEDS))}"
    if spec.resource not in _RESOURCES:
        return f"resource={spec.resource!r} must be one of {', '.join(map(repr, _RESOURCES))}"
    if spec.select is not None and not callable(spec.select):
        return f"select={spec.select!r} must be a function of (observation, filters)"
    return None


def analyzer_fault(analyzer: Any) -> str | None:
    """Return the rule that a bound analyzer breaks."""
    for field in ("version", "engine"):
        value = getattr(analyzer, field, None)
        if not isinstance(value, str) or not value:
            return f"the analyzer needs a {field}, a text that is not empty; it has {_told(value)}"
    params = getattr(analyzer, "params", None)
    if not isinstance(params, Mapping):
        return f"the analyzer needs params, a mapping of all that changes what it stores; it has {_told(params)}"
    if not _is_json(dict(params)):
        return f"params={_told(params)} must be plain JSON: they become part of the cache key"
    if not callable(getattr(analyzer, "analyze", None)):
        return "the analyzer needs a method analyze(video, grains)"
    return None


def item_fault(item: Any) -> str | None:
    """Return the rule that an item yielded by `analyze` breaks."""
    if not isinstance(item, tuple) or len(item) != 2:
        return f"analyze must yield (grain, observations), not {type(item).__name__}"
    found = item[1]
    if isinstance(found, str) or not isinstance(found, Sequence):
        return f"the observations of a grain must be a list, not {type(found).__name__}"
    if strange := [one for one in found if not isinstance(one, Observation)]:
        return f"each finding must be an Observation, not {type(strange[0]).__name__}"
    return None


def grain_fault(spec: "Spec", grain: "Grain", due: Sequence["Grain"], found: Sequence[Observation], *, strict: bool) -> str | None:
    """Return the rule that the observations of a grain break.

    Args:
        spec: the analyzer's spec.
        grain: the grain that was yielded.
        due: the grains that have not come yet, in the given order.
        found: its observations.
        strict: also check what each observation is made of.
    """
    if not due or grain != due[0]:
        came = _told(getattr(grain, "span", grain))
        if grain in due:
            return f"every grain must be yielded in the order given, empty ones included: {due[0].span} was left out before {came}"
        return f"grains must come in the order given: {came} came when {due[0].span if due else 'nothing'} was due"
    for one in found:
        span, text = one.span, one.text
        if not isinstance(span, TimeRange) or not all(isinstance(edge, int) for edge in (span.start, span.end)):
            return f"the span of {text!r} must be a TimeRange of whole milliseconds; it is {span!r}"
        if span.start < grain.span.start or span.end > grain.span.end:
            return f"no observation may cross its grain: {text!r} at {span} lies outside of {grain.span}"
        if grain.step and span.start not in grain.instants:
            return f"an observation must start at an instant of its grain: {text!r} at {span} does not"
        if not isinstance(one, Sample) and one.kind not in (*spec.kinds, UNHEARD, GAP):
            return f"{text!r} is of the kind {one.kind!r}, which kinds={spec.kinds!r} does not name"
        # Not for built-ins: serializing each detail twice slows storing by 10 %.
        if strict and (fault := _content_fault(one)):
            return fault
    return None


def _content_fault(one: Observation) -> str | None:
    if one.score is not None and not _is_number(one.score):
        return f"score must be None or a finite number, such as 0.9; at {one.span} it is {_told(one.score)}"
    if not isinstance(one.text, str) or not isinstance(one.detail, Mapping) or not _is_json(dict(one.detail)):
        return f"text must be a text and detail plain JSON; at {one.span} they are {_told(one.text)} and {_told(one.detail)}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _told(value: Any) -> str:
    """Return a value for a message: in one line, shortened."""
    text = " ".join((str(value) if isinstance(value, TimeRange) else repr(value)).split())
    return text if len(text) <= _TOLD else f"{text[:_TOLD]} ..."


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
