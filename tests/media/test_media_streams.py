"""Streams in any order: which are used, how long they are, and that the others are named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from av.stream import Disposition

from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Text, Tone, number_of, write

LATER = [(100, 1000, "one"), (1000, 6000, "two")]


def mux(path: Path, *parts: tuple[Path, int, bool]) -> Path:
    """Write streams, as (file, index, default), in this order into one file."""
    with av.open(str(path), "w") as out:
        packets: list[Any] = []
        for source, index, default in parts:
            container = av.open(str(source))
            stream = out.add_stream_from_template(container.streams[index])
            stream.disposition = Disposition.default if default else Disposition(0)
            for packet in container.demux(container.streams[index]):
                if packet.dts is not None:
                    packets.append((packet.dts * packet.time_base, stream, packet))
        for _, stream, packet in sorted(packets, key=lambda item: item[0]):
            packet.stream = stream
            out.mux(packet)
    return path


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "made"
    folder.mkdir()
    return {
        "words": write(folder / "words.mkv", Clip(bframes=0, tones=[Tone(end=2.0)])),
        "small": write(folder / "small.mkv", Clip(bframes=0, size=(32, 24))),
        "long": write(folder / "long.mkv", Clip(bframes=0, size=(32, 24), times=range(0, 6000, 40))),
        "ass": write(folder / "ass.mkv", Clip(picture=False, texts=[Text(LATER, codec="ass")])),
        "mov_text": write(folder / "text.mp4", Clip(picture=False, texts=[Text(LATER)])),
    }


def seen(video: MediaFile) -> list[int]:
    return [number_of(frame.image) for frame in video.frames(TimeRange(0, video.duration))]


Parts = Sequence[tuple[str, int, bool]]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("subtitle first.mkv", [("ass", 0, False), ("words", 0, True), ("words", 1, True)]),
        ("subtitle first.mp4", [("mov_text", 0, False), ("words", 0, True), ("words", 1, True)]),
        ("sound first.mkv", [("words", 1, True), ("words", 0, True)]),
        ("sound first.ts", [("words", 1, True), ("words", 0, True)]),
        ("all turned.mkv", [("ass", 0, False), ("words", 1, True), ("words", 0, True)]),
        ("second is default.mkv", [("small", 0, False), ("words", 0, True)]),
        ("the first of two defaults.mp4", [("words", 0, True), ("small", 0, True)]),
        ("second is larger.ts", [("small", 0, False), ("words", 0, False), ("words", 1, False)]),
        ("longer, smaller, not default.mkv", [("long", 0, False), ("words", 0, True)]),
    ],
)
def test_streams_in_any_order(tmp_path: Path, made: dict[str, Path], name: str, parts: Parts) -> None:
    with open_video(mux(tmp_path / name, *((made[source], index, default) for source, index, default in parts))) as video:
        assert video.size == (64, 48)
        assert seen(video) == list(range(50))
        assert 2000 <= video.duration == video.promised <= 2050
        assert [len(video.subtitles(track.number)) for track in video.subtitle_tracks] == [2] * len(video.subtitle_tracks)
        others = [problem for problem in video.problems if "video tracks" in problem]
        assert len(others) == len(video.problems) == sum(source in ("small", "long") for source, *_ in parts)
        assert all("64x48 pixels is examined, another (32x24) is not" in problem for problem in others)


def test_the_default_picture_is_used_even_if_it_is_small(tmp_path: Path, made: dict[str, Path]) -> None:
    with open_video(mux(tmp_path / "a.mkv", (made["words"], 0, False), (made["small"], 0, True))) as video:
        assert video.size == (32, 24)
        assert any("(64x48) is not" in problem for problem in video.problems)


@pytest.mark.parametrize("tags", [True, False], ids=["statistics", "no statistics"])
@pytest.mark.parametrize("other", ["ass", "long"])
@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_another_stream_that_lasts_longer_cuts_nothing_off(
    tmp_path: Path, made: dict[str, Path], other: str, suffix: str, tags: bool
) -> None:
    path = mux(tmp_path / "whole.mkv", (made["words"], 0, True), (made["words"], 1, True), (made[other], 0, False))
    data = path.read_bytes() if tags else path.read_bytes().replace(b"DURATION", b"ELSEWISE")
    (tmp_path / f"b{suffix}").write_bytes(data)
    with open_video(tmp_path / f"b{suffix}") as video:
        assert 2000 <= video.duration == video.promised == video.readable.end <= 2050
        assert [problem for problem in video.problems if "video tracks" not in problem] == []
        assert len(list(video.frames(TimeRange(0, 2000), instants=[0, 1990]))) == 2
    # The same file without its end is cut off, whatever else lasts longer.
    path.write_bytes(data[: len(data) * 3 // 5])
    with open_video(path) as video:
        assert video.duration < 2000 <= video.promised
        assert any("cut off" in problem for problem in video.problems)
