"""What sampled analyzers share: one pass over the video for the instants of many grains.

Knows nothing of what is looked for.
"""

from collections.abc import Iterator, Sequence

from analyzer_agent.protocols import Frame, Grain, Video
from analyzer_agent.timeline import TimeRange


def ascending(grains: Sequence[Grain]) -> Iterator[list[Grain]]:
    """Split grains, in the order given, into runs that go forward in time: each run is one pass over the video."""
    run: list[Grain] = []
    for grain in grains:
        if run and grain.span.start < run[-1].span.end:
            yield run
            run = []
        run.append(grain)
    if run:
        yield run


def sampled(video: Video, run: Sequence[Grain]) -> Iterator[Frame]:
    """Yield the BGR frame shown at each instant of a run of grains, in one pass; nothing is decoded for empty grains."""
    instants = [t for grain in run for t in grain.instants]
    if instants:
        yield from video.frames(TimeRange(run[0].span.start, run[-1].span.end), instants=instants, order="bgr")
