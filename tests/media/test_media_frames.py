"""Frames: what is shown when, compared pixel by pixel with decoding everything."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.media.packet_reader import PacketReader
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, all_frames, truth, write

STEADY = Clip()
UNEVEN = Clip(times=[0, 40, 41, 90, 300, 301, 302, 700, 1500, 1501, 1600, 2400, 2433, 2466, 3000, 3001, 3050, 4000])
LONG = Clip(times=[i * 40 for i in range(250)], gop=90, bframes=3)
CASES = {
    "mp4": ("a.mp4", STEADY),
    "mp4 in 30000/1001": (
        "a.mp4",
        replace(STEADY, times=[Fraction(i * 1001, 30) for i in range(60)], rate=Fraction(30000, 1001), timebase=Fraction(1, 30000)),
    ),
    "mp4 uneven": ("a.mp4", UNEVEN),
    "mp4 late": ("a.mp4", replace(STEADY, times=[1075 + i * 40 for i in range(50)])),
    "mp4 long groups": ("a.mp4", LONG),
    "mp4 open groups": ("a.mp4", replace(LONG, gop=30, options={"x264-params": "open-gop=1:scenecut=0"})),
    "mp4 intra refresh": ("a.mp4", replace(LONG, gop=30, bframes=0, options={"x264-params": "intra-refresh=1"})),
    "mp4 fragmented": ("a.mp4", replace(LONG, gop=30, muxer={"movflags": "frag_keyframe+empty_moov"})),
    "mp4 hevc": ("a.mp4", replace(LONG, codec="libx265", gop=30)),
    "mp4 hevc open groups": (
        "a.mp4",
        replace(LONG, codec="libx265", gop=30, options={"x265-params": "log-level=none:open-gop=1:keyint=30:min-keyint=30:scenecut=0"}),
    ),
    "mp4 mpeg4": ("a.mp4", replace(LONG, codec="mpeg4", gop=25)),
    "mov interlaced": ("a.mov", replace(LONG, options={"x264-params": "interlaced=1:tff=1"}, gop=25)),
    "mkv": ("a.mkv", STEADY),
    "mkv uneven": ("a.mkv", UNEVEN),
    "mkv long groups": ("a.mkv", LONG),
    "mkv intra only": ("a.mkv", replace(STEADY, codec="ffv1", bframes=0)),
    "webm vp8": ("a.webm", replace(STEADY, codec="libvpx", bframes=0)),
    "webm vp9": ("a.webm", replace(STEADY, codec="libvpx-vp9", bframes=0)),
    "webm live": ("a.webm", replace(STEADY, codec="libvpx", bframes=0, muxer={"live": "1"})),
    "av1": ("a.mkv", replace(STEADY, codec="libsvtav1", bframes=0, options={"preset": "12"})),
    "ts": ("a.ts", STEADY),
    "ts long groups": ("a.ts", LONG),
    "ts open groups": ("a.ts", replace(LONG, gop=30, options={"x264-params": "open-gop=1:scenecut=0"})),
    "ts mpeg2": ("a.ts", replace(LONG, codec="mpeg2video", gop=15, timebase=Fraction(1, 25))),
    "ps": ("a.mpg", replace(LONG, codec="mpeg2video", gop=15, timebase=Fraction(1, 25), size=(320, 240), options={"qmax": "2"})),
    "avi": ("a.avi", replace(LONG, codec="mpeg4", gop=25, bframes=0)),
    "avi with B-frames": ("a.avi", replace(LONG, codec="mpeg4", gop=25, timebase=Fraction(1, 25))),
    "avi h264": ("a.avi", replace(LONG, gop=25, timebase=Fraction(1, 25))),
    "raw h264": ("a.h264", LONG),
    "raw hevc": ("a.hevc", replace(LONG, codec="libx265", gop=30)),
    "raw mpeg2": ("a.m2v", replace(LONG, codec="mpeg2video", gop=15, timebase=Fraction(1, 25))),
    "flv": ("a.flv", LONG),
    "gif": ("a.gif", replace(STEADY, codec="gif", bframes=0)),
}
ARBITRARY = (".ts", ".mpg")


class Written:
    """A clip on disk with the truth about it."""

    def __init__(self, path: Path) -> None:
        self.frames = all_frames(path)
        self.offset = self.frames[0][0] if path.suffix in ARBITRARY else Fraction(0)
        self.video: MediaFile = open_video(path)

    def at(self, ms: int) -> np.ndarray:
        return truth(self.frames, ms, self.offset)

    def ms(self, index: int) -> int:
        at = (self.frames[index][0] - self.offset) * 1000
        return -(-at.numerator // at.denominator)

    def check(self, instants: list[int]) -> None:
        shown = list(self.video.frames(TimeRange(0, self.video.duration), instants=instants))
        assert [frame.t for frame in shown] == sorted(instants)
        for frame in shown:
            assert np.array_equal(frame.image, self.at(frame.t)), f"{self.video.name}: wrong frame at {frame.t} ms: {frame.pts}"


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "-"))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    name, clip = CASES[request.param]
    return Written(write(tmp_path_factory.mktemp("clip") / name, clip))


def test_every_frame(written: Written) -> None:
    shown = list(written.video.frames(TimeRange(0, written.video.duration + 1000)))
    assert len(shown) == len(written.frames)
    assert [frame.pts for frame in shown] == [written.ms(index) for index in range(len(shown))]
    for frame, (_, picture) in zip(shown, written.frames, strict=True):
        assert frame.t == frame.pts
        assert np.array_equal(frame.image, picture)


def test_every_frame_of_a_part(written: Written) -> None:
    middle = written.video.duration // 2
    spans = [TimeRange(0, middle), TimeRange(middle, middle * 3 // 2), TimeRange(middle * 3 // 2, middle * 3)]
    shown = [frame for span in spans for frame in written.video.frames(span)]
    assert [frame.pts for frame in shown] == [written.ms(index) for index in range(len(written.frames))]
    for frame, (_, picture) in zip(shown, written.frames, strict=True):
        assert np.array_equal(frame.image, picture)


def test_key_frames(written: Written) -> None:
    with av.open(str(written.video.path)) as container:
        count = sum(frame.key_frame for frame in container.decode(video=0))
    shown = list(written.video.frames(TimeRange(0, written.video.duration), keyframes=True))
    assert len(shown) == count > 0
    every = {frame.pts: frame.image for frame in written.video.frames(TimeRange(0, written.video.duration))}
    assert [frame.pts for frame in shown if not np.array_equal(frame.image, every[frame.pts])] == []
    half = TimeRange(shown[len(shown) // 2].pts, written.video.duration)
    assert [frame.pts for frame in written.video.frames(half, keyframes=True)] == [f.pts for f in shown if f.pts >= half.start]


def test_frames_at_every_boundary(written: Written) -> None:
    edges = sorted({written.ms(index) for index in range(len(written.frames))})
    written.check(sorted({max(0, at + shift) for at in edges[:: max(1, len(edges) // 20)] for shift in (-1, 0, 1)}))


def test_single_instants(written: Written) -> None:
    for at in range(0, written.video.duration, max(1, written.video.duration // 7)):
        written.check([at])


def test_sparse_instants(written: Written) -> None:
    written.check(list(range(0, written.video.duration, 1000)))
    written.check(list(range(130, written.video.duration, 3100)))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_instants(written: Written, data: st.DataObject) -> None:
    written.check(data.draw(st.lists(st.integers(0, written.video.duration + 500), min_size=1, max_size=8)))


def test_picture_and_duration(written: Written) -> None:
    video = written.video
    assert video.picture is not None
    assert video.picture.start == written.ms(0)
    last = written.ms(-1)
    assert last < video.picture.end <= last + 1000
    assert video.duration == video.picture.end
    assert video.readable == TimeRange(0, video.duration)
    assert video.problems == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv"])
def test_sparse_instants_decode_and_read_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clip = Clip(times=[i * 40 for i in range(2000)], gop=250, bframes=0, options={"x264-params": "scenecut=0:keyint=250:min-keyint=250"})
    written = Written(write(tmp_path / name, clip))
    count = {"decode": 0, "next_packet": 0}
    for method in count:
        original = getattr(PacketReader, method)

        def counted(self: PacketReader, *args: object, _original: Any = original, _method: str = method, **kwargs: object) -> object:
            count[_method] += 1
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(PacketReader, method, counted)
    written.check([500, 32_000, 32_040, 45_000, 61_000])
    # 13 + 51 + 126 + 26 frames lie between the key frames and what is wanted; reading everything would be 2000 packets.
    assert 200 <= count["decode"] < 260
    assert count["next_packet"] < 1300


def test_groups_without_a_wanted_instant_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_video(write(tmp_path / "a.mp4", replace(LONG, gop=10, bframes=0, options={"x264-params": "scenecut=0"})))
    decoded = []
    original = PacketReader.decode

    def counted(self: PacketReader, packet: Any, **more: Any) -> Any:
        decoded.append(packet.pts)
        return original(self, packet, **more)

    monkeypatch.setattr(PacketReader, "decode", counted)
    assert len(list(video.frames(TimeRange(0, video.duration), 1))) == 10
    assert len(decoded) < 80


@pytest.mark.parametrize("case", CASES)
def test_whole_files_have_no_faults(tmp_path: Path, case: str) -> None:
    name, clip = CASES[case]
    with open_video(write(tmp_path / name, clip)) as video:
        middle = TimeRange(video.duration // 2, video.duration // 2 + 200)
        list(video.frames(TimeRange(0, video.duration)))
        list(video.frames(middle, instants=range(0, video.duration, 400)))
        list(video.frames(middle))
        list(video.frames(TimeRange(0, video.duration), keyframes=True))
        assert video.faults(TimeRange(0, video.duration)) == []
