"""Registry of analyzers: built-ins by name, plug-ins by entry point, all imported on first use.

The registry knows names and import paths. Loading a plug-in is left to `plugins`.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from analyzer_agent.errors import AgentError, PluginError
from analyzer_agent.protocols import EngineSpec, Spec
from analyzer_agent.tools.plugins import load_plugin

GROUP = "analyzer_agent.analyzers"
"""Entry-point group of third-party analyzers.

Each entry names a `Spec`, or a tuple of a `Spec` and its `EngineSpec`s.
"""

_HERE = "analyzer_agent.tools"

_BUILTIN: dict[str, tuple[str, ...]] = {
    "scenes": ("scenes:SPEC", "engines.pyscenedetect:ENGINE"),
    "subtitles": ("subtitles:SPEC",),
    "speech": ("speech:SPEC", "engines.faster_whisper:WHISPER", "engines.pocketsphinx:ENGINE"),
    "voice": ("voice:SPEC", "engines.faster_whisper:SILERO"),
    "text": ("text:SPEC", "engines.easyocr:ENGINE", "engines.rapidocr:ENGINE"),
    "objects": ("objects:SPEC", "engines.ultralytics:ENGINE"),
    "tracks": ("tracks:SPEC", "engines.ultralytics:TRACKS"),
    "motion": ("motion:SPEC", "engines.opencv:ENGINE"),
    "captions": ("captions:SPEC", "engines.vision:ENGINE", "engines.open_clip:COCA"),
    "tags": ("tags:SPEC", "engines.open_clip:CLIP"),
    "look": ("look:SPEC", "engines.vision:LOOKS"),
    "moments": ("moments:SPEC", "engines.open_clip:FEATURES"),
}
"""Each analyzer with its engines, best first."""

log = logging.getLogger(__name__)


def names() -> list[str]:
    """Return the names of all known analyzers, built-ins first."""
    plugins = [entry.name for entry in entry_points(group=GROUP)]
    return [*_BUILTIN, *sorted(name for name in plugins if name not in _BUILTIN)]


def load(name: str) -> tuple[Spec, Sequence[EngineSpec]]:
    """Import an analyzer and return its spec with its engines, best first.

    Raises:
        AgentError: the name is unknown, or its plug-in cannot be loaded.
    """
    if name in _BUILTIN:
        spec, *engines = (_resolve(place) for place in _BUILTIN[name])
        return spec, engines
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return load_plugin(name, entry)
    raise AgentError(f"Unknown analyzer {name!r}.", hint=f"Choose from: {', '.join(names())}.")


def load_all(wanted: Sequence[str] | None = None) -> dict[str, tuple[Spec, Sequence[EngineSpec]]]:
    """Return the wanted analyzers by name, or all of them.

    A plug-in that cannot be loaded raises if it is in `wanted`; without `wanted` it is skipped
    with a warning.
    """
    found = {}
    for name in wanted if wanted is not None else names():
        try:
            found[name] = load(name)
        except AgentError:
            if wanted is not None:
                raise
            log.warning("the analyzer %r cannot be loaded", name, exc_info=True)
    return found


def broken() -> dict[str, PluginError]:
    """Return the error of each plug-in that cannot be loaded, by name."""
    errors = {}
    for name in names():
        try:
            load(name)
        except PluginError as error:
            errors[name] = error
    return errors


def known(wanted: Iterable[str]) -> dict[str, Spec]:
    """Return the specs of the given analyzers by name; unknown or broken ones are skipped."""
    found = {}
    for name in wanted:
        with suppress(AgentError):
            found[name] = load(name)[0]
    return found


def _resolve(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"{_HERE}.{module}"), attribute)
