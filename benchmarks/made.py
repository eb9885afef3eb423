"""What the benchmarks share: files that are made once, and an analyzer run over a video."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from analyzer_agent.evidence.plan import grains_of
from analyzer_agent.protocols import Engine, Spec, Video
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """Return a file or folder; if it is missing, `make` writes it under another name first."""
    if not path.exists():
        unfinished = path.with_name(f"{path.stem}.part{path.suffix}")
        make(unfinished)
        unfinished.rename(path)
    return path


def encode(path: Path, pictures: "Iterable[NDArray[np.uint8] | av.VideoFrame]", size: tuple[int, int], rate: int, **options: str) -> None:
    """Write an H.264 file of pictures (H x W x 3, uint8, RGB, or frames) in the MP4 format."""
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "medium", **options}
        for number, picture in enumerate(pictures):
            frame = picture if isinstance(picture, av.VideoFrame) else av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def observations(spec: Spec, engine: Engine | None, video: Video, span: TimeRange | None = None, **options: Any) -> list[Observation]:
    """Return what an analyzer finds in a video, or in the grains that `span` touches."""
    grains = grains_of(spec, video, [span or TimeRange(0, video.duration)], spec.step)
    return [found for _, some in spec.bind(options, engine).analyze(video, grains) for found in some]
