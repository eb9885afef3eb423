"""The contract test of analyzers: results must not depend on the order or grouping of grains.

It runs the analyzer directly, without a store, over the whole video at once, grain by grain, in
reverse and in random pairs, and compares the observations.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer_agent.contract import contract_error, grain_fault, item_fault
from analyzer_agent.errors import PluginError
from analyzer_agent.protocols import Engine, Frame, Grain, Spec, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange, instants

_FEW = 3
"""Grains of which no other order or grouping is worth the name."""


def check_analyzer(
    spec: Spec, video: Video, *, engine: Engine | None = None, options: Mapping[str, Any] | None = None
) -> dict[TimeRange, list[Observation]]:
    """Check that an analyzer keeps its contract on a video.

    Use a video of more than three grains with something to find in most of them.

    Args:
        spec: the analyzer.
        video: a file from `analyzer_agent.media.open_video`, or a `FakeVideo`.
        engine: the engine to bind, such as a `FakeEngine` around the loaded object.
        options: options of the analyzer; missing ones take their defaults.

    Returns:
        The observations of each grain, so that a test can check their content.

    Raises:
        PluginError: the analyzer breaks a rule; the message names the rule and the grain. Or the
            video has too few grains for the check to mean anything.
    """
    watched = _RecordingVideo(video)
    own = getattr(spec.bind(options or {}, engine), "grain", 0)
    grains = _grains(spec, video, own)
    # A grain that is the whole video by its nature leaves no other order to try.
    if len(grains) <= _FEW and (own or spec.grain):
        raise _fault(spec, f"give a video of more than three grains, or shrink grain: with {len(grains)} the check would show nothing")
    whole = _run(spec, watched, grains, engine, options)
    orders = {
        "one grain at a time": [[grain] for grain in grains],
        "one grain at a time, from the end": [[grain] for grain in reversed(grains)],
        "in pairs, in another order": _pairs(grains),
    }
    for how, parts in orders.items():
        analyzer_runs = [_run(spec, watched, part, engine, options) for part in parts]
        found = {span: seen for run in analyzer_runs for span, seen in run.items()}
        for span, expected in whole.items():
            if found[span] != expected:
                raise _fault(
                    spec,
                    "what is found in a grain may not depend on which grains are asked together: "
                    f"in {span}, asked {how}, it is {_short(found[span])}, but {_short(expected)} when all are asked at once",
                )
    for grain in grains:
        watched.read.clear()
        _run(spec, watched, [grain], engine, options)
        reach = TimeRange(max(0, grain.span.start - spec.context), grain.span.end + spec.context)
        for span in watched.read:
            if span.start < reach.start or span.end > reach.end:
                raise _fault(spec, f"no more may be read than a grain and context={spec.context} ms around it: {span} for {grain.span}")
    return whole


def _fault(spec: Spec, rule: str) -> PluginError:
    error = contract_error(spec, rule)
    return error if isinstance(error, PluginError) else PluginError(str(error), hint="docs/plugins.md explains the rules.")


def _grains(spec: Spec, video: Video, own: int) -> list[Grain]:
    """Return all grains of a video; `own` is the analyzer's grain in ms, 0 for the spec's."""
    size = own or spec.grain or video.duration
    spans = [TimeRange(at, min(at + size, video.duration)) for at in range(0, video.duration, size)]
    if not spec.step:
        return [Grain(span) for span in spans]
    picture = video.picture
    return [Grain(span, spec.step, tuple(instants(span, spec.step, picture))) for span in spans if picture and span.overlaps(picture)]


def _pairs(grains: Sequence[Grain]) -> list[list[Grain]]:
    pairs = [list(grains[at : at + 2]) for at in range(0, len(grains), 2)]
    random.Random(0).shuffle(pairs)
    return pairs


def _run(
    spec: Spec, video: Any, grains: Sequence[Grain], engine: Engine | None, options: Mapping[str, Any] | None
) -> dict[TimeRange, list[Observation]]:
    """Run a freshly bound analyzer and return its observations by grain, each grain checked."""
    found: dict[TimeRange, list[Observation]] = {}
    due = list(grains)
    for item in spec.bind(options or {}, engine).analyze(video, tuple(grains)):
        if fault := item_fault(item) or grain_fault(spec, item[0], due, item[1], strict=True):
            raise _fault(spec, fault)
        found[due.pop(0).span] = list(item[1])
    if due:
        raise _fault(spec, f"every grain must be yielded, empty ones included: {due[0].span} was left out")
    return found


def _short(found: Sequence[Observation]) -> str:
    texts = [f"{one.text!r} at {one.span}" for one in found[:3]]
    return ", ".join(texts) + (" ..." if len(found) > 3 else "") or "nothing"


class _RecordingVideo:
    """A video that records in `read` which parts were read."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self.read: list[TimeRange] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._video, name)

    def frames(self, span: TimeRange, *arguments: Any, **named: Any) -> Iterator[Frame]:
        first = self._video.picture.start if self._video.picture else 0
        for frame in self._video.frames(span, *arguments, **named):
            if frame.pts != first:  # the first frame is shown at all instants before it, too
                self.read.append(TimeRange(frame.t, frame.t + 1))
            yield frame

    def audio(self, span: TimeRange, rate: int = 16_000, track: int = 1) -> Any:
        self.read.append(span)
        return self._video.audio(span, rate, track)
