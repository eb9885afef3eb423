"""Scenes: the cuts of a clip, against `scenedetect.detect`."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import takewhile
from pathlib import Path

import av
import scenedetect

from analyzer_agent.evidence.shots import join_shots
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.records import Note
from analyzer_agent.testing import FakeEngine
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines.pyscenedetect import ENGINE
from analyzer_agent.tools.scenes import SPEC
from benchmarks.made import observations
from benchmarks.speed.clips import clip
from benchmarks.speed.measure import Figure, Work, speedup

_SECONDS = 120
_DETECTOR = "adaptive"
_AGAINST = "PySceneDetect's detect"


def figures(work: Work) -> Iterator[Figure]:
    """Yield the speed of finding cuts, and for a heavy clip the limit that decoding sets."""
    yield _against_detect(work, clip(work.folder, _SECONDS), "cuts of 2 min, 720p H.264", 1.5)
    heavy = clip(work.folder, _SECONDS, heavy=True)
    yield _against_detect(work, heavy, "cuts of 2 min, 720p H.264, 4 Mbit/s", None)
    yield speedup(work, "of this decoding alone, by as many decoders", _AGAINST, partial(_decoded, heavy), partial(_plain, heavy), None)


def _against_detect(work: Work, path: Path, what: str, target: float | None) -> Figure:
    ours, plain = partial(_ours, path), partial(_plain, path)
    cuts = ours()
    if cuts != plain():
        raise AssertionError("the cuts are not those of PySceneDetect")
    return speedup(work, what, _AGAINST, ours, plain, target, f"{len(cuts)} cuts")


def _ours(path: Path) -> list[int]:
    """Return the numbers of the frames at which shots start, as read from notes."""
    with open_video(path) as video:
        pieces = observations(SPEC, FakeEngine(ENGINE.load(EngineConfig())), video, detector=_DETECTOR)
    notes = [Note(number, video.id, SPEC.name, "", piece) for number, piece in enumerate(pieces, 1)]
    firsts = [notes[shot.ids[0] - 1] for shot in join_shots(notes, _DETECTOR, True)]
    return [int(str(first.observation.detail["frame"])) for first in firsts][1:]


def _decoded(path: Path) -> None:
    """Decode every frame, in parallel pieces with one single-threaded decoder per CPU."""
    processors = os.cpu_count() or 1
    pieces = TimeRange(0, _SECONDS * 1000).grains(_SECONDS * 1000 // processors, _SECONDS * 1000)

    def decode(piece: TimeRange) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            container.seek(piece.start * 1000)
            deque(takewhile(lambda frame: (frame.time or 0) * 1000 < piece.end, container.decode(stream)), maxlen=0)

    with ThreadPoolExecutor(processors) as workers:
        list(workers.map(decode, pieces))


def _plain(path: Path) -> list[int]:
    return [start.frame_num for start, _ in scenedetect.detect(str(path), scenedetect.AdaptiveDetector(), start_in_scene=True)][1:]
