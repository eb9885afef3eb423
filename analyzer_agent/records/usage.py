"""The cost of a question, as an answer, an answer file and a score record it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from analyzer_agent.timeline import seconds


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one question; times are ms, and media time counts once per analyzer."""

    llm_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    analyzer_ms: int = 0
    media_ms_analyzed: int = 0
    media_ms_reused: int = 0
    wall_ms: int = 0

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) + getattr(other, name) for name in _KEYS))

    def to_dict(self) -> dict[str, Any]:
        """Return the `usage` object of an answer; times in seconds with three decimals."""
        return {key: seconds(getattr(self, name)) if "_ms" in name else getattr(self, name) for name, key in _KEYS.items()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Usage":
        """Parse what `to_dict` returns; a missing value is 0.

        Raises:
            ValueError: a value is not an amount.
        """
        return cls(**{name: round(_amount(given, key) * (1000 if "_ms" in name else 1)) for name, key in _KEYS.items()})


_KEYS = {name: name.replace("_ms", "_seconds") for name in Usage.__dataclass_fields__}
"""The key of each field in JSON, in the order of the fields."""


def _amount(given: Mapping[str, Any], key: str) -> float:
    value = given.get(key) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{key!r} is {value!r}, not an amount")
    return value
