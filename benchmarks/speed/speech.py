"""Speech: transcribing against plain faster-whisper, and reading audio against plain PyAV.

Real weights are used, those given or those installed: what is doubted is heard again, and with
random weights that is everything. Recall is measured by `benchmarks.speech_recall`.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from analyzer_agent.errors import Unavailable
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.testing import FakeEngine
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import speech
from analyzer_agent.tools.engines import faster_whisper
from benchmarks.made import made_once, observations
from benchmarks.needles.stock import SENTENCES
from benchmarks.needles.voices import recording
from benchmarks.speech_sources import plain_model
from benchmarks.speed.measure import Figure, Work, paired

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MINUTES, _SPOKEN = 11, 2
"""Minutes of sound to read, more than one block, and to transcribe."""

_RATE = 16_000


def figures(work: Work) -> Iterator[Figure]:
    """Yield the extra time of transcribing and of reading audio."""
    path = _talk(work.folder, _MINUTES)
    yield _transcribing(work, _talk(work.folder, _SPOKEN))
    pairs = paired(partial(_sound, path), partial(_plain_sound, path), work.runs)
    yield Figure(f"sound of {_MINUTES} min, AAC", "PyAV: decode, resample", _more(pairs), "%", 10, True, seconds=pairs)


def _transcribing(work: Work, path: Path) -> Figure:
    what, limit = f"transcribing {_SPOKEN} min of speech, CPU", 30
    weights = Path(work.options["speech"]) if "speech" in work.options else None
    try:
        bare = plain_model(weights)
    except Unavailable as missing:
        return Figure(what, "faster-whisper", unit="%", target=limit, at_most=True, why=str(missing))
    engine = faster_whisper.load_whisper(EngineConfig(weights=weights, device="cpu"))
    ours, plain = partial(_ours, engine, path), partial(_bare, bare, path)
    one, other = ours(), plain(_sound(path))
    alike = SequenceMatcher(None, one, other, autojunk=False).ratio()
    same = f"{len(one)} words against {len(other)}, {alike:.1%} alike"
    pairs = paired(ours, plain, work.runs)
    return Figure(what, "faster-whisper", _more(pairs), "%", limit, True, same, seconds=pairs)


def _more(pairs: list[tuple[float, float]]) -> list[float]:
    """Return our extra time in percent, per run."""
    return [100 * (ours / plain - 1) for ours, plain in pairs]


def _ours(engine: faster_whisper.Whisper, path: Path) -> list[str]:
    with open_video(path) as video:
        found = observations(speech.SPEC, FakeEngine(lambda: engine, "whisper"), video, language="en")
    spoken: list[Any] = [note.detail["words"] for note in found if note.kind == "speech"]
    return [word for words in spoken for word, *_ in words]


def _bare(model: Any, path: Path, samples: "NDArray[np.float32] | None" = None) -> list[str]:
    how: dict[str, Any] = {"word_timestamps": True, "condition_on_previous_text": False, "temperature": 0, "language": "en"}
    segments, _ = model.transcribe(str(path) if samples is None else samples, **how)
    return [word.word.strip() for segment in segments for word in segment.words]


def _sound(path: Path) -> "NDArray[np.float32]":
    with open_video(path) as video:
        return video.audio(TimeRange(0, video.duration))


def _plain_sound(path: Path) -> "NDArray[np.float32]":
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", _RATE)
        return np.concatenate([part.to_ndarray()[0] for frame in [*container.decode(audio=0), None] for part in resampler.resample(frame)])


def _talk(folder: Path, minutes: int) -> Path:
    """Return a file with recorded sentences and pauses, created on first use."""
    return made_once(folder / f"talk-{minutes}min.m4a", partial(_record, minutes))


def _record(minutes: int, path: Path) -> None:
    random = Random("talk")
    samples = np.zeros(minutes * 60 * _RATE, np.float32)
    at = _RATE
    while at + 5 * _RATE < len(samples):
        words = recording(random.choice(SENTENCES), _RATE)
        samples[at : at + len(words)] = words
        at += len(words) + round(random.uniform(0.2, 1.5) * _RATE)
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", 48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate, frame.pts = _RATE, 0
        resampler = av.AudioResampler("fltp", "stereo", 48_000, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(part))
