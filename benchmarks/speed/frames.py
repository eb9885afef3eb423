"""Frames: sampling against ffmpeg's fps filter, OpenCV's seeking and decoding everything."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from analyzer_agent.media import open_video
from analyzer_agent.timeline import TimeRange
from benchmarks.speed.clips import clip
from benchmarks.speed.measure import Figure, Work, speedup

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SECONDS = 360
_WHAT = "frames at 1 fps of 6 min, 720p H.264"


def figures(work: Work) -> Iterator[Figure]:
    """Yield the speed of sampling frames."""
    short = clip(work.folder, _SECONDS)
    long = clip(work.folder, _SECONDS, key_every=250)
    yield _against_ffmpeg(work, short, _WHAT)
    yield _against_ffmpeg(work, clip(work.folder, _SECONDS, heavy=True), f"{_WHAT}, 4 Mbit/s")
    yield speedup(work, f"{_WHAT}, key frame every 2 s", "OpenCV, seeking to each", partial(_ours, short, 1.0), partial(_opencv, short), 2)
    yield speedup(work, f"{_WHAT}, key frame every 10 s", "OpenCV, seeking to each", partial(_ours, long, 1.0), partial(_opencv, long), 4)
    plain = partial(_everything, short, 0.1)
    yield speedup(work, "frames at 0.1 fps, key frame every 2 s", "decoding everything", partial(_ours, short, 0.1), plain, 4)
    yield _overview(work, short)


def _overview(work: Work, path: Path) -> Figure:
    def ours() -> int:
        with open_video(path) as video:
            return sum(1 for _ in video.frames(TimeRange(0, video.duration), keyframes=True))

    seen = ours()
    if seen != _SECONDS // 2:
        raise AssertionError(f"{seen} key frames in {_SECONDS} s with one every 2 s")
    plain = partial(_everything, path, 0.5)
    return speedup(work, "an overview from key frames alone, one every 2 s", "decoding everything", ours, plain, 8, f"{seen} pictures")


def _against_ffmpeg(work: Work, path: Path, what: str) -> Figure:
    against = "ffmpeg -vf fps=1 to raw RGB"
    if shutil.which("ffmpeg") is None:
        return Figure(what, against, target=1.5, why="ffmpeg is not installed")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", "fps=1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]

    def plain() -> int:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            return sum(1 for _ in iter(partial(process.stdout.read, 1280 * 720 * 3), b""))

    same = _same_as_full_decoding(path)
    return speedup(work, what, against, partial(_ours, path, 1.0), plain, 1.5, same)


def _same_as_full_decoding(path: Path) -> str:
    """Check that each sampled picture equals the one that plain PyAV shows at that time."""
    wanted, shown = iter(range(_SECONDS)), []
    next_second = next(wanted)
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        last: Any = None
        for frame in container.decode(video=0):
            while next_second is not None and frame.time > next_second:
                shown.append(hash(last.to_ndarray(format="rgb24").tobytes()))
                next_second = next(wanted, None)  # type: ignore[assignment]
            last = frame
        shown += [hash(last.to_ndarray(format="rgb24").tobytes())] * (_SECONDS - len(shown))
    ours = [hash(picture.tobytes()) for picture in _sampled(path, 1.0)]
    if ours != shown:
        raise AssertionError("sampled frames are not those that decoding everything shows")
    return f"{len(ours)} pictures, byte for byte"


def _sampled(path: Path, fps: float) -> "Iterator[NDArray[np.uint8]]":
    with open_video(path) as video:
        yield from (frame.image for frame in video.frames(TimeRange(0, video.duration), fps))


def _ours(path: Path, fps: float) -> int:
    return sum(1 for _ in _sampled(path, fps))


def _opencv(path: Path) -> int:
    capture, seen = cv2.VideoCapture(str(path)), 0
    for second in range(_SECONDS):
        capture.set(cv2.CAP_PROP_POS_MSEC, second * 1000)
        seen += capture.read()[0]
    return seen


def _everything(path: Path, fps: float) -> int:
    """Decode everything, and convert only the sampled pictures."""
    seen, due = 0, 0.0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= due:
                frame.to_ndarray(format="rgb24")
                seen, due = seen + 1, due + 1 / fps
    return seen
