"""Resolve the names that people give analyzers: of analyzers, tools, note kinds or engines.

Every command-line option and API that takes an analyzer's name calls this module.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from analyzer_agent.errors import AgentError, did_you_mean
from analyzer_agent.records import KINDS
from analyzer_agent.tools import load_all, names


class ResolvedName(NamedTuple):
    """An analyzer, with the engine if the name was an engine's."""

    analyzer: str
    engine: str = ""


def resolve_name(name: str) -> ResolvedName:
    """Return the analyzer that a name stands for.

    Raises:
        AgentError: the name is unknown, or is an engine of several analyzers.
    """
    if name in names():
        return ResolvedName(name)
    known = load_all()
    for analyzer, (spec, _) in known.items():
        if name == spec.tool or name in spec.kinds or name.removesuffix("s") in spec.kinds:
            return ResolvedName(analyzer)
    having = [analyzer for analyzer, (_, engines) in known.items() if name in (engine.name for engine in engines)]
    if len(having) > 1:
        raise AgentError(f"{name!r} is an engine of several analyzers.", hint=f"Choose from: {', '.join(having)}.")
    if having:
        return ResolvedName(having[0], name)
    guess = did_you_mean(name, names())
    raise AgentError(f"Unknown analyzer {name!r}.", hint=f"{guess} Choose from: {', '.join(names())}.".strip())


def is_alias_of(name: str) -> bool:
    """Tell whether the name stands for an analyzer."""
    try:
        resolve_name(name)
    except AgentError:
        return False
    return True


def resolve_names(given: Iterable[str], engine: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Resolve names of analyzers and the engines chosen for them.

    Args:
        given: names of any kind; the name of an engine also chooses that engine.
        engine: chosen engines by the names of analyzers.

    Returns:
        The analyzers' own names without duplicates, and the chosen engines by these names.

    Raises:
        AgentError: a name is unknown, or two engines are chosen for one analyzer.
    """
    engines = {resolve_name(name).analyzer: engine for name, engine in engine.items()}
    found = [resolve_name(name) for name in given]
    for analyzer, pinned in found:
        if pinned and engines.setdefault(analyzer, pinned) != pinned:
            raise AgentError(f"Two engines are named for {analyzer}: {pinned} and {engines[analyzer]}.", hint="Name one of them.")
    return list(dict.fromkeys(analyzer for analyzer, _ in found)), engines


def resolve_kinds(name: str) -> tuple[str, ...]:
    """Return the kinds of notes for a name: the kind itself, or all kinds of an analyzer.

    Raises:
        AgentError: the name is neither a kind nor an analyzer.
    """
    known = load_all()
    valid = [*KINDS, *sorted({kind for spec, _ in known.values() for kind in spec.kinds} - set(KINDS))]
    if name in valid or name.removesuffix("s") in valid:
        return (name if name in valid else name.removesuffix("s"),)
    for analyzer, (spec, _) in known.items():
        if name in (analyzer, spec.tool):
            return tuple(spec.kinds)
    raise AgentError(f"Unknown kind {name!r}.", hint=did_you_mean(name, valid) or f"Choose from: {', '.join(valid)}.")
