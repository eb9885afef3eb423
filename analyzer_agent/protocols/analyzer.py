"""`Spec` and `Analyzer`: how a plug-in describes and implements an analyzer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from analyzer_agent.contract import analyzer_fault, contract_error, spec_fault
from analyzer_agent.errors import PluginError, Unavailable
from analyzer_agent.protocols.engine import Engine
from analyzer_agent.protocols.video import Video
from analyzer_agent.records import JSON, Observation, Sample
from analyzer_agent.timeline import TimeRange


@dataclass(frozen=True, slots=True)
class Grain:
    """A unit of analysis and of commit; `step` is the sampling step in ms, 0 for no sampling.

    `instants` are the times to sample, in ms; those already stored are left out. `parts` are the
    only parts of `span` that are examined, if it is not examined whole. `spacing` is the time between
    frames in ms that an exact analyzer chose, which is told with its coverage.
    """

    span: TimeRange
    step: int = 0
    instants: tuple[int, ...] = ()
    parts: tuple[TimeRange, ...] = ()
    spacing: int = 0

    @property
    def examined(self) -> tuple[TimeRange, ...]:
        """The parts that are examined."""
        return self.parts or (self.span,)

    @property
    def media_ms(self) -> int:
        """The media time that is examined, in ms."""
        return sum(part.length for part in self.examined)


class Analyzer(Protocol):
    """An analyzer bound to its options and engine; turns grains of a video into observations."""

    version: str
    engine: str
    params: Mapping[str, JSON]
    """Everything else that changes what is stored (no filters), as plain JSON; in the cache key."""
    lane: str = ""
    grain: int = 0
    """The grain in ms, if the options decide it; 0 for the spec's."""

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield every grain, in the given order, with the observations in it (possibly none).

        Observations lie within their grain; longer events are cut and marked `continues`. A result
        depends only on the grain and `Spec.context` ms around it, never on the other grains.
        """

    def search(self, samples: Sequence[Sample], filters: Mapping[str, Any]) -> Iterator[Observation]:
        """Yield the observations in `samples` (in time order) that match `filters`, best first."""
        return iter(())

    def inputs(self, video: Video) -> Mapping[str, JSON]:
        """Return further inputs, such as the hash of a sidecar file; part of the cache key."""
        return {}

    def request_grains(self, video: Video) -> Sequence[Grain]:
        """Return the grains of a call, in time order and disjoint; see `Spec.exact`."""
        return ()

    def request_text(self, video: Video, span: TimeRange) -> str:
        """Return what a call examines within `span`, as in "8 frames, 0:05-0:06.9"; see `Spec.exact`."""
        return ""

    def effort(self, video: Video) -> float:
        """Return how much more work a video is than one of usual size, for estimates."""
        return 1.0

    def limits(self, video: Video) -> str:
        """Return what is too small to be found in the video, such as "letters lower than 16 pixels are not read"."""
        return ""

    def facts(self) -> Mapping[str, JSON]:
        """Return facts about the loaded engine, such as `{"classes": [...]}`; may load weights."""
        return {}


@dataclass(frozen=True, slots=True)
class Spec:
    """The static description of an analyzer; creating it loads nothing.

    `tool` and `description` are what the language model sees. `grain` (0: the whole video), `step`
    (default sampling step; 0: not sampled) and `context` (readable around a grain) are in ms.
    `options_schema` and `filters_schema` are JSON-schema properties: options change what is stored,
    filters only what is read. `needs` is what the video must have. Calls with the same `resource`
    do not run in parallel. `required` are arguments that the model must give in addition to the
    ranges; such an analyzer is left out when all run without a question. `searched`: it stores a
    `Sample` per instant and `Analyzer.search` selects from them; the filters include `limit`.
    """

    name: str
    tool: str
    description: str
    grain: int
    factory: Callable[[Mapping[str, Any], Any], Analyzer]
    kinds: tuple[str, ...]
    options_schema: Mapping[str, Any] = field(default_factory=dict)
    filters_schema: Mapping[str, Any] = field(default_factory=dict)
    resource: Literal["cpu", "gpu", "network"] = "cpu"
    context: int = 0
    step: int = 0
    needs: Literal["picture", "audio", "subtitles", ""] = ""
    required: tuple[str, ...] = ()
    searched: bool = False
    select: Callable[[Observation, Mapping[str, Any]], Observation | None] | None = None
    """Applies the filters on reading: returns the observation to show, or None to drop it."""
    like: tuple[str, float] | None = None
    """(name, factor): an analyzer whose user-named weights apply here too, and this one's speed
    relative to it, which serves as an estimate until it is measured."""
    settle: Callable[[Mapping[str, Any], Video], Mapping[str, Any]] | None = None
    """Replaces option values that mean another one in each video, such as the default audio track."""
    needs_engine: bool = False
    """Whether `factory` needs an engine: `bind` then refuses None."""
    exact: bool = False
    """Whether a call is a unit of its own: its ranges, not merged or snapped, are the option
    `ranges`, and `Analyzer.request_grains` makes the grains. An option `compare` may replace them.
    `grain` is then the longest time between frames at which a claim on a whole range may rest on them."""
    source: str = ""
    """The package and entry point of a plug-in, set by the registry; "" for built-ins."""

    def __post_init__(self) -> None:
        """Check the fields; raise a PluginError that names the field and the rule."""
        if fault := spec_fault(self):
            raise PluginError(f"The spec of an analyzer is not valid: {fault}.", hint="docs/plugins.md lists the fields of Spec.")

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` with the schema's defaults for the missing ones."""
        return {name: schema["default"] for name, schema in self.options_schema.items() if "default" in schema} | dict(options)

    def settled(self, options: Mapping[str, Any], video: Video) -> Mapping[str, Any]:
        """Return the options of a call on `video`: with the schema's defaults, and settled."""
        complete = self.complete(options)
        return self.settle(complete, video) if self.settle else complete

    def bind(self, options: Mapping[str, Any], engine: Engine | None = None) -> Analyzer:
        """Return the analyzer for these options; missing ones take the schema's default.

        Raises:
            Unavailable: an engine is needed and none is given.
            PluginError: the factory of a plug-in returns an invalid analyzer.
        """
        if self.needs_engine and engine is None:
            raise Unavailable(f"{self.tool} needs an engine.", hint="`analyzer-agent doctor` says what to install.")
        analyzer = self.factory(self.complete(options), engine)
        if fault := analyzer_fault(analyzer):
            raise contract_error(self, fault)
        return analyzer
