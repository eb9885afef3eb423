"""The errors of this package, by addressee.

The CLI prints an `AgentError`; the toolbox returns a `ToolRefusal` to the model.
"""

import difflib
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from analyzer_agent.installing import install_extra, pip_install, reinstall_opencv


class AgentError(Exception):
    """An error that a person can fix; `hint` says how."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"Hint: {hint}")  # tracebacks print notes below the message


class MediaError(AgentError):
    """A media file cannot be read; the message names the file and the fault."""


class StoreError(AgentError):
    """The store cannot be opened, read or written."""


class Unavailable(AgentError):
    """An analyzer cannot run on this machine: a package, weights or a device is missing."""


class PluginError(AgentError):
    """A plug-in cannot be loaded or breaks the contract of analyzers.

    The message names the package, the entry point and the rule.
    """


class Cancelled(Exception):
    """The user interrupted the question; finished grains stay stored.

    Not an `AgentError`: nothing is wrong, so error handlers must not report it.
    """

    def __init__(self, message: str = "The question was stopped; finished work is stored.") -> None:
        super().__init__(message)


class ToolRefusal(Exception):
    """A tool call that cannot be executed: the model gets the text, the conversation continues.

    Attributes:
        shown: the reason that people are shown; by default the text for the model.
    """

    def __init__(self, message: str, *, shown: str = "") -> None:
        super().__init__(message)
        self.shown = shown


def did_you_mean(given: str, valid: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """Return a hint with the valid words most similar to `given`, or ""; see `similar`."""
    found = similar(given, valid, shown)
    return f"Did you mean {found}?" if found else ""


def similar(given: str, valid: Iterable[str], shown: Callable[[str], str] = str) -> str | None:
    """Return up to three words similar to `given`, as `'speech' or 'scenes'`; None without any.

    Args:
        given: the invalid word.
        valid: the valid words.
        shown: formats a word for the text.
    """

    def likeness(word: str) -> float:
        return difflib.SequenceMatcher(None, given.lower(), word.lower()).ratio()

    scores = {word: likeness(word) for word in valid}
    best = max(scores.values(), default=0)
    near = [repr(shown(word)) for word, score in scores.items() if score >= max(0.6, best - 0.1)]
    return " or ".join(near[:3]) or None


def near(path: Path, otherwise: str = "Check the path.") -> str:
    """Return a hint for a missing path: similar names in the same folder, or `otherwise`."""
    try:
        known = {} if path.exists() else {other.stem: other for other in path.parent.iterdir()}
    except (OSError, ValueError):
        known = {}
    return did_you_mean(path.stem, known, lambda stem: str(known[stem])) or otherwise


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: the module to import.
        extra: the extra of analyzer-agent that installs it.
        purpose: the feature that needs it, for the message.

    Raises:
        Unavailable: the package is missing or cannot be loaded; the hint says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
            raise Unavailable(f"{purpose} needs {module!r}, which is not installed.", hint=install_extra(extra)) from error
        repair = reinstall_opencv() if "libGL" in str(error) else pip_install("--force-reinstall", module.partition(".")[0])
        raise Unavailable(f"{purpose} needs {module!r}, which is installed but cannot be loaded: {error}.", hint=repair) from error
