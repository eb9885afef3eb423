"""How much to spend on a question: one word that sets steps, verification and frames together."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

Effort = Literal["quick", "normal", "deep"]
Verify = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class EffortSettings:
    """The settings that an effort sets together."""

    max_steps: int
    verify: Verify
    frames: int

    def __str__(self) -> str:
        return f"{self.max_steps} steps, verify {self.verify}, {self.frames} frames"


EFFORTS: Mapping[Effort, EffortSettings] = {
    "quick": EffortSettings(6, "never", 8),
    "normal": EffortSettings(12, "auto", 16),
    "deep": EffortSettings(24, "always", 32),
}


def with_effort(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which an effort sets what is not given beside it, whatever was set before."""
    return {**(dict.fromkeys(one.name for one in fields(EffortSettings)) if given.get("effort") else {}), **given}
