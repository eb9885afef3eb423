"""The contracts between layers: videos, analyzers and their engines, language models.

Knows nothing of the libraries behind them. A plug-in needs this module, `records` and `timeline`, and no other.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from analyzer_agent.caches import WeightCaches
from analyzer_agent.contract import analyzer_fault, contract_error, spec_fault
from analyzer_agent.errors import PluginError
from analyzer_agent.records import JSON, Observation, Sample, TokenUsage, ToolCall
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Frame(NamedTuple):
    """A picture: `t` is the instant asked for, `pts` when the frame really appears (both ms); `image` is H x W x 3 bytes."""

    t: int
    pts: int
    image: "NDArray[np.uint8]"


class Pixels(NamedTuple):
    """Some pixels of a picture: those that lie in one of these columns and one of these rows, both ascending."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]


class Cue(NamedTuple):
    """A subtitle: its span on the presentation timeline and its plain text, line breaks kept."""

    span: TimeRange
    text: str


@dataclass(frozen=True, slots=True)
class Track:
    """An audio or subtitle track. `number` counts from 1 within its type; `source` names the sidecar file, if it is one."""

    number: int
    codec: str
    language: str = ""
    title: str = ""
    default: bool = False
    source: str = ""
    digest: str = ""


class Video(Protocol):
    """A media file, opened: what analyzers read. Times are ms on the presentation timeline."""

    id: str
    path: Path
    duration: int
    picture: TimeRange | None
    """From the first frame to the end of the last one; None for audio only."""
    rate: Fraction
    """Average frames per second; 0 without a picture."""
    size: tuple[int, int]
    """Width and height in pixels, after rotation."""
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
        """Yield frames in time order: the ones shown at `instants`; or on the grid of `fps`; or every frame that starts in `span`.

        The frame shown at t is the last one with pts <= t; before the first frame it is the first. With `keyframes`, of every frame
        only the key frames, at their own times: the cheapest look at a long video. `pixels` names the only ones that matter: an image
        may come with these alone, or whole.
        """
        ...

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> "NDArray[np.float32]":
        """Return mono samples in -1..1, exactly `span.length * rate / 1000` of them, silence where the track has none."""
        ...

    def subtitles(self, track: int) -> Sequence[Cue]:
        """Return all cues of a track in time order; a cue may end after the video does."""
        ...


@dataclass(frozen=True, slots=True)
class Grain:
    """A unit of analysis: a piece of the timeline and, for analyzers that sample, which instants of it are wanted.

    `step` is the sampling step in ms (0: not sampled). Instants that are stored already are left out of `instants`.
    """

    span: TimeRange
    step: int = 0
    instants: tuple[int, ...] = ()


class Vision(Protocol):
    """A model that answers questions about pictures."""

    model: str

    def describe(self, images: Sequence["NDArray[np.uint8]"], prompt: str, labels: Sequence[str] = ()) -> str:
        """Return the model's answer to `prompt` about RGB `images`; before each it is told its label, where there are any."""
        ...


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What the user said about an engine: own weights, where weights lie, device, whether the network may be used.

    `vision` is there when the user named a vision model that may be asked; `vocabulary` is the user's own file of labels. Neither can be
    set by a language model: a path or an address must not come from what a video shows. `make_room` is called when memory ran out: it
    throws out an engine that nobody uses at the moment, and tells whether there was one.
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
    """Whether an engine can run here. `weights` names them with their revision (part of the cache key).

    `missing` says in one line why it cannot run ("" when it can), `fix` how to change that. `device` is where it would run, as far as
    can be told from files: cpu, cuda, cuda:1, mps, or network; `size` is the bytes of the weights on disk, or of what `fix` brings; 0 where
    that says nothing.
    """

    weights: str = ""
    missing: str = ""
    fix: str = ""
    device: str = "cpu"
    size: int = 0


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One way of running an analyzer: a library with its weights. `tier` 0 is best.

    `find` looks at package specs and files only: it imports nothing heavy, touches no network, and takes milliseconds.
    `load` gives the object that the analyzer calls; it may take seconds. Where that object has a `device`, this is where it really runs;
    where it has a `close`, this is called when it is thrown out, and gives its memory back.
    `unsupported_reason` says in one line why these options cannot be served ("" when they can), as quickly as `find`: the next engine
    steps in. `resource` is what it uses, if not what the analyzer's spec says; `takes_weights` tells whether weights that the user names
    can be meant for it. `model` names what is loaded, where engines of several analyzers load the same: it is loaded once for all.
    """

    name: str
    tier: int
    find: Callable[[EngineConfig], Availability]
    load: Callable[[EngineConfig], Any]
    uncertain: bool = False
    about: str = ""
    resource: Literal["cpu", "gpu", "network", ""] = ""
    takes_weights: bool = True
    unsupported_reason: Callable[[EngineConfig, Mapping[str, Any]], str] = lambda _config, _options: ""
    model: str = ""


class Engine(Protocol):
    """An engine that was chosen for an analyzer; `get` loads it at first use and keeps it warm."""

    name: str
    tier: int
    weights: str
    uncertain: bool
    config: EngineConfig

    @property
    def device(self) -> str:
        """Where it runs; before it is loaded, where it is expected to."""
        ...

    def get(self) -> Any:
        """Return the loaded engine. Ask for it each time: between two uses it may have been thrown out to make room for another."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep it loaded while the block runs."""
        ...

    def fits_beside(self, others: Sequence["Engine"]) -> bool:
        """Tell whether the memory is large enough for it and these others at once, as far as can be told."""
        ...

    def unsupported_reason(self, options: Mapping[str, Any]) -> str:
        """Return why these options of the analyzer cannot be served, or ""."""
        ...


class Analyzer(Protocol):
    """An analyzer with its options and engine bound: finds things in grains of a video."""

    version: str
    engine: str
    params: Mapping[str, JSON]
    """All that changes what is stored, apart from version, engine and weights. Filters are not among it."""
    lane: str = ""
    grain: int = 0
    """Its own unit of analysis in ms, where the options decide it; 0: the spec's."""

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with what was found in it, in order, empty ones included.

        No observation crosses its grain; what lasts longer is cut at the edge and marked `continues`. What is found in a grain
        depends on that grain and at most `Spec.context` around it, never on which grains are asked together.
        """
        ...

    def search(self, samples: Sequence[Sample], filters: Mapping[str, Any]) -> Iterator[Observation]:
        """Yield what of the stored samples, in time order, the filters ask for, best first."""
        return iter(())

    def inputs(self, video: Video) -> Mapping[str, JSON]:
        """Return what is read beside picture and sound, such as the digest of a sidecar file: it becomes part of the key."""
        return {}

    def facts(self) -> Mapping[str, JSON]:
        """Return what the loaded engine knows of itself, such as `{"classes": [...]}`; may load weights."""
        return {}


@dataclass(frozen=True, slots=True)
class Spec:
    """What an analyzer is, before anything is loaded.

    `options_schema` and `filters_schema` are JSON-schema properties: options change what is stored, filters only what is read.
    `grain` and `context` are ms; a `grain` of 0 is the whole video. `step` is the default sampling step in ms, 0 if the analyzer
    does not sample. `needs` names what the video must have. `resource` tells which calls may run side by side.
    `required` names the arguments that a model must give beside the ranges: such an analyzer answers to them alone, so it is left out
    where all analyzers run without a question. `searched` says that it stores a `Sample` for each instant, and that what is read is
    what `Analyzer.search` finds among them; its filters hold a `limit`.
    """

    name: str
    tool: str
    description: str
    grain: int
    factory: Callable[[Mapping[str, Any], Engine | None], Analyzer]
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
    """Applies the filters on reading: the observation as it is to be shown, or None to leave it out."""
    like: tuple[str, float] | None = None
    """An analyzer that runs the same weights, and which share of its speed this one reaches: weights that the user names for that one
    are for this one too, and its speed tells what to expect until this one was measured."""
    source: str = ""
    """The package and entry point of a plug-in, which the registry fills in; "" for built-ins."""

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            PluginError: a field breaks a rule; names the field and what it must be.
        """
        if fault := spec_fault(self):
            raise PluginError(f"The spec of an analyzer is not valid: {fault}.", hint="docs/plugins.md lists the fields of Spec.")

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with the schema's default for each absent one."""
        return {name: schema["default"] for name, schema in self.options_schema.items() if "default" in schema} | dict(options)

    def bind(self, options: Mapping[str, Any], engine: Engine | None = None) -> Analyzer:
        """Return the analyzer for these options; absent ones take the schema's default.

        Raises:
            PluginError: what a plug-in's factory returns is no analyzer, or the factory fails.
        """
        analyzer = self.factory(self.complete(options), engine)
        if fault := analyzer_fault(analyzer):
            raise contract_error(self, fault)
        return analyzer


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. `state` is opaque (reasoning items) and goes back with the calls it belongs to."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: TokenUsage = TokenUsage()
    state: Any = None


class ChatModel(Protocol):
    """A language model that can call tools. Messages and tools are shaped as in the Chat Completions API.

    An assistant message may carry `state`, the `Reply.state` it came with; a door that does not know it ignores it.
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
        """Return the next reply; with `on_text`, hand over its text as it comes; with `must_call`, make it call a tool if possible.

        Raises:
            AgentError: the model cannot be reached or refuses; the hint says what to change.
            Cancelled: `cancel` was set.
        """
        ...
