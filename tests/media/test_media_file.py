"""Opening files: what they are, what is wrong with them, and which part can be read."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import MediaFile, fingerprint, open_video
from analyzer_agent.media.stream_clock import StreamClock
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Tone, all_frames, drawing, number_of, write
from patience import processor_seconds

TALL = Clip(size=(128, 96), codec="libx264", bframes=0)
BIG = Clip(times=[i * 40 for i in range(500)], size=(160, 120), tones=[Tone(end=20.0)], gop=25)
FAST = {"movflags": "faststart"}


def shown(video: MediaFile, at: int) -> int:
    return number_of(next(video.frames(TimeRange(0, at + 1), instants=[at])).image)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    video = open_video(write(tmp_path / "a.mp4", replace(TALL, rotation=rotation, mirrored=mirrored)))
    # "mirrored" is written as a mirroring after the turn, as in EXIF.
    upright = np.rot90(drawing(3, TALL.size), k=-rotation // 90)
    upright = upright[:, ::-1] if mirrored else upright
    frame = next(video.frames(TimeRange(0, 1000), instants=[3 * 40]))
    assert video.size == (upright.shape[1], upright.shape[0])
    assert frame.image.shape == upright.shape
    assert frame.image.flags.c_contiguous
    assert np.abs(frame.image.astype(int) - upright).mean() < 12
    if not mirrored:
        assert video.rotation == rotation


def test_colour_order(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4", TALL))
    rgb = next(video.frames(TimeRange(0, 40)))
    bgr = next(video.frames(TimeRange(0, 40), order="bgr"))
    assert np.array_equal(rgb.image, bgr.image[..., ::-1])
    assert not np.array_equal(rgb.image, bgr.image)


def test_on_the_grid(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4", Clip(times=[1075 + i * 40 for i in range(50)])))
    assert [(f.t, f.pts) for f in video.frames(TimeRange(0, 3000), 2)] == [
        (1000, 1075),
        (1500, 1475),
        (2000, 1995),
        (2500, 2475),
        (3000, 2995),
    ][:4]
    assert [f.t for f in video.frames(TimeRange(1100, 2000), 4)] == [1250, 1500, 1750]
    assert [f.t for f in video.frames(TimeRange(0, 900), 1)] == []
    assert shown(video, 0) == 0


def test_repeated_and_unsorted_instants(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4"))
    found = list(video.frames(TimeRange(0, 2000), instants=[1000, 10, 10, 500, 999_999]))
    assert [f.t for f in found] == [10, 10, 500, 1000, 999_999]
    assert [number_of(f.image) for f in found] == [0, 0, 12, 25, 49]
    assert list(video.frames(TimeRange(0, 2000), instants=[])) == []


def test_frames_before_zero_are_seen_at_zero_only(tmp_path: Path) -> None:
    plain = open_video(write(tmp_path / "a.mp4"))
    layout = plain.layout
    assert layout.picture is not None
    early = StreamClock(layout.picture.clock.base, round(Fraction(100, 1000) / layout.picture.clock.base))
    video = MediaFile(plain.path, plain.content, replace(layout, picture=replace(layout.picture, clock=early)))
    assert [(f.t, f.pts, number_of(f.image)) for f in video.frames(TimeRange(0, 61))] == [(0, 0, 2), (20, 20, 3), (60, 60, 4)]
    assert [number_of(f.image) for f in video.frames(TimeRange(0, 61), instants=[0, 19, 20])] == [2, 2, 3]


def test_cover_art_is_no_picture(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp3", Clip(picture=False, tones=[Tone(codec="libmp3lame")], cover=True)))
    assert video.picture is None
    assert len(video.audio_tracks) == 1


def test_a_photo_lasts_a_second(tmp_path: Path) -> None:
    path = write(tmp_path / "shot%03d.png", Clip(codec="png", times=[0], bframes=0, format="image2", muxer={"update": "1"}))
    video = open_video(path)
    assert (video.duration, video.picture, video.rate, video.size) == (1000, TimeRange(0, 1000), Fraction(1), (64, 48))
    assert [(f.t, f.pts) for f in video.frames(TimeRange(0, 1000), 2)] == [(0, 0), (500, 0)]
    assert np.array_equal(next(video.frames(TimeRange(0, 1000))).image, drawing(0))
    assert video.problems == []


def test_stopping_early_releases_the_file(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4", BIG))

    def open_files() -> int:
        return sum(os.path.realpath(f"/proc/self/fd/{fd}") == str(video.path.resolve()) for fd in os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").exists():
        pytest.skip("counts open files through /proc")
    frames: Any = video.frames(TimeRange(0, 20_000), 1)
    next(frames)
    assert open_files() == 1
    frames.close()
    assert open_files() == 0


def test_threads_read_at_once(tmp_path: Path) -> None:
    video = open_video(write(tmp_path / "a.mp4", BIG))
    expected = {at: shown(video, at) for at in range(0, 20_000, 1700)}
    barrier = threading.Barrier(4)

    def read(shift: int) -> dict[int, int]:
        barrier.wait()
        return {at: shown(video, at) for at in list(expected)[shift:] + list(expected)[:shift]}

    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(read, range(4)))


def test_closed(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "a.mp4")) as video:
        assert video.name == "a.mp4"
    with pytest.raises(MediaError, match="closed"):
        video.frames(TimeRange(0, 1000))


# Fingerprints


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a.bin", tmp_path / "b.bin"
    first.write_bytes(os.urandom(3_000_000))
    second.write_bytes(first.read_bytes())
    assert fingerprint(first) == fingerprint(second)
    assert len(fingerprint(first)) == 32
    data = first.read_bytes()
    for changed in (data[:-1] + bytes([data[-1] ^ 1]), bytes([data[0] ^ 1]) + data[1:], data + b"\0"):
        second.write_bytes(changed)
        assert fingerprint(first) != fingerprint(second)


def test_fingerprint_of_a_huge_file_is_quick(tmp_path: Path) -> None:
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)
    with processor_seconds(2):
        fingerprint(path)


def test_a_huge_file_opens_quickly(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", replace(BIG, muxer=FAST))
    with path.open("ab") as file:
        # A box that holds nothing and reaches to the end of the file.
        file.write(b"\0\0\0\1free" + (10 * 1024**3).to_bytes(8, "big"))
        file.truncate(path.stat().st_size + 10 * 1024**3)
    with processor_seconds(3):
        video = open_video(path)
    assert video.duration == 20_000


# What cannot be opened


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", r"'empty.mp4' is empty"),
        ("notes.txt", b"just some words\n" * 400, r"'notes.txt' is not a video"),
        ("notes.mp4", b"just some words\n" * 400, r"'notes.mp4' is not a video"),
        ("talk.srt", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", r"'talk.srt' is not a video"),
        ("data.json", b'{"a": [1, 2, 3]}', r"'data.json' is not a video"),
        ("page.html", b"<html><body>Not found</body></html>", r"'page.html' is not a video"),
        (
            "list.m3u8",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
            r"'list.m3u8' is not a video",
        ),
        ("random.mp4", bytes(range(256)) * 40, r"'random.mp4' is not a video"),
        ("zeros.mp4", bytes(100_000), r"'zeros.mp4' is not a video"),
        (
            "head.mp4",
            b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41\0\0\0\x08free\0\0\1\0mdat" + bytes(3000),
            r"'head.mp4' is cut off .*moov",
        ),
    ],
)
def test_not_a_video(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message) as error:
        open_video(path)
    assert error.value.hint


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"There is no file .*nowhere.mp4"):
        open_video(tmp_path / "nowhere.mp4")
    with pytest.raises(MediaError, match="is a folder"):
        open_video(tmp_path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4")
    path.chmod(0)
    if os.access(path, os.R_OK):

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)  # the superuser may read everything
    with pytest.raises(MediaError, match="cannot be read: Permission denied"):
        open_video(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="not a regular file"):
        open_video(tmp_path / "pipe.mp4")


def test_index_missing(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.mp4", BIG).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="moov atom") as error:
        open_video(path)
    assert error.value.hint


# What is cut off


@pytest.mark.parametrize(("name", "muxer"), [("a.mp4", FAST), ("a.mov", FAST), ("a.mkv", {}), ("a.webm", {}), ("a.flv", {})])
@pytest.mark.parametrize("part", [0.3, 0.75])
def test_cut_off(tmp_path: Path, name: str, muxer: dict[str, str], part: float) -> None:
    clip = replace(BIG, muxer=muxer)
    if name == "a.webm":
        clip = replace(clip, codec="libvpx", bframes=0, tones=[Tone(codec="libopus", rate=48_000, end=20.0)])
    path = write(tmp_path / name, clip)
    whole = open_video(path)
    os.truncate(path, int(path.stat().st_size * part))
    video = open_video(path)
    assert abs(video.promised - whole.duration) <= 100
    assert whole.picture and video.picture and video.picture.start == whole.picture.start
    assert video.picture.end <= video.duration == video.readable.end
    assert 20_000 * part * 0.6 < video.readable.end < 20_000 * min(1, part * 1.3)
    assert any("cut off" in problem for problem in video.problems)
    there = [f.t for f in video.frames(video.readable, 2)]
    assert there == list(range(0, video.readable.end, 500))
    with pytest.raises(MediaError, match=r"is cut off: it can be read up to"):
        list(video.frames(TimeRange(0, 20_000), instants=[1_000, 19_000]))
    assert list(video.frames(TimeRange(0, 20_000)))[-1].pts < video.duration + 1
    with pytest.raises(MediaError, match="is cut off"):
        video.audio(TimeRange(19_000, 20_000))
    assert np.abs(video.audio(TimeRange(0, video.readable.end - 500))).max() > 0.3


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "libx264"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video")])
def test_a_cut_file_that_promises_nothing_is_just_shorter(tmp_path: Path, name: str, codec: str) -> None:
    sound = Tone(codec="mp2", rate=48_000, end=20.0) if name == "a.mpg" else BIG.tones[0]
    path = write(tmp_path / name, replace(BIG, codec=codec, bframes=0, timebase=Fraction(1, 25), tones=[sound]))
    os.truncate(path, path.stat().st_size // 2)
    video = open_video(path)
    assert 7000 < video.duration < 13_000
    assert video.readable == TimeRange(0, video.duration)
    assert len(list(video.frames(TimeRange(0, video.duration), 1))) >= 7


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_damage_in_the_middle(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, replace(BIG, muxer=FAST if name == "a.mp4" else {}))
    numbers = [number_of(frame.image) for frame in open_video(path).frames(TimeRange(0, 20_000), 1)]
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = os.urandom(4000)
    path.write_bytes(data)
    video = open_video(path)
    assert abs(video.duration - 20_000) <= 100
    found = list(video.frames(TimeRange(0, 20_000), 1))
    spans = [fault.span for fault in video.faults(TimeRange(0, 20_000))]
    assert sum(span.length for span in spans) < 6_000
    assert [f.t for f in found] == [t for t in range(0, 20_000, 1000) if not any(span.start <= t < span.end for span in spans)]
    assert all(number_of(frame.image) == numbers[frame.t // 1000] for frame in found)
    assert len(list(video.frames(TimeRange(0, 20_000)))) > 400
    assert len(video.audio(TimeRange(0, 20_000))) == 320_000


def test_duration_is_found_where_the_header_has_none(tmp_path: Path) -> None:
    clip = replace(BIG, codec="libvpx", bframes=0, tones=[Tone(codec="libopus", rate=48_000, end=20.0)], muxer={"live": "1"})
    video = open_video(write(tmp_path / "a.webm", clip))
    assert abs(video.duration - 20_000) <= 50
    assert video.picture == TimeRange(video.picture.start, 20_000 + video.picture.start) if video.picture else False
    assert shown(video, 19_990) == 499 % 256


def test_picture_shorter_than_sound(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.ts"):
        path = write(tmp_path / name, Clip(tones=[Tone(end=6.0)], bframes=0))
        video = open_video(path)
        assert video.picture is not None
        assert video.picture.length == 2000, name
        assert abs(video.duration - 6000) < 100, name
        assert video.problems == [], name
        assert len(all_frames(path)) == len(list(video.frames(TimeRange(0, video.duration)))), name
