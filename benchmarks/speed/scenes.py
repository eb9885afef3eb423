"""Scenes: the cuts of a clip, against PySceneDetect's own `detect`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import scenedetect

from analyzer_agent.evidence.shots import join_shots
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig, Grain
from analyzer_agent.records import Note
from analyzer_agent.testing import FakeEngine
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines.pyscenedetect import ENGINE
from analyzer_agent.tools.scenes import SPEC
from benchmarks.speed.clips import clip
from benchmarks.speed.measure import Figure, Work, paired, ratios

_SECONDS = 120
_DETECTOR = "adaptive"


def figures(work: Work) -> Iterator[Figure]:
    """Yield how fast cuts are found."""
    path = clip(work.folder, _SECONDS)
    ours, plain = partial(_ours, path), partial(_plain, path)
    cuts = ours()
    if cuts != plain():
        raise AssertionError("the cuts are not those of PySceneDetect")
    pairs = paired(ours, plain, work.runs)
    what = "cuts of 2 min, 720p H.264"
    yield Figure(what, "PySceneDetect's detect", ratios(pairs), target=1.5, same=f"{len(cuts)} cuts", seconds=pairs)


def _ours(path: Path) -> list[int]:
    """Return the numbers of the frames that shots begin with, as they are read from notes."""
    analyzer = SPEC.bind({"detector": _DETECTOR}, FakeEngine(ENGINE.load(EngineConfig())))
    with open_video(path) as video:
        grains = [Grain(span) for span in TimeRange(0, video.duration).grains(SPEC.grain, video.duration)]
        pieces = [piece for _, found in analyzer.analyze(video, grains) for piece in found]
    notes = [Note(number, video.id, SPEC.name, "", piece) for number, piece in enumerate(pieces, 1)]
    firsts = [notes[shot.ids[0] - 1] for shot in join_shots(notes, _DETECTOR, True)]
    return [first.observation.detail["frame"] for first in firsts][1:]


def _plain(path: Path) -> list[int]:
    return [start.frame_num for start, _ in scenedetect.detect(str(path), scenedetect.AdaptiveDetector(), start_in_scene=True)][1:]
