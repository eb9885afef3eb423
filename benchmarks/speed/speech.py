"""Speech: transcribing against plain use of faster-whisper's batched pipeline, and reading sound against plain PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel

from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig, Grain
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech
from analyzer_agent.tools.engines import faster_whisper
from benchmarks.needles.stock import SENTENCES
from benchmarks.needles.voices import recording
from benchmarks.speed import whispers
from benchmarks.speed.measure import Figure, Work, paired

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MINUTES = 11
"""Long enough that a block ends within it."""

_RATE = 16_000
_TOKENS = 90
"""A window of speech is about 85 tokens; random weights go on for ever unless they are stopped."""


def figures(work: Work) -> Iterator[Figure]:
    """Yield what transcribing costs more, and reading sound."""
    path = _talk(work.folder)
    folder = Path(work.options["speech"]) if "speech" in work.options else _weights(work.folder)
    yield _transcribing(work, path, folder)
    pairs = paired(partial(_sound, path), partial(_plain_sound, path), work.runs)
    same = _same_sound(path)
    yield Figure(f"sound of {_MINUTES} min, AAC", "PyAV: decode, resample", _more(pairs), "%", 10, True, same, seconds=pairs)


def _transcribing(work: Work, path: Path, folder: Path) -> Figure:
    engine = faster_whisper.load_whisper(EngineConfig(weights=folder, device="cpu"), [])
    bare = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    ours, plain = partial(_ours, engine, path), partial(_bare, bare, engine.together, path)
    one, other = ours(), plain(_sound(path))
    alike = SequenceMatcher(None, one, other, autojunk=False).ratio()
    same = f"{len(one)} words against {len(other)}, {alike:.1%} alike"
    pairs = paired(ours, plain, work.runs)
    what = f"transcribing {_MINUTES} min of speech, CPU"
    return Figure(what, "faster-whisper, batched", _more(pairs), "%", 5, True, same, seconds=pairs)


def _more(pairs: list[tuple[float, float]]) -> list[float]:
    """Return how many percent more time ours took in each run."""
    return [100 * (ours / plain - 1) for ours, plain in pairs]
