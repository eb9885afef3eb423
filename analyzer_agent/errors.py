"""The two kinds of error, told apart by who can act on them.

Knows nothing of where errors are shown: the CLI prints `AgentError`, the toolbox hands `ToolRefusal` to the model.
"""

import difflib
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from analyzer_agent.installing import install_extra, pip_install, reinstall_opencv


class AgentError(Exception):
    """Something a person can fix; `hint` says how."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"Hint: {hint}")  # shown below the message in tracebacks


class MediaError(AgentError):
    """A media file cannot be read: names the file, what is wrong, and what still works."""


class StoreError(AgentError):
    """The store cannot be opened, read or written."""


class Unavailable(AgentError):
    """An analyzer cannot run here: a package, weights or a device is missing."""


class PluginError(AgentError):
    """A plug-in cannot be loaded or breaks the contract of analyzers: names its package, its entry point and the rule."""


class Cancelled(Exception):
    """The user interrupted; what was finished is kept.

    No `AgentError`: nothing is wrong, and code that tells errors to a person must not take it for one.
    """

    def __init__(self, message: str = "The question was stopped; what was finished is kept.") -> None:
        super().__init__(message)


class ToolRefusal(Exception):
    """A tool call that cannot be carried out: the text goes back to the model, the conversation goes on."""


def did_you_mean(given: str, valid: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """Return a hint that names the valid words nearest to what was given, as `shown` writes them, or "" if none is near."""

    def likeness(word: str) -> float:
        return difflib.SequenceMatcher(None, given.lower(), word.lower()).ratio()

    scores = {word: likeness(word) for word in valid}
    best = max(scores.values(), default=0)
    near = [repr(shown(word)) for word, score in scores.items() if score >= max(0.6, best - 0.1)]
    return f"Did you mean {' or '.join(near[:3])}?" if near else ""


def near(path: Path, otherwise: str = "Check the path.") -> str:
    """Return a hint for a path that does not exist: files of similar names in the same folder, else the hint given."""
    try:
        known = {} if path.exists() else {other.stem: other for other in path.parent.iterdir()}
    except (OSError, ValueError):
        known = {}
    return did_you_mean(path.stem, known, lambda stem: str(known[stem])) or otherwise


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which feature needs it and what to install.

    Raises:
        Unavailable: the package is not installed, or it is and cannot be loaded.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
            raise Unavailable(f"{purpose} needs {module!r}, which is not installed.", hint=install_extra(extra)) from error
        repair = reinstall_opencv() if "libGL" in str(error) else pip_install("--force-reinstall", module.partition(".")[0])
        raise Unavailable(f"{purpose} needs {module!r}, which is installed but cannot be loaded: {error}.", hint=repair) from error
