"""The contract of analyzers as checks: each returns the broken rule, or None.

`Spec` runs `spec_fault` at construction, `Spec.bind` runs `analyzer_fault`, and the gap runner
checks every grain with `item_fault` and `grain_fault`. The rules that need several runs over a
video are in `testing.check_analyzer`.
"""

import json
import re
from collections.abc import Mapping, Sequence
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


def spec_fault(spec: "Spec") -> str | None:
    """Return the rule that a spec breaks, with the field's name and value."""
    checks = (_names_fault, _times_fault, _kinds_fault, _schema_fault, _choices_fault)
    return next((fault for check in checks if (fault := check(spec))), None)


def _names_fault(spec: "Spec") -> str | None:
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"name={spec.name!r} must be lower-case letters, digits and underscores, such as 'loudness'"
    if not isinstance(spec.tool, str) or not _TOOL.fullmatch(spec.tool):
        return f"tool={spec.tool!r} must be a function's name, such as 'measure_loudness'"
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
    if both := sorted(set(spec.options_schema) & set(spec.filters_schema)):
        return f"{both[0]!r} is an option and a filter: options change what is stored, filters only what is read"
    if unknown := [name for name in spec.required if name not in {**spec.options_schema, **spec.filters_schema}]:
        return f"required names {unknown[0]!r}, which is neither an option nor a filter"
    if spec.searched and "limit" not in spec.filters_schema:
        return "searched analyzers need a filter named 'limit'"
    return None


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
            return f"the analyzer needs a {field}, a text that is not empty; it has {value!r}"
    params = getattr(analyzer, "params", None)
    if not isinstance(params, Mapping):
        return f"the analyzer needs params, a mapping of all that changes what it stores; it has {params!r}"
    if not _is_json(dict(params)):
        return f"params={params!r} must be plain JSON: they become part of the cache key"
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


def grain_fault(spec: "Spec", grain: "Grain", expected: "Grain | None", found: Sequence[Observation]) -> str | None:
    """Return the rule that the observations of a grain break.

    Args:
        spec: the analyzer's spec.
        grain: the grain that was yielded.
        expected: the grain that is next in the given order; None after the last one.
        found: its observations.
    """
    if grain != expected:
        return f"grains must come in the order given: {grain.span} came when {expected.span if expected else 'nothing'} was due"
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
        # Only for plug-ins: serializing each detail twice slows storing by 10 %.
        if spec.source and (not isinstance(text, str) or not _is_json(dict(one.detail))):
            return f"text must be a text and detail plain JSON; at {span} they are {text!r} and {one.detail!r}"
    return None


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
