"""Clips: their first and last frames are the wanted ones, and picture and sound stay together."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import ClipPart, Written, draw_caption, open_video, write_clip
from analyzer_agent.timeline import TimeRange
from clip_kit import numbers, onset, shown
from media_maker import Clip, Tone, all_frames, drawing, number_of, write

VARIABLE = [0, 40, 50, 200, 210, 700, 740, 1500, 1510, 1520, 1900]
SOURCES = {
    "b.mp4": Clip(times=range(0, 4000, 40), bframes=3, gop=12),
    "open.mkv": Clip(times=range(0, 4000, 40), bframes=3, gop=15, options={"x264-params": "open-gop=1:scenecut=0"}),
    "hevc.mp4": Clip(codec="libx265", times=range(0, 2000, 40), bframes=2),
    "rare.mp4": Clip(times=VARIABLE),
    "odd.mkv": Clip(codec="ffv1", times=range(0, 2000, 40), size=(65, 49)),
    "ntsc.ts": Clip(times=[Fraction(n * 1001, 30) for n in range(60)], rate=Fraction(30000, 1001), timebase=Fraction(1, 90_000)),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("span", [TimeRange(0, 400), TimeRange(210, 1510), TimeRange(773, 1204)])
def test_a_clip_holds_exactly_the_frames_of_its_range(name: str, span: TimeRange, tmp_path: Path) -> None:
    source = write(tmp_path / name, SOURCES[name])
    with open_video(source) as file:
        part = ClipPart(file, span)
        assert write_clip(tmp_path / "clip.mp4", [part]) == Written({})
        length = part.span.length
    assert numbers(tmp_path / "clip.mp4") == shown(source, span)
    with open_video(tmp_path / "clip.mp4") as clip:
        assert -2 <= clip.duration - length <= 40 and clip.problems == []  # the last frame is shown whole


def test_frames_of_a_variable_rate_keep_their_distances(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "rare.mp4", SOURCES["rare.mp4"])) as file:
        write_clip(tmp_path / "clip.mp4", [ClipPart(file, TimeRange(50, 1600))])
    times = [float(at) for at, _ in all_frames(tmp_path / "clip.mp4")]
    assert times == pytest.approx([0, 0.15, 0.16, 0.65, 0.69, 1.45, 1.46, 1.47], abs=0.002)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("start", [0, 337, 1480])
def test_a_beep_stays_with_its_frame(name: str, start: int, tmp_path: Path) -> None:
    beep = Tone(start=0.0, end=4.0, gap=None, codec="pcm_s16le" if name.endswith("mkv") else "aac")
    beep = replace(beep, start=2.0, end=2.5)
    source = write(tmp_path / name, Clip(times=range(0, 4000, 40), tones=(beep,)))
    with open_video(source) as file:
        part = ClipPart(file, TimeRange(start, 3000))
        write_clip(tmp_path / "clip.mp4", [part])
    at = next(float(at) for at, picture in all_frames(tmp_path / "clip.mp4") if number_of(picture) == 50)
    assert abs(onset(tmp_path / "clip.mp4") - at) < 0.02 and at == pytest.approx((2000 - part.span.start) / 1000, abs=0.002)


def test_parts_follow_each_other_and_get_the_size_of_the_first(tmp_path: Path) -> None:
    one = write(tmp_path / "one.mp4", Clip(times=range(0, 2000, 40), tones=(Tone(start=0.0, end=2.0),)))
    two = write(tmp_path / "two.mp4", Clip(times=range(0, 2000, 40), size=(128, 48)))
    with open_video(one) as first, open_video(two) as second:
        parts = [ClipPart(first, TimeRange(1000, 1400)), ClipPart(second, TimeRange(400, 800)), ClipPart(first, TimeRange(0, 200))]
        write_clip(tmp_path / "clip.mp4", parts)
    frames = all_frames(tmp_path / "clip.mp4")
    assert [number_of(picture) for _, picture in frames[:10] + frames[20:]] == [*range(25, 35), *range(5)]
    assert [float(at) for at, _ in frames] == pytest.approx([n / 25 for n in range(25)], abs=0.002)
    assert frames[12][1].shape == (48, 64, 3) and frames[12][1][:10].mean() < 30 < frames[12][1][20:28].mean()
    with open_video(tmp_path / "clip.mp4") as clip:
        loud = np.abs(clip.audio(TimeRange(0, 1000), 8000)).reshape(10, -1).mean(axis=1) > 0.1
    assert loud.tolist() == [True] * 4 + [False] * 4 + [True] * 2


def test_sound_alone_becomes_a_clip(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "a.m4a", Clip(picture=False, tones=(Tone(end=2.0, layout="5.1"),)))) as file:
        write_clip(tmp_path / "clip.m4a", [ClipPart(file, TimeRange(500, 1250))])
    with open_video(tmp_path / "clip.m4a") as clip:
        assert clip.picture is None and abs(clip.duration - 750) <= 30 and np.abs(clip.audio(TimeRange(0, 700))).max() > 0.2


def test_captions_change_while_one_frame_is_shown(tmp_path: Path) -> None:
    source = write(tmp_path / "slide.mp4", Clip(times=[0, 1960], size=(320, 240)))
    said = ((TimeRange(200, 600), "First words."), (TimeRange(600, 1000), "Others."))
    with open_video(source) as file:
        write_clip(tmp_path / "clip.mp4", [ClipPart(file, TimeRange(150, 1500), said)], draw_caption)
    frames = all_frames(tmp_path / "clip.mp4")
    assert [float(at) for at, _ in frames] == pytest.approx([0, 0.05, 0.45, 0.85], abs=0.002)
    changed = [np.abs(picture[200:].astype(int) - frames[0][1][200:]).mean() for _, picture in frames]
    assert changed[0] == 0 and changed[1] > 2 and changed[2] > 2 and changed[3] < 1


def test_a_caption_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(MediaError, match="No font"):
        draw_caption(drawing(1), "words \U0001f9ff\ue123")


def test_nothing_is_left_of_a_clip_that_fails_or_is_stopped(tmp_path: Path) -> None:
    def stop(*_: object) -> np.ndarray:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    out.mkdir()
    with open_video(write(tmp_path / "a.mp4", Clip())) as file:
        part = ClipPart(file, TimeRange(0, 1000), ((TimeRange(400, 600), "x"),))
        with pytest.raises(KeyboardInterrupt):
            write_clip(out / "clip.mp4", [part], stop)
    assert list(out.iterdir()) == []


def test_the_mix_for_clips_keeps_the_sides_apart(tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        samples = np.zeros((1, 96_000), np.int16)
        samples[0, 0::2] = (8000 * np.sin(np.arange(48_000) / 10)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with open_video(path) as file:
        write_clip(tmp_path / "clip.m4a", [ClipPart(file, TimeRange(100, 900))])
    with av.open(str(tmp_path / "clip.m4a")) as container:
        left, right = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.abs(left).max() > 0.2 > 0.02 > np.abs(right).max()
