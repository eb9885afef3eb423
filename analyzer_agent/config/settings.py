"""The settings, each declared once: field, reader, check, and help text."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, cast, get_args

from analyzer_agent.config import readers
from analyzer_agent.config.default_paths import default_store, default_weights
from analyzer_agent.config.readers import Reader
from analyzer_agent.errors import AgentError, did_you_mean
from analyzer_agent.protocols import WeightCaches
from analyzer_agent.timeline import clock, parse

Manager = Literal["auto", "openai", "rules"]
Mode = Literal["manager", "summarizer", "frames", "blind"]
Verify = Literal["auto", "always", "never"]
Api = Literal["auto", "responses", "chat"]
DEFAULT_MODEL = "gpt-5.4"
PathLike: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    Attributes:
        name: the name in a file and, in upper case, in the environment.
        read: converts text or a TOML value.
        help: the help text.
        check: converts a value given by Python code.
        choices: the valid words, if the setting is one of a few.
        optional: whether None is valid: no limit, or not set.
        example: an example for the command line, shown with errors.
        field: the field of `Settings`.
    """

    name: str
    read: Reader
    help: str
    check: Reader
    choices: tuple[str, ...] = ()
    optional: bool = False
    example: str = ""
    field: str = ""

    def refusal(self, shown: str, value: Any, error: Exception, source: str = "") -> AgentError:
        """Return the error for an invalid value.

        Args:
            shown: the setting's name, as the user wrote it.
            value: the value.
            error: the reader's error.
            source: the source of the value, such as a file.
        """
        hint = did_you_mean(value, self.choices) if isinstance(value, str) else ""
        where = f" in {source}" if source else ""
        return AgentError(f"{shown}={value!r}{where} is not valid: {error}.", hint=hint or self.example)


def _setting(
    name: str, read: Any, help: str, *, check: Reader | None = None, example: str = "", optional: bool = False
) -> dict[str, Setting]:
    """Return a field's metadata; `read` is a reader, or a `Literal` of the valid words."""
    choices = get_args(read)
    read = readers.one_of(*choices) if choices else read
    return {"setting": Setting(name, read, help, check or read, choices, optional, example)}


class SessionOverrides(TypedDict, total=False):
    """Fields of `Settings` as keyword arguments of `Session`, which takes `model` separately."""

    store: PathLike
    mode: Mode
    verify: Verify
    frames: int
    manager: Manager
    base_url: str | None
    api: Api
    api_key: str | None
    tools: tuple[str, ...] | list[str] | str | None
    engine: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]]
    weights: PathLike | Mapping[str, PathLike] | Mapping[str, str] | Mapping[str, Path]
    weights_dir: PathLike | None
    caches: WeightCaches
    vision_model: str | None
    vocabulary: PathLike | None
    device: str
    decoder: str
    offline: bool
    start_ms: int | None
    end_ms: int | None
    max_steps: int
    max_analyzer_ms: int | None
    max_tokens: int | None
    refresh: bool


class SettingsGiven(SessionOverrides, total=False):
    """All fields of `Settings`, with the types that Python code may give."""

    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a session. Times are in ms; None means no limit or not set.

    Paths may be given as text. `weights` may be a folder, which is then stored as `weights_dir`, or
    a mapping from analyzers to their own weights. The constructor reads neither the environment nor
    a file: see `load`.

    Raises:
        AgentError: a value is invalid.
    """

    store: Path = field(default_factory=default_store, metadata=_setting("store", readers.path, "The file that notes are stored in."))
    mode: Mode = field(default="manager", metadata=_setting("mode", Mode, "The way of answering questions."))
    verify: Verify = field(
        default="auto",
        metadata=_setting("verify", Verify, "Check in a second model call that the cited notes support the answer."),
    )
    frames: int = field(default=16, metadata=_setting("frames", readers.positive, "The number of frames of each video in mode `frames`."))
    manager: Manager = field(default="auto", metadata=_setting("manager", Manager, "Use a language model or keyword rules."))
    model: str | None = field(
        default=None, metadata=_setting("model", readers.text, f"The language model; {DEFAULT_MODEL} by default.", optional=True)
    )
    base_url: str | None = field(default=None, metadata=_setting("base_url", readers.text, "An OpenAI-compatible server.", optional=True))
    api: Api = field(default="auto", metadata=_setting("api", Api, "The API of the server."))
    api_key: str | None = field(default=None, repr=False)
    tools: tuple[str, ...] | None = field(
        default=None,
        metadata=_setting("tools", readers.names, "Use only these analyzers.", optional=True, example="For example: speech,text"),
    )
    engine: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_setting("engine", readers.pairs, "The engines of analyzers.", example="For example: engine = speech=pocketsphinx"),
    )
    options: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict,
        metadata=_setting(
            *("options", readers.options, "Default options of analyzers."),
            example="For example: --option speech.language=en",
        ),
    )
    weights: Mapping[str, Path] = field(
        default_factory=dict,
        metadata=_setting(
            "weights_for", readers.paths, "Weights of individual analyzers.", example="For example: --weights objects=yolo11n.pt"
        ),
    )
    weights_dir: Path | None = field(
        default_factory=default_weights,
        metadata=_setting(
            *("weights", readers.path, "The weights folder, or weights of individual analyzers."),
            optional=True,
            example="For example: --weights /media/stick, or --weights objects=yolo11n.pt",
        ),
    )
    caches: WeightCaches = field(default_factory=WeightCaches)
    vision_model: str | None = field(
        default=None, metadata=_setting("vision_model", readers.text, "A model at the same endpoint for images.", optional=True)
    )
    vocabulary: Path | None = field(
        default=None, metadata=_setting("vocabulary", readers.path, "A file with labels for tags.", optional=True)
    )
    device: str = field(
        default="auto", metadata=_setting("device", readers.device, "The device for engines.", example="For example: --device cuda:0")
    )
    decoder: str = field(default="cpu", metadata=_setting("decoder", readers.text, "The device for decoding: cpu, auto, cuda ..."))
    offline: bool = field(default=False, metadata=_setting("offline", readers.flag, "Never use the network."))
    start_ms: int | None = field(
        default=None, metadata=_setting("from", parse, "Start at this time.", check=readers.milliseconds, optional=True)
    )
    end_ms: int | None = field(default=None, metadata=_setting("to", parse, "End at this time.", check=readers.milliseconds, optional=True))
    max_steps: int = field(default=12, metadata=_setting("max_steps", readers.positive, "The most steps for one question."))
    max_analyzer_ms: int | None = field(
        default=None,
        metadata=_setting(
            *("max_analyzer_seconds", parse, "The most time that analyzers may run for one question."),
            check=readers.milliseconds,
            optional=True,
            example="For example: 120",
        ),
    )
    max_tokens: int | None = field(
        default=None, metadata=_setting("max_tokens", readers.positive, "The most tokens for one question.", optional=True)
    )
    refresh: bool = field(default=False, metadata=_setting("refresh", readers.flag, "Analyze again, even where notes are stored."))

    if not TYPE_CHECKING:

        def __new__(cls, *given: Any, **named: Any) -> "Settings":
            known = {one.name for one in fields(Settings)}
            for name in named:
                if name not in known:
                    raise unknown(name, known)
            return object.__new__(cls)

    if TYPE_CHECKING:  # the constructor accepts wider types than the fields have

        def __init__(self, **given: Unpack[SettingsGiven]) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            folder, single = _checked(SETTINGS["weights"], "weights", self.weights, readers.weights)
            object.__setattr__(self, "weights", single or {})
            object.__setattr__(self, "weights_dir", folder or self.weights_dir)
        for setting in SETTINGS.values():
            value = getattr(self, setting.field)
            if value is not None or not setting.optional:
                object.__setattr__(self, setting.field, _checked(setting, setting.field, value, setting.check))

        if self.start_ms is not None and self.end_ms is not None and self.end_ms <= self.start_ms:
            span = f"{clock(self.start_ms)}-{clock(self.end_ms)}"
            raise AgentError(f"The range {span} is empty or backwards.", hint="--to must come after --from.")

    def changed(self, **given: Unpack[SettingsGiven]) -> "Settings":
        """Return a copy with other values for some settings.

        Raises:
            AgentError: a setting is unknown, or a value is invalid.
        """
        return replace(self, **cast(dict[str, Any], given))

    @classmethod
    def load(cls, file: PathLike | None = None, environment: Mapping[str, str] | None = None) -> "Settings":
        """Load settings as the command line does: the environment, then a file, then defaults.

        Args:
            file: a TOML file; by default the one named by `ANALYZER_AGENT_CONFIG`, else
                `default_file()` if it exists.
            environment: environment variables, by default those of this process.

        Raises:
            AgentError: a variable or setting is unknown, a value is invalid, or the file cannot be
                read.
        """
        from analyzer_agent.config.sources import chosen_file, load

        environment = os.environ if environment is None else environment
        return load({}, environment, chosen_file(file, environment))


SETTINGS: dict[str, Setting] = {
    setting.name: replace(setting, field=one.name) for one in fields(Settings) for setting in one.metadata.values()
}
"""All settings, by the names that users write."""


_SPEECH_OPTIONS = ("language", "hotwords", "track")


def option_hint(name: str) -> str:
    """Return a hint for an analyzer's option that is given as a setting, "" for any other name."""
    if name not in _SPEECH_OPTIONS:
        return ""
    return f"It is an option of speech: options = {{'speech': {{{name!r}: ...}}}}, in a file [options.speech] with the line {name} = ..."


def unknown(name: str, known: set[str]) -> AgentError:
    """Return the error for an unknown setting; `known` are the valid names."""
    hint = f"In Python it is {SETTINGS[name].field}." if name in SETTINGS else option_hint(name) or did_you_mean(name, known)
    return AgentError(f"Unknown setting {name!r}.", hint=hint or f"Valid ones: {', '.join(sorted(known))}.")


def _checked(setting: Setting, shown: str, value: Any, read: Reader) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise setting.refusal(shown, value, error) from error
