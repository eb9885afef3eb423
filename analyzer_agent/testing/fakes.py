"""Fakes for tests of this package and of plug-ins: a model, a video, an engine and an analyzer.

Misuse is an `AssertionError`: a script that has run out, a range beyond the end of the video, a
missing track.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.protocols import Analyzer, Cue, Engine, EngineConfig, Frame, FrameQuery, Grain, Reply, Spec, Track, Video
from analyzer_agent.records import JSON, Observation, ToolCall
from analyzer_agent.timeline import TimeRange, grid_step, instants, sample_end

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ScriptedReply = Reply | Callable[[Sequence[Mapping[str, Any]]], Reply]


def call(name: str, /, call_id: str = "", **arguments: Any) -> ToolCall:
    """Return a tool call as a model would make it, with `arguments` as JSON text."""
    import json

    return ToolCall(call_id or f"call-{name}", name, json.dumps(arguments))


class ScriptedModel:
    """A `ChatModel` that returns prepared replies in order.

    A reply may be a function of the messages. `requests` holds the (messages, tools) of every
    request. A request after the last reply raises `AssertionError`.
    """

    manager = "scripted"
    model = "scripted"

    def __init__(self, *replies: ScriptedReply) -> None:
        self.replies = list(replies)
        self.requests: list[tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]] = []

    def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        on_text: Callable[[str], None] | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        must_call: bool | str = False,
    ) -> Reply:
        """Return the next scripted reply."""
        self.requests.append((list(messages), list(tools)))
        if not self.replies:
            raise AssertionError(f"the script ran out at request {len(self.requests)}: {messages[-1]!r}")
        reply = self.replies.pop(0)
        answer = reply(messages) if callable(reply) else reply
        if on_text and answer.text:
            on_text(answer.text)
        return answer


class FakeVideo(Video):
    """A `Video` without a file. `reads` holds the ranges that were read, in ms.

    Args:
        duration: in ms.
        video_id: the id; the path is `{video_id}.mp4`.
        picture_at: returns the image at a time in ms: H x W x 3, uint8, RGB; black by default.
        sound: float32[n], mono, -1..1, at the rate that `audio` is called with; None for no track.
        cues: the subtitles of track 1; empty for no track.
        rate: frames per second.
        start: time of the first frame, in ms.
        size: width and height in pixels.
    """

    def __init__(
        self,
        duration: int = 60_000,
        *,
        video_id: str = "fake",
        picture_at: "Callable[[int], NDArray[np.uint8]] | None" = None,
        sound: "NDArray[np.float32] | None" = None,
        cues: Sequence[Cue] = (),
        rate: int = 25,
        start: int = 0,
        size: tuple[int, int] = (64, 36),
    ) -> None:
        self.id, self.duration, self.path = video_id, duration, Path(f"{video_id}.mp4")
        self.name = self.path.name
        self.picture: TimeRange | None = TimeRange(start, duration)
        self.readable = TimeRange(0, duration)
        self.problems: list[str] = []
        self.rate, self.size, self.rotation = Fraction(rate), size, 0
        self.audio_tracks: Sequence[Track] = [Track(1, "fake")] if sound is not None else []
        self.subtitle_tracks: Sequence[Track] = [Track(1, "fake")] if cues else []
        self.reads: list[TimeRange] = []
        self._picture_at, self._sound, self._cues = picture_at, sound, cues

    def read_frames(self, query: FrameQuery) -> Iterator[Frame]:
        """Yield frames as described at `Video.frames`.

        Frame k appears at `start + k * 1000 / rate` ms, rounded up. The first frame of each second
        is a key frame.
        """
        import numpy as np

        assert self.picture is not None, "this video has no picture"
        for t in self._wanted(query):
            assert 0 <= t < self.duration, f"there is no frame at {t} ms: the video is {self.duration} ms long"
            pts = self._pts(self._number(t))
            self.reads.append(TimeRange(pts, pts + 1))
            image = self._picture_at(pts) if self._picture_at else np.zeros((self.size[1], self.size[0], 3), np.uint8)
            yield Frame(t, pts, image if query.order == "rgb" else image[..., ::-1].copy())

    def _wanted(self, query: FrameQuery) -> Sequence[int]:
        assert self.picture is not None
        if query.instants is not None:
            return query.instants
        if query.fps is not None:
            return instants(query.span, grid_step(1 / query.fps), self.picture)
        part = query.span.within(self.picture)
        if part is None:
            return []
        each = int(self.rate) if query.keyframes else 1
        numbers = range(self._number(part.start), self._number(part.end - 1) + 1)
        return [self._pts(n) for n in numbers if self._pts(n) >= part.start and n % each == 0]

    def _number(self, t: int) -> int:
        """Return the index of the frame shown at `t` ms."""
        assert self.picture is not None
        return max(0, min(t, self.picture.end - 1) - self.picture.start) * int(self.rate) // 1000

    def _pts(self, number: int) -> int:
        assert self.picture is not None
        return self.picture.start - (-number * 1000 // int(self.rate))

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> "NDArray[np.float32]":
        """Return the samples of `span`: float32[n], mono, -1..1; silence after the sound's end."""
        import numpy as np

        assert self._sound is not None and track == 1, f"no audio track {track}"
        assert span.end <= self.duration, f"there is no sound at {span}: the video is {self.duration} ms long"
        self.reads.append(span)
        out = np.zeros(span.length * rate // 1000, np.float32)
        piece = self._sound[span.start * rate // 1000 :][: len(out)]
        out[: len(piece)] = piece
        return out

    def subtitles(self, track: int) -> Sequence[Cue]:
        """Return the cues."""
        assert track == 1 and self._cues, f"no subtitle track {track}"
        return self._cues

    def close(self) -> None:
        """Do nothing: there is no file."""


@dataclass
class FakeEngine:
    """An `Engine` around a prepared object: `get` returns `loaded`, or its result if callable."""

    loaded: Any
    name: str = "fake"
    tier: int = 0
    weights: str = ""
    uncertain: bool = False
    config: EngineConfig = field(default_factory=EngineConfig)
    device: str = "cpu"
    input_side: int = 0
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """Options that it cannot serve, each with the reason."""

    def get(self) -> Any:
        """Return the prepared object."""
        return self.loaded() if callable(self.loaded) else self.loaded

    def held(self) -> AbstractContextManager[None]:
        """Do nothing: a fake is never evicted."""
        return nullcontext()

    def unsupported_reason(self, options: Mapping[str, Any]) -> str | None:
        """Return the prepared reason for the first option in `options` that is set, or None."""
        return next((why for name, why in self.unsupported.items() if options.get(name)), None)


class FakeAnalyzer(Analyzer):
    """An analyzer that finds prepared `events`, each a range and a text.

    If the grain has a step, it yields one observation per instant and event, otherwise the piece of
    each event in the grain. `analyzed` holds every grain it was given, so that a test can check
    that nothing was analyzed twice.
    """

    version = "1"

    def __init__(
        self, events: Sequence[tuple[TimeRange, str]], *, kind: str = "text", engine: str = "fake", params: Mapping[str, JSON] | None = None
    ) -> None:
        self.events, self.kind, self.engine, self.params = events, kind, engine, params or {}
        self.analyzed: list[Grain] = []

    def analyze(self, video: Any, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield each grain with the events in it."""
        for grain in grains:
            self.analyzed.append(grain)
            yield grain, list(self._sampled(grain, video) if grain.step else self._pieces(grain))

    def _sampled(self, grain: Grain, video: Any) -> Iterator[Observation]:
        for t in grain.instants:
            span = TimeRange(t, sample_end(t, grain.step, min(grain.span.end, video.picture.end)))
            yield from (Observation(span, self.kind, text, 1.0) for event, text in self.events if event.start <= t < event.end)

    def _pieces(self, grain: Grain) -> Iterator[Observation]:
        for event, text in self.events:
            if piece := event.within(grain.span):
                yield Observation(piece, self.kind, text, 1.0, {"continues": True} if piece.start > event.start else {})


def fake_spec(analyzer: Analyzer, *, name: str = "fake", step: int = 0, grain: int = 8_000, **changes: Any) -> Spec:
    """Return a spec that always binds to `analyzer`."""

    def factory(options: Mapping[str, Any], engine: Engine | None) -> Analyzer:
        return analyzer

    kinds = (getattr(analyzer, "kind", "text"),)
    return Spec(name, f"find_{name}", f"Find {name} things.", grain, factory, kinds, step=step, **changes)
