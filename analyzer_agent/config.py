"""Settings: flags over environment over a TOML file over defaults.

Reads only what it is handed: the caller passes the environment and the file. Knows nothing of what settings are used for.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from string import Template
from typing import Any, Literal

import platformdirs

from analyzer_agent.caches import Caches, user_config
from analyzer_agent.errors import AgentError
from analyzer_agent.timeline import parse

Manager = Literal["auto", "openai", "rules"]
Mode = Literal["manager", "summarizer", "frames", "blind"]
Verify = Literal["auto", "always", "never"]
DEFAULT_MODEL = "gpt-5.4"
ENV_PREFIX = "ANALYZER_AGENT_"


def default_store() -> Path:
    """Return where notes are kept unless told otherwise: a file in the user's data folder."""
    return Path(platformdirs.user_data_dir("analyzer-agent")) / "store.db"


def default_weights() -> Path:
    """Return where weights are fetched to and looked for unless told otherwise, in the user's data folder; it need not exist."""
    return Path(platformdirs.user_data_dir("analyzer-agent")) / "weights"


def default_file() -> Path:
    """Return where settings are looked for unless told otherwise: a file in the user's configuration folder, which need not exist."""
    return Path(platformdirs.user_config_dir("analyzer-agent")) / "config.toml"


def log_folder() -> Path:
    """Return where logs belong; it need not exist."""
    return Path(platformdirs.user_log_dir("analyzer-agent"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session is told. Times are ms, None means no limit or not said. `frames` says how many are shown in the mode of that name."""

    store: Path = field(default_factory=default_store)
    mode: Mode = "manager"
    verify: Verify = "auto"
    frames: int = 16
    manager: Manager = "auto"
    model: str = DEFAULT_MODEL
    base_url: str | None = None
    api: Literal["auto", "responses", "chat"] = "auto"
    api_key: str | None = field(default=None, repr=False)
    tools: tuple[str, ...] | None = None
    engine: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    weights_dir: Path | None = field(default_factory=default_weights)
    caches: Caches = field(default_factory=Caches)
    vision_model: str | None = None
    vocabulary: Path | None = None
    device: str = "auto"
    decoder: str = "cpu"
    offline: bool = False
    start_ms: int | None = None
    end_ms: int | None = None
    max_steps: int = 12
    max_analyzer_ms: int | None = None
    max_tokens: int | None = None
    refresh: bool = False


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Return the settings from flags (values that are None are not said), the environment and a TOML file.

    Raises:
        AgentError: the file cannot be read, or a value is not valid; names the source and the accepted forms.
    """
    merged: dict[str, Any] = {}
    if file is not None:
        merged |= _checked(_read(file), f"{file}")
    from_env = {
        name.removeprefix(ENV_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENV_PREFIX) and value and name.removeprefix(ENV_PREFIX).lower() in _READERS
    }
    merged |= _checked(from_env, "the environment", prefix=ENV_PREFIX)
    merged |= _checked({name: value for name, value in flags.items() if value is not None}, "the command line")
    settings = Settings(**merged)
    return replace(
        settings,
        api_key=settings.api_key or environment.get("OPENAI_API_KEY") or None,
        base_url=settings.base_url or environment.get("OPENAI_BASE_URL") or None,
        caches=caches(environment),
    )


def caches(environment: Mapping[str, str]) -> Caches:
    """Return where huggingface_hub, EasyOCR and ultralytics keep weights under this environment, found as they find it."""

    def said(*names: str) -> Path | None:
        value = next((environment[name] for name in names if environment.get(name)), None)
        return Path(Template(value).safe_substitute(environment)).expanduser() if value else None

    usual = Caches()
    home = said("HF_HOME") or (said("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    ultralytics = said("YOLO_CONFIG_DIR") or (said("XDG_CONFIG_HOME") if sys.platform.startswith("linux") else None) or user_config()
    easyocr = said("EASYOCR_MODULE_PATH", "MODULE_PATH")
    return Caches(
        hub=said("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") or home / "hub",
        easyocr=easyocr / "model" if easyocr else usual.easyocr,
        ultralytics=ultralytics / "Ultralytics" / "settings.json",
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AgentError(f"The settings file {str(file)!r} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AgentError(
            f"The settings file {str(file)!r} is not valid TOML: {error}.", hint='Write lines like: model = "gpt-5.4"'
        ) from error


def _checked(given: Mapping[str, Any], source: str, prefix: str = "") -> dict[str, Any]:
    done: dict[str, Any] = {}
    for name, value in given.items():
        shown = f"{prefix}{name.upper()}" if prefix else name
        if name not in _READERS:
            raise AgentError(f"Unknown setting {shown!r} in {source}.", hint=f"Valid ones: {', '.join(_READERS)}.")
        target, reader = _READERS[name]
        try:
            done[target] = reader(value)
        except (TypeError, ValueError) as error:
            raise AgentError(f"{shown}={value!r} in {source} is not valid: {error}.", hint=_HINTS.get(name, "")) from error
    return done


def _one_of(*valid: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in valid:
            raise ValueError(f"choose one of {', '.join(valid)}")
        return str(value)

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give some text")
    return value.strip()


def _items(value: Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("give names, separated by commas")
    return [item.strip() for item in items if item.strip()]


def _names(value: Any) -> tuple[str, ...]:
    found = tuple(_items(value))
    if not found:
        raise ValueError("give at least one name")
    return found


def _pairs(value: Any) -> dict[str, str]:
    pairs = list(value.items()) if isinstance(value, Mapping) else [item.partition("=")[::2] for item in _items(value)]
    if any(not isinstance(rest, str) or not name.strip() or not rest.strip() for name, rest in pairs):
        raise ValueError("give NAME=VALUE")
    return {name.strip(): rest.strip() for name, rest in pairs}


def _paths(value: Any) -> dict[str, Path]:
    return {name: _path(rest) for name, rest in _pairs(value).items()}


def _path(value: Any) -> Path:
    path = value if isinstance(value, Path) else Path(_text(value))
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{str(path)!r} names the home folder of nobody known here") from error


def _positive(value: Any) -> int:
    whole = re.fullmatch(r"\s*[0-9]{1,18}\s*", str(value)) if isinstance(value, int | str) else None
    if not whole or isinstance(value, bool) or int(value) < 1:
        raise ValueError("give a whole number from 1")
    return int(value)


def _device(value: Any) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(value)):
        raise ValueError("choose one of auto, cpu, cuda, cuda:N, mps")
    return str(value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("give true or false")
    return words[str(value).lower()]


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "store": ("store", _path),
    "mode": ("mode", _one_of("manager", "summarizer", "frames", "blind")),
    "verify": ("verify", _one_of("auto", "always", "never")),
    "frames": ("frames", _positive),
    "manager": ("manager", _one_of("auto", "openai", "rules")),
    "model": ("model", _text),
    "base_url": ("base_url", _text),
    "api": ("api", _one_of("auto", "responses", "chat")),
    "tools": ("tools", _names),
    "engine": ("engine", _pairs),
    "weights": ("weights_dir", _path),
    "weights_for": ("weights", _paths),
    "vision_model": ("vision_model", str),
    "vocabulary": ("vocabulary", _path),
    "device": ("device", _device),
    "decoder": ("decoder", _text),
    "offline": ("offline", _flag),
    "from": ("start_ms", parse),
    "to": ("end_ms", parse),
    "max_steps": ("max_steps", _positive),
    "max_analyzer_seconds": ("max_analyzer_ms", parse),
    "max_tokens": ("max_tokens", _positive),
    "refresh": ("refresh", _flag),
}
"""Each setting as users write it: the field it fills, and how it is read. `weights` alone is the folder where weights lie."""

_HINTS = {
    "device": "For example: --device cuda:0",
    "engine": "For example: engine = speech=pocketsphinx",
    "weights_for": "For example: --weights objects=yolo11n.pt",
    "max_analyzer_seconds": "For example: 120",
}

assert {target for target, _ in _READERS.values()} <= {f.name for f in fields(Settings)}
