"""Engines as a session would hand them to an analyzer."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from analyzer_agent.protocols import Engine, EngineConfig, Grain, Spec
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, instants


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


def look_once(monkeypatch: pytest.MonkeyPatch, loaded: type, method: str) -> None:
    """Let an engine look at each picture once, however often it is shown: that it finds the same again is tested with the engine."""
    look, known = getattr(loaded, method), dict[Any, Any]()

    def remembered(self: Any, images: Any, *more: Any) -> Any:
        shown = images if isinstance(images, list) else [images]
        key = (repr(more), *(hashlib.blake2b(image.tobytes()).digest() for image in shown))
        if key not in known:
            known[key] = look(self, images, *more)
        return known[key]

    monkeypatch.setattr(loaded, method, remembered)


def grains_of(video: Any, spec: Spec, span: TimeRange, step: int) -> list[Grain]:
    """Return the whole grains of a range with all their instants, as the layer above asks for them."""
    return [Grain(g, step, tuple(instants(g, step, video.picture))) for g in span.grains(spec.grain, video.duration)]


def look_with(spec: Spec, engine: Any, video: Any, step: int, span: TimeRange | None = None) -> list[Observation]:
    """Return all observations of `span`, in whole grains."""
    grains = grains_of(video, spec, span or TimeRange(0, video.duration), step)
    return [seen for _, found in spec.bind({}, engine).analyze(video, grains) for seen in found]
