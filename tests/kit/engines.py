"""Engines as a session would hand them to an analyzer."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from analyzer_agent.protocols import Engine, EngineConfig


class LoadedEngine(Engine):
    """An engine on the CPU that needs no loading; `get` returns itself unless a test says what."""

    name = "fake"
    tier = 0
    weights = ""
    uncertain = False
    config = EngineConfig()

    @property
    def device(self) -> str:
        return "cpu"

    def get(self) -> Any:
        return self

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def fits_beside(self, others: Sequence[Engine]) -> bool:
        return True

    def unsupported_reason(self, options: Mapping[str, Any]) -> str | None:
        return None


class Ready(LoadedEngine):
    """An engine whose loaded object is given."""

    def __init__(self, loaded: Any, name: str = "fake", uncertain: bool = False) -> None:
        self.loaded, self.name, self.uncertain = loaded, name, uncertain

    def get(self) -> Any:
        return self.loaded
