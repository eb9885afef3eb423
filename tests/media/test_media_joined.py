"""Files whose clock starts anew or jumps: each part after the one before, in picture and sound alike."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from analyzer_agent.media import MediaFile, open_video
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Text, Tone, number_of, write

HOURS = 10 * 3600
SECOND = 16_000
FOUR = Clip(times=[i * 40 for i in range(100)], timebase=Fraction(1, 25), bframes=0)
CODECS = {".mpg": "mpeg2video", ".webm": "libvpx", ".avi": "mpeg4"}
SOUNDS = {
    ".wav": "pcm_s16le",
    ".mpg": "mp2",
    ".webm": "libopus",
    ".opus": "libopus",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".avi": "libmp3lame",
    ".ogg": "libopus",
}

UNTIMED = (".avi", ".wav", ".flac", ".mp3", ".aac")
"""Containers whose sound knows no gaps."""


def clip(suffix: str, sound: bool = True) -> Clip:
    """Return four seconds with a tone that pauses from 1 to 2 s, in the codecs of a container."""
    rate = 48_000 if SOUNDS.get(suffix) in ("mp2", "libopus") else 44_100
    tone = Tone(codec=SOUNDS.get(suffix, "aac"), rate=rate, end=4.0, gap=None if suffix in UNTIMED else (1.0, 2.0))
    picture = suffix not in (".opus", ".flac", ".mp3", ".aac", ".mka", ".ogg", ".m4a", ".wav")
    return replace(FOUR, codec=CODECS.get(suffix, "libx264"), picture=picture, tones=[tone] if sound else [])


def repeated(path: Path, times: int = 3, sound: bool = True) -> Path:
    """Write a recording several times, end to end, as `cat` does."""
    path.write_bytes(write(path, clip(path.suffix, sound)).read_bytes() * times)
    return path


def jumped(path: Path, ahead: Sequence[int] = (0, HOURS), at: float = 2.5, made: Clip | None = None) -> Path:
    """Write a recording whose clock is `ahead` by so many seconds, in its parts of `at` seconds."""
    whole = write(path.with_stem("whole"), made or clip(path.suffix))
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            part = min(max(0, int(packet.dts * packet.time_base / Fraction(at))), len(ahead) - 1)
            packet.pts += round(ahead[part] / packet.time_base)
            packet.dts += round(ahead[part] / packet.time_base)
            packet.stream = streams[packet.stream_index]
            out.mux(packet)
    return path


def numbers(video: MediaFile) -> list[int]:
    return [number_of(frame.image) for frame in video.frames(TimeRange(0, video.duration))]


def check_picture(video: MediaFile, parts: int, length: int = 100) -> None:
    """Every frame comes once, in order, at its time, however it is asked for."""
    assert numbers(video) == [*range(length)] * parts
    times = [frame.pts for frame in video.frames(TimeRange(0, video.duration))]
    assert all(0 <= after - before <= 130 for before, after in pairwise(times))
    for at in [*range(500, video.duration, 1500), 500]:
        shown = next(video.frames(TimeRange(0, at + 1), instants=[at]))
        assert number_of(shown.image) == max(n for n, time in enumerate(times) if time <= at) % length
    some = [number_of(frame.image) for frame in video.frames(TimeRange(0, video.duration), instants=list(range(500, video.duration, 400)))]
    assert some == [max(n for n, time in enumerate(times) if time <= at) % length for at in range(500, video.duration, 400)]
    late = [frame.pts for frame in video.frames(TimeRange(video.duration * 2 // 3, video.duration))]
    assert late == [time for time in times if time >= video.duration * 2 // 3]


def pauses(video: MediaFile) -> list[float]:
    """Return when the tone pauses, in seconds."""
    pieces = [video.audio(TimeRange(at, min(at + 1500, video.duration))) for at in range(0, video.duration, 1500)]
    loud = np.abs(np.concatenate(pieces))
    silent = [bool(loud[at : at + 1600].max() < 0.1) for at in range(0, len(loud) - 3200, 1600)]
    return [at / 10 for at in range(1, len(silent)) if silent[at] and not silent[at - 1]]


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".avi", ".opus", ".ogg", ".flac", ".mp3", ".aac"])
def test_recordings_end_to_end(tmp_path: Path, suffix: str) -> None:
    with open_video(repeated(tmp_path / f"a{suffix}")) as video:
        assert abs(video.duration - 12_000) < 350
        if video.picture:
            check_picture(video, 3)
        assert pauses(video) == pytest.approx([] if suffix in UNTIMED else [1, 5, 9], abs=0.25)
        told = [problem for problem in video.problems if "joined" in problem]
        assert len(told) == len(video.problems) == (suffix not in (".avi", ".mp3", ".aac"))  # which have no clock of their own


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mka"])
def test_segments_of_matroska_end_to_end(tmp_path: Path, suffix: str) -> None:
    with open_video(repeated(tmp_path / f"a{suffix}", 2)) as video:
        assert abs(video.duration - 8000) < 100
        if video.picture:
            check_picture(video, 2)
        assert pauses(video) == pytest.approx([1, 5], abs=0.15)


@pytest.mark.parametrize(("fragments", "times"), [("frag_keyframe", 2), ("frag_keyframe", 3), ("frag_custom", 2)])
def test_fragments_end_to_end(tmp_path: Path, fragments: str, times: int) -> None:
    """libav marks the first fragment of each later recording as not to be shown, which may be all of it."""
    flags = f"{fragments}+empty_moov+default_base_moof"
    path = write(tmp_path / "a.mp4", replace(clip(".mp4"), muxer={"movflags": flags}))
    path.write_bytes(path.read_bytes() * times)
    with open_video(path) as video:
        assert abs(video.duration - times * 4000) < 350
        check_picture(video, times)
        assert pauses(video) == pytest.approx([1, 5, 9][:times], abs=0.25)
        assert sum("joined" in problem for problem in video.problems) == 1


@pytest.mark.parametrize(
    ("suffix", "read"), [(".mp4", 4000), (".mov", 4000), (".m4a", 4000), (".wav", 4000), (".flv", 4000), (".mkv", 8000), (".mka", 8000)]
)
def test_what_a_format_ends_before_is_told(tmp_path: Path, suffix: str, read: int) -> None:
    """These formats end with their first recording (libav reads two of Matroska's): the others are not examined."""
    with open_video(repeated(tmp_path / f"a{suffix}")) as video:
        assert abs(video.duration - read) < 100
        assert abs(video.promised - 12_000) < 200
        assert sum("another recording was appended" in problem for problem in video.problems) == 1


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv", ".webm", ".mp4", ".mov", ".flv"])
def test_ten_hours_ahead(tmp_path: Path, suffix: str) -> None:
    with open_video(jumped(tmp_path / f"a{suffix}")) as video:
        assert abs(video.duration - 4000) < 100
        check_picture(video, 1)
        assert pauses(video) == pytest.approx([1], abs=0.15)
        assert [problem for problem in video.problems if "joined" in problem] == video.problems
        assert len(video.problems) == 1


@pytest.mark.parametrize("ahead", [(0, 60, 120), (0, 3600, 7200, 80_000)], ids=["minutes", "hours"])
def test_several_jumps(tmp_path: Path, ahead: Sequence[int]) -> None:
    with open_video(jumped(tmp_path / "a.ts", ahead, 1.0, clip(".ts", sound=False))) as video:
        assert abs(video.duration - 4000) < 100
        check_picture(video, 1)


def test_a_picture_without_sound_and_sound_without_a_picture(tmp_path: Path) -> None:
    with open_video(repeated(tmp_path / "a.ts", sound=False)) as video:
        check_picture(video, 3)
    with open_video(jumped(tmp_path / "b.ts", made=replace(clip(".ts"), picture=False))) as video:
        assert pauses(video) == pytest.approx([1], abs=0.15)


def test_reordered_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(write(path, replace(clip(".ts"), bframes=2)).read_bytes() * 3)
    with open_video(path) as video:
        check_picture(video, 3)


def test_parts_of_different_clocks_and_lengths(tmp_path: Path) -> None:
    early = write(tmp_path / "early.ts", Clip(times=[i * 40 for i in range(25)], timebase=Fraction(1, 25), bframes=0)).read_bytes()
    late = jumped(tmp_path / "late.ts", (7200,), made=clip(".ts", sound=False)).read_bytes()
    path = tmp_path / "a.ts"
    for order, expected in ((early + late + early, [25, 100, 25]), (late + early + early, [100, 25, 25])):
        path.write_bytes(order)
        with open_video(path) as video:
            assert numbers(video) == [number for count in expected for number in range(count)]
            assert abs(video.duration - 6000) < 100


@pytest.mark.parametrize("first", [True, False])
def test_a_short_part_beside_a_long_one(tmp_path: Path, first: bool) -> None:
    """Sampling finds it, though the file is too large to be read whole on opening."""
    raw = Clip(codec="mpeg2video", size=(320, 240), bframes=0, gop=1, options={"qmin": "1", "qmax": "1"}, timebase=Fraction(1, 25))
    long = write(tmp_path / "long.ts", replace(raw, times=[i * 40 for i in range(250)])).read_bytes()
    short = write(tmp_path / "short.ts", replace(raw, times=[i * 40 for i in range(40)])).read_bytes()
    assert len(short) > 1 << 19
    path = tmp_path / "a.ts"
    path.write_bytes(short + long if first else long + short)
    with open_video(path) as video:
        assert abs(video.duration - 11_600) < 100
        assert len(video.problems) == 1


def test_subtitles_follow(tmp_path: Path) -> None:
    texts = [Text([(500, 900, "before"), (2500, 2900, "after")], codec="ass")]
    with open_video(jumped(tmp_path / "a.mkv", made=replace(clip(".mkv"), texts=texts))) as video:
        assert [(round(cue.span.start, -2), cue.text) for cue in video.subtitles(1)] == [(500, "before"), (2500, "after")]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_picture_that_stands_for_minutes_is_no_jump(tmp_path: Path, name: str) -> None:
    slides = Clip(times=[0, 300_000, 900_000, 2_400_000], bframes=0)
    with open_video(write(tmp_path / name, slides)) as video:
        assert [frame.pts for frame in video.frames(TimeRange(0, video.duration))] == [0, 300_000, 900_000, 2_400_000]
        assert video.problems == []


def test_one_clock_is_left_alone(tmp_path: Path) -> None:
    for suffix in (".ts", ".mpg", ".mkv", ".mp4", ".flv", ".opus", ".flac", ".wav", ".mov", ".webm"):
        with open_video(write(tmp_path / f"a{suffix}", clip(suffix))) as video:
            assert video.layout.joined is None, suffix
            assert video.problems == []


def test_reordered_frames_at_a_low_rate_are_no_seam(tmp_path: Path) -> None:
    clip = Clip(times=range(0, 18_000, 250), rate=Fraction(4), bframes=3, gop=250)
    with open_video(write(tmp_path / "slow.mkv", clip)) as video:
        assert video.problems == []
        wanted = range(0, 18_000, 1_000)
        assert [frame.pts for frame in video.frames(TimeRange(0, 18_000), instants=wanted)] == list(wanted)
