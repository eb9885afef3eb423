"""The contracts between layers. Plug-ins need only this module, `records` and `timeline`."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from analyzer_agent.caches import WeightCaches
from analyzer_agent.contract import analyzer_fault, contract_error, spec_fault
from analyzer_agent.errors import PluginError, Unavailable
from analyzer_agent.records import JSON, Observation, Sample, TokenUsage, ToolCall
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Frame(NamedTuple):
    """A frame: `image` is H x W x 3, uint8, RGB, upright; `t` (requested) and `pts` are ms."""

    t: int
    pts: int
    image: "NDArray[np.uint8]"


class Pixels(NamedTuple):
    """A subset of an image's pixels: the intersection of `columns` and `rows`, both ascending."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]


class Cue(NamedTuple):
    """A subtitle: its span on the presentation timeline and its plain text, with line breaks."""

    span: TimeRange
    text: str


@dataclass(frozen=True, slots=True)
class Track:
    """A track; `number` counts from 1 per type, `source` and `digest` are of a sidecar file."""

    number: int
    codec: str
    language: str = ""
    title: str = ""
    default: bool = False
    source: str = ""
    digest: str = ""


class Video(Protocol):
    """An open media file, as analyzers read it. Times are ms on the presentation timeline."""

    id: str
    path: Path
    duration: int
    picture: TimeRange | None
    """From the start of the first frame to the end of the last one; None without a picture."""
    rate: Fraction
    """Average frames per second; 0 without a picture."""
    size: tuple[int, int]
    """Width and height in pixels, after `rotation` (degrees clockwise)."""
    rotation: int
    audio_tracks: Sequence[Track]
    subtitle_tracks: Sequence[Track]

    def frames(
        self,
        span: TimeRange,
        fps: float | None = None,
        *,
        instants: Sequence[int] | None = None,
        keyframes: bool = False,
        order: Literal["rgb", "bgr"] = "rgb",
        pixels: Pixels | None = None,
    ) -> Iterator[Frame]:
        """Yield frames in time order. The frame shown at t has the last pts <= t, else the first.

        Args:
            span: yield all frames that start in it, unless `fps` or `instants` is given.
            fps: sample `span` on the nested grid that is at least this dense.
            instants: yield the frame shown at each of these times (ms, ascending).
            keyframes: of all frames, yield only key frames: the cheapest way through a long video.
            order: the channel order of the images.
            pixels: the only pixels used; an image may hold just these, rows x columns x 3.
        """

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> "NDArray[np.float32]":
        """Return float32[span.length * rate // 1000], mono, -1..1, silence where there is none.

        `span` may reach beyond the end; `rate` is samples per second; `track` counts from 1.
        """

    def subtitles(self, track: int) -> Sequence[Cue]:
        """Return the cues of a track (from 1) in time order; a cue may end after the video."""


@dataclass(frozen=True, slots=True)
class Grain:
    """A unit of analysis and of commit; `step` is the sampling step in ms, 0 for no sampling.

    `instants` are the times to sample, in ms; those already stored are left out.
    """

    span: TimeRange
    step: int = 0
    instants: tuple[int, ...] = ()


class Vision(Protocol):
    """A model that answers questions about images."""

    model: str

    def describe(self, images: Sequence["NDArray[np.uint8]"], prompt: str, labels: Sequence[str] = ()) -> str:
        """Answer `prompt` about `images` (H x W x 3, uint8, RGB), each preceded by its label."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The user's settings for an engine. A language model can set none of the paths and addresses.

    `weights` is a file or folder to use, `weights_dir` the folder to search first. `vision` is the
    configured vision model, `vocabulary` the user's file of labels. `make_room` is called when
    memory runs out: it evicts an idle engine and returns whether there was one.
    """

    weights: Path | None = None
    weights_dir: Path | None = None
    device: str = "auto"
    offline: bool = False
    vision: Vision | None = None
    vocabulary: Path | None = None
    caches: WeightCaches = field(default_factory=WeightCaches)
    make_room: Callable[[], bool] = field(default=lambda: False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can run here. `weights` names them with a revision, for the cache key.

    `missing` is the reason why it cannot, in one line (None if it can), `fix` a line that helps.
    `device` is the expected one: cpu, cuda, cuda:1, mps or network. `size` is the bytes of the
    weights on disk, or of the download by `fix`; 0 if unknown.
    """

    weights: str = ""
    missing: str | None = None
    fix: str = ""
    device: str = "cpu"
    size: int = 0


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One way of running an analyzer: a library with its weights. `tier` 0 is the best.

    `find` checks package metadata and files: it must take milliseconds, import nothing heavy and
    not use the network. `load` returns the object that the analyzer calls, and may take seconds.
    If that object has a `device`, it is reported; `close()`, if it has one, is called on eviction
    and must free the memory. `unsupported_reason` returns why these options cannot be served
    (None if they can), as fast as `find`; the next engine is then tried. `resource` overrides the
    spec's. `takes_weights`: weights named by the user can be for this engine. Engines with the same
    `model` share one loaded object.
    """

    name: str
    tier: int
    find: Callable[[EngineConfig], Availability]
    load: Callable[[EngineConfig], Any]
    uncertain: bool = False
    about: str = ""
    resource: Literal["cpu", "gpu", "network", ""] = ""
    takes_weights: bool = True
    unsupported_reason: Callable[[EngineConfig, Mapping[str, Any]], str | None] = lambda _config, _options: None
    model: str = ""


class Engine(Protocol):
    """The engine chosen for an analyzer; `get` loads it on first use."""

    name: str
    tier: int
    weights: str
    uncertain: bool
    config: EngineConfig

    @property
    def device(self) -> str:
        """The device it runs on; before loading, the expected one."""

    def get(self) -> Any:
        """Return the loaded object. Call it for each use: the object may be evicted in between."""

    def held(self) -> AbstractContextManager[None]:
        """Return a context manager that keeps the engine loaded."""

    def fits_beside(self, others: Sequence["Engine"]) -> bool:
        """Estimate whether this engine and `others` fit into memory at the same time."""

    def unsupported_reason(self, options: Mapping[str, Any]) -> str | None:
        """Return why the engine cannot serve these options of the analyzer, or None."""


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
    needs_engine: bool = False
    """Whether `factory` needs an engine: `bind` then refuses None."""
    source: str = ""
    """The package and entry point of a plug-in, set by the registry; "" for built-ins."""

    def __post_init__(self) -> None:
        """Check the fields; raise a PluginError that names the field and the rule."""
        if fault := spec_fault(self):
            raise PluginError(f"The spec of an analyzer is not valid: {fault}.", hint="docs/plugins.md lists the fields of Spec.")

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` with the schema's defaults for the missing ones."""
        return {name: schema["default"] for name, schema in self.options_schema.items() if "default" in schema} | dict(options)

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


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply. `state` is opaque (reasoning items) and is sent back with its calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: TokenUsage = TokenUsage()
    state: Any = None


class ChatModel(Protocol):
    """A language model that can call tools. Messages and tools have the Chat Completions format.

    An assistant message may carry `state`, the `Reply.state` it came with; adapters that do not
    recognise it must ignore it.
    """

    manager: str
    model: str

    def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        on_text: Callable[[str], None] | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        must_call: bool = False,
    ) -> Reply:
        """Return the next reply within `timeout` s; stream its text to `on_text`.

        `must_call` requires a tool call, if the model supports that.

        Raises:
            AgentError: the model cannot be reached or refuses; the hint says what to change.
            Cancelled: `cancel` was set.
        """
