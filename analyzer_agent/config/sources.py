"""Sources of settings: flags override the environment, which overrides a TOML file.

Reads only the flags, variables and file that the caller passes.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analyzer_agent.config import readers
from analyzer_agent.config.default_paths import caches, default_file
from analyzer_agent.config.effort import with_effort
from analyzer_agent.config.overrides import PathLike
from analyzer_agent.config.setting import unknown_setting
from analyzer_agent.config.settings import SETTINGS, Settings
from analyzer_agent.errors import AgentError, near

ENV_PREFIX = "ANALYZER_AGENT_"
FILE_VARIABLE = f"{ENV_PREFIX}CONFIG"
"""The variable with the path of the settings file."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings from one source: `values` by field of `Settings`."""

    source: str
    values: Mapping[str, Any]


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Load settings.

    Args:
        flags: values by setting name; None means not given.
        environment: environment variables.
        file: a TOML file.

    Raises:
        AgentError: the file cannot be read, a setting is unknown, or a value is invalid.
    """
    merged: dict[str, Any] = {}
    for layer in layers(flags, environment, file):
        options = _together(merged.get("options", {}), layer.values.get("options", {}))
        merged |= with_effort(layer.values)
        merged["options"] = options
    return replace(Settings(**merged), caches=caches(environment))


def layers(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> list[Layer]:
    """Return the settings of each source in ascending precedence; arguments as for `load`.

    Raises:
        AgentError: see `load`.
    """
    sdk = {"api_key": environment.get("OPENAI_API_KEY"), "base_url": environment.get("OPENAI_BASE_URL")}
    ours = {name for name in environment if name.startswith(ENV_PREFIX)} - {FILE_VARIABLE}
    prefixed = {name.removeprefix(ENV_PREFIX).lower(): environment[name] for name in ours if environment[name]}
    said = {name: value for name, value in flags.items() if value is not None}
    return [
        Layer("environment", {name: value for name, value in sdk.items() if value}),
        *([Layer("file", _read(_parsed(file), str(file)))] if file else ()),
        Layer("environment", _read(prefixed, "the environment", variable)),
        Layer("flag", _read(said, "the command line")),
    ]


def chosen_file(given: PathLike | None, environment: Mapping[str, str]) -> Path | None:
    """Return `given`, else the file that the environment names, else the default if it exists."""
    named = given or environment.get(FILE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return default_file() if default_file().is_file() else None


def _together(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Merge analyzer options option by option; `after` wins."""
    return {name: {**before.get(name, {}), **after.get(name, {})} for name in {**before, **after}}


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AgentError(f"The settings file {str(file)!r} cannot be read: {error.strerror}.", hint=near(file)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AgentError(
            f"The settings file {str(file)!r} is not valid TOML: {error}.", hint='Write lines like: model = "gpt-5.4"'
        ) from error


def variable(name: str) -> str:
    """Return the environment variable of the setting `name`."""
    return f"{ENV_PREFIX}{name.upper()}"


def _read(given: Mapping[str, Any], source: str, shown: Callable[[str], str] = str) -> dict[str, Any]:
    done: dict[str, Any] = {}
    for name, value in given.items():
        if name not in SETTINGS:
            raise unknown_setting(name, SETTINGS, source, shown)
        setting = SETTINGS[name]
        try:
            if name == "weights":
                done |= _weights(value)
            else:
                done[setting.field] = setting.read(value)
        except (TypeError, ValueError) as error:
            raise setting.refusal(shown(name), value, error, source) from error
    return done


def _weights(value: Any) -> dict[str, Any]:
    """Return the fields set by `weights`: the folder, paths of single analyzers, or both."""
    folder, single = readers.weights(value)
    return ({"weights_dir": folder} if folder else {}) | ({"weights": single} if single else {})
