"""The declaration of a setting, from which field, file reader, variable, flag and documentation are made."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from analyzer_agent.config import readers
from analyzer_agent.config.readers import Reader
from analyzer_agent.errors import AgentError, did_you_mean


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting: a field, a line of a file, a variable and a flag.

    Attributes:
        read: converts text or a TOML value.
        help: the help text, one sentence.
        check: converts a value given by Python code.
        choices: the valid words, if the setting is one of a few.
        optional: whether None is valid: no limit, or not set.
        example: an example for the command line, shown with errors.
        usual: the default in words, if the default itself does not tell it.
        more: further help, shown with the flag only.
        metavar: the flag's value in the help; "" if the flag takes none, or one of `choices`.
        heading: the heading of the flag in the help.
        rare: whether only `--help-all` shows the flag.
        flags: the flag; "" for the usual one, None for none.
        repeats: whether the flag may be repeated.
        name: the name in a file and, in upper case, in the environment.
        field: the field of `Settings`.
        default: the default of the field.
    """

    read: Reader
    help: str
    check: Reader
    choices: tuple[str, ...] = ()
    optional: bool = False
    example: str = ""
    usual: str = ""
    more: str = ""
    metavar: str = ""
    heading: str = "Analyzers"
    rare: bool = False
    flags: tuple[str, ...] | None = ()
    repeats: bool = False
    name: str = ""
    field: str = ""
    default: Any = None

    @property
    def usual_text(self) -> str:
        """Return the default for people, "" if there is none."""
        return self.usual or ("" if self.default is None or isinstance(self.default, bool) else str(self.default))

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

    def checked(self, shown: str, value: Any, read: Reader | None = None) -> Any:
        """Convert a value given by Python code, with `check` unless another reader is given.

        Raises:
            AgentError: it is invalid.
        """
        try:
            return (read or self.check)(value)
        except (TypeError, ValueError) as error:
            raise self.refusal(shown, value, error) from error


def setting(read: Any, help: str, default: Any = None, *, check: Reader | None = None, **more: Any) -> Any:
    """Declare a field of `Settings`; `read` is a reader or a `Literal`, a callable default makes the value."""
    choices = get_args(read)
    reader: Reader = readers.one_of(*choices) if choices else read
    usual: dict[str, Any] = {"default_factory": default} if callable(default) else {"default": default}
    return dataclasses.field(metadata={"setting": Setting(reader, help, check or reader, choices, **more)}, **usual)


def declared(settings: type) -> Iterator[Setting]:
    """Yield the settings that the fields of a dataclass declare."""
    for one in dataclasses.fields(settings):
        if "setting" in one.metadata:
            found: Setting = one.metadata["setting"]
            default = None if one.default is dataclasses.MISSING else one.default
            yield dataclasses.replace(found, name=found.name or one.name, field=one.name, default=default)


_SPEECH_OPTIONS = ("language", "hotwords", "track")


def unknown_setting(name: str, valid: Iterable[str], source: str = "", shown: Callable[[str], str] = str, hint: str = "") -> AgentError:
    """Return the error for an unknown setting.

    Args:
        name: the name that was given.
        valid: the valid names.
        source: where it was given, such as a file.
        shown: turns a name into its form in that source.
        hint: what to write instead, if that is known.
    """
    hint = hint or did_you_mean(name, valid, shown) or f"Valid ones: {', '.join(map(shown, valid))}."
    if name in _SPEECH_OPTIONS:
        written = f"options = {{'speech': {{{name!r}: ...}}}}, in a file [options.speech] with the line {name} = ..."
        hint = f"It is an option of speech: {written}"
    return AgentError(f"Unknown setting {shown(name)!r}{f' in {source}' if source else ''}.", hint=hint)
