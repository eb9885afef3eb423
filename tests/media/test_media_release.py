"""What reading takes is given back at once, without waiting for garbage collection: decoders of large pictures hold a hundred MB."""

import gc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from av.codec.context import CodecContext
from av.container import Container
from av.stream import Stream

from analyzer_agent.errors import MediaError
from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Tone, write

ALL = TimeRange(0, 2000)


def in_parallel(video: MediaFile) -> None:
    for view in video.parallel_views(2):
        with view:
            list(islice(view.frames(ALL), 3))
            list(view.frames(TimeRange(1200, 2000)))


def given_up(video: MediaFile) -> None:
    next(video.frames(ALL))
    next(video.frames(ALL, 5))
    next(video.frames(ALL, keyframes=True))


def closed(video: MediaFile) -> None:
    with open_video(video.path) as again:
        frames: Any = again.frames(ALL, 5)
        list(islice(frames, 2))
        frames.close()


def failing(video: MediaFile) -> None:
    for one in (open_video(video.path), *video.parallel_views(2)):
        frames = one.frames(ALL)
        next(frames)
        one.close()
        with pytest.raises(MediaError, match="was closed"):
            list(frames)


WAYS: dict[str, Callable[[MediaFile], object]] = {
    "every": lambda video: list(video.frames(ALL)),
    "grid": lambda video: list(video.frames(ALL, 4)),
    "far apart": lambda video: list(video.frames(ALL, instants=[0, 1900])),
    "back and forth": lambda video: [list(video.frames(ALL, instants=[at])) for at in (1900, 0, 1000)],
    "key frames": lambda video: list(video.frames(ALL, keyframes=True)),
    "sound": lambda video: video.audio(ALL),
    "opening": lambda video: open_video(video.path),
    "in parallel": in_parallel,
    "given up": given_up,
    "closed": closed,
    "failing": failing,
}


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held() -> int:
    """Return how many containers, streams and decoders are alive."""
    # By their types: whether they are instances is a question that some modules of torch answer with a warning.
    return sum(issubclass(type(one), (Container, Stream, CodecContext)) for one in gc.get_objects())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
@pytest.mark.parametrize("way", WAYS)
def test_no_decoder_is_left(tmp_path: Path, name: str, way: str, uncollected: None) -> None:
    video = open_video(
        write(
            tmp_path / name,
            Clip(codec="mpeg4" if name.endswith("avi") else "libx264", tones=[Tone(codec="mp2" if name.endswith("avi") else "aac")]),
        )
    )
    before = held()
    WAYS[way](video)
    assert held() == before
