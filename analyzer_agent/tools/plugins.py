"""Load analyzers of other packages from their entry points and hold them to the contract.

Every fault of a plug-in becomes a `PluginError` with its package, its entry point and the cause.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from importlib.metadata import EntryPoint
from typing import Any

from analyzer_agent.errors import AgentError, Cancelled, PluginError, ToolRefusal
from analyzer_agent.protocols import EngineSpec, Spec


def load_plugin(name: str, entry: EntryPoint) -> tuple[Spec, Sequence[EngineSpec]]:
    """Import a plug-in and return its spec and engines.

    Raises:
        PluginError: the entry point cannot be imported, or names neither a valid Spec nor a tuple
            of a Spec and EngineSpecs.
    """
    plugin = _Plugin(name, entry)
    try:
        loaded = entry.load()
    except PluginError as error:
        raise plugin.error(f"cannot be loaded. {str(error).rstrip('.')}") from error
    except Exception as error:
        raise plugin.error(f"cannot be loaded: {type(error).__name__}: {error}") from error
    spec, *engines = loaded if isinstance(loaded, tuple) and loaded else (loaded,)
    if not isinstance(spec, Spec):
        raise plugin.error(f"is not a Spec: its entry point names a {type(spec).__name__}, not a Spec or a tuple of a Spec and EngineSpecs")
    if strange := [engine for engine in engines if not isinstance(engine, EngineSpec)]:
        raise plugin.error(f"has an engine that is no EngineSpec but a {type(strange[0]).__name__}")
    if spec.name != name:
        raise plugin.error(f"calls itself {spec.name!r}: its entry point and its Spec must have the same name")
    return plugin.spec(spec), [plugin.engine(engine) for engine in engines]


def source_of(entry: EntryPoint) -> str:
    """Return the package and the entry point of a plug-in, for messages."""
    # A package without the file METADATA has neither a name nor a version.
    metadata = entry.dist.metadata if entry.dist else None
    named = bool(metadata and "Name" in metadata and "Version" in metadata)
    package = f"package {metadata['Name']} {metadata['Version']}" if metadata and named else "a package without metadata"
    return f"{package}, entry point {entry.name} = {entry.value}"


def clash_error(name: str, entry: EntryPoint, rule: str) -> PluginError:
    """Return the error of a plug-in whose name or tool is taken."""
    return PluginError(
        f"The analyzer {name!r} ({source_of(entry)}) cannot be used: {rule}.",
        hint="Its author must choose another name. Until then uninstall the package.",
    )


class _Plugin:
    """A plug-in's name and entry point; wraps its functions so that errors name the plug-in."""

    def __init__(self, name: str, entry: EntryPoint) -> None:
        self._name = name
        self.source = source_of(entry)

    def error(self, fault: str) -> PluginError:
        return PluginError(f"The analyzer {self._name!r} ({self.source}) {fault}.", hint="Repair or uninstall the package that brings it.")

    def spec(self, spec: Spec) -> Spec:
        select = spec.select and self._guarded(spec.select, "select")
        return replace(spec, source=self.source, factory=self._guarded(spec.factory, "its factory"), select=select)

    def engine(self, engine: EngineSpec) -> EngineSpec:
        which = f"of the engine {engine.name!r}"
        return replace(
            engine,
            find=self._guarded(engine.find, f"find {which}"),
            load=self._guarded(engine.load, f"load {which}"),
            unsupported_reason=self._guarded(engine.unsupported_reason, f"unsupported_reason {which}"),
        )

    def _guarded(self, call: Callable[..., Any], what: str) -> Callable[..., Any]:
        @wraps(call)
        def run(*arguments: Any, **named: Any) -> Any:
            try:
                return call(*arguments, **named)
            except (AgentError, ToolRefusal, Cancelled, MemoryError):
                raise
            except Exception as error:
                raise self.error(f"failed in {what}: {type(error).__name__}: {error}") from error

        return run
