"""Clips whose pictures are copied: the wanted frames at their times, whatever the codec, in what was copied untouched."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from analyzer_agent.media import ClipPart, Pictures, Written, clip_copy, clip_writer, open_video, write_clip
from analyzer_agent.media.nal_units import free_id, parameter_sets
from analyzer_agent.timeline import TimeRange
from clip_kit import numbers, onset, shown
from media_maker import Clip, Tone, all_frames, number_of, write

FRAMES = range(0, 4000, 40)
INTRA = Clip(times=FRAMES, bframes=0, timebase=Fraction(1, 25))
JOINED = {
    "b.mp4": Clip(times=FRAMES, bframes=3),
    "b.mkv": Clip(times=FRAMES, bframes=3),
    "b.ts": Clip(times=FRAMES, bframes=3, timebase=Fraction(1, 90_000)),
    "none.mp4": Clip(times=FRAMES, bframes=0),
    "pyramid.mp4": Clip(times=FRAMES, bframes=7, gop=20, options={"x264-params": "b-pyramid=normal:ref=4"}),
    "turned.mp4": Clip(times=FRAMES, bframes=2, rotation=90),
    "tall.mp4": Clip(times=FRAMES, bframes=2, options={"x264-params": "sps-id=31"}),
    "hevc.mp4": Clip(codec="libx265", times=FRAMES, bframes=4),
    "open.mkv": Clip(codec="libx265", times=FRAMES, bframes=4, options={"x265-params": "log-level=none:open-gop=1"}),
    "v.webm": Clip(codec="libvpx-vp9", times=FRAMES, bframes=0),
}
WHOLE = {
    "m.mp4": replace(INTRA, codec="mpeg4", bframes=2),
    "open.mkv": Clip(times=FRAMES, bframes=3, gop=15, options={"x264-params": "open-gop=1:scenecut=0"}),
    "rare.mp4": Clip(times=[0, 40, 50, 200, 210, 700, 740, 1500, 1510, 1520, 1900], bframes=0),
    "p.mov": replace(INTRA, codec="prores_ks"),
    "j.avi": replace(INTRA, codec="mjpeg"),
}
SPANS = [TimeRange(0, 400), TimeRange(210, 1510), TimeRange(773, 1204), TimeRange(960, 1920)]


def cut(source: Path, span: TimeRange, pictures: Pictures) -> tuple[Path, Written, TimeRange]:
    """Write a clip; return it, what became of its pictures, and its part of the source."""
    with open_video(source) as file:
        part = ClipPart(file, span, pictures=pictures)
        out = source.parent / f"clip{part.suffix}"
        return out, write_clip(out, [part]), part.span


def packets(path: Path) -> Iterator[bytes]:
    with av.open(str(path)) as container:
        yield from (bytes(packet) for packet in container.demux(video=0) if packet.size)


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("span", SPANS)
def test_frames_at_the_edges_are_encoded_and_joined_with_copied_ones(name: str, span: TimeRange, tmp_path: Path) -> None:
    source = write(tmp_path / name, JOINED[name])
    out, written, part = cut(source, span, "copy")
    assert numbers(out) == shown(source, span)
    assert written.refused == "" and written.faults == {} and written.copied + written.encoded == len(numbers(out))
    times = [float(at) for at, _ in all_frames(out)]
    assert times == pytest.approx([n * 0.04 for n in range(len(times))], abs=0.001)
    with open_video(out) as clip, open_video(source) as whole:
        assert -2 <= clip.duration - part.length <= 40 and clip.problems == []
        assert (clip.rotation, clip.size) == (whole.rotation, whole.size)


def test_what_is_copied_is_untouched_and_most_of_a_clip(tmp_path: Path) -> None:
    source = write(tmp_path / "b.mp4", JOINED["b.mp4"])
    out, written, _ = cut(source, TimeRange(210, 3900), "copy")
    own = set(packets(source))
    assert sum(packet in own for packet in packets(out)) == written.copied > 80 > 10 > written.encoded > 0
    with av.open(str(out)) as container:
        sets, _ = parameter_sets("h264", container.streams.video[0].codec_context.extradata or b"")
        assert container.streams.video[0].codec_context.codec_tag == "avc1" and len(sets) == 4
    assert free_id(sets) == 30, "encoded pictures have parameter sets of their own"


@pytest.mark.parametrize("name", JOINED | WHOLE)
@pytest.mark.parametrize("span", SPANS)
def test_a_part_that_snaps_to_key_frames_is_copied_whole(name: str, span: TimeRange, tmp_path: Path) -> None:
    source = write(tmp_path / name, (JOINED | WHOLE)[name])
    out, written, part = cut(source, span, "snap")
    assert numbers(out) == shown(source, part) and part.start <= span.start and part.end >= span.end
    assert written == Written({}, len(numbers(out)), 0)
    if name[0] in "pj":
        assert list(packets(out)) == list(packets(source))[part.start // 40 : part.start // 40 + written.copied]


@pytest.mark.parametrize("name", ["p.mov", "none.mp4", "b.mp4"])
@pytest.mark.parametrize("pictures", ["copy", "snap"])
def test_a_clip_of_one_frame(name: str, pictures: Pictures, tmp_path: Path) -> None:
    source = write(tmp_path / name, (JOINED | WHOLE)[name])
    with av.open(str(source)) as container:
        (key, *_) = [
            round(packet.pts * packet.time_base * 1000) for packet in container.demux(video=0) if packet.is_keyframe and packet.pts
        ]
    out, written, part = cut(source, TimeRange(key, key + 40), pictures)
    assert written.copied == len(numbers(out)) and numbers(out) == shown(source, part) and numbers(out)[0] == key // 40


@pytest.mark.parametrize("name", ["p.mov", "j.avi"])
def test_where_each_frame_is_a_key_frame_all_are_copied(name: str, tmp_path: Path) -> None:
    source = write(tmp_path / name, WHOLE[name])
    out, written, part = cut(source, TimeRange(773, 1204), "copy")
    assert out.suffix == ".mov" and written == Written({}, 12, 0) and numbers(out) == shown(source, part) == list(range(19, 31))


@pytest.mark.parametrize(
    ("name", "clip", "reason"),
    [
        ("m.mp4", WHOLE["m.mp4"], "--snap"),
        ("open.mkv", WHOLE["open.mkv"], "no key frame"),
        ("f.mkv", Clip(codec="ffv1", times=FRAMES, bframes=0), "ffv1"),
        ("h.avi", Clip(times=FRAMES, bframes=2, timebase=Fraction(1, 25)), "a time"),
        ("i.mp4", Clip(times=FRAMES, bframes=0, options={"x264-params": "interlaced=1"}), "interlaced"),
    ],
)
def test_where_pictures_cannot_be_joined_all_are_encoded_and_it_says_why(name: str, clip: Clip, reason: str, tmp_path: Path) -> None:
    source = write(tmp_path / name, clip)
    out, written, _ = cut(source, TimeRange(773, 1400), "copy")
    assert reason in written.refused and written.copied == 0 and out.suffix == ".mp4"
    assert numbers(out) == shown(source, TimeRange(773, 1400))


def test_a_join_that_does_not_hold_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "b.mp4", JOINED["b.mp4"])
    good = clip_copy.copied_pictures

    def broken(*given: Any) -> Iterator[Any]:
        for n, packet in enumerate(good(*given)):
            if n < 5 or packet.is_keyframe:
                yield packet

    monkeypatch.setattr(clip_writer, "copied_pictures", broken)
    out, written, _ = cut(source, TimeRange(210, 1510), "copy")
    assert "joined" in written.refused and numbers(out) == shown(source, TimeRange(210, 1510))


def test_the_first_frame_of_a_slide_begins_with_the_clip(tmp_path: Path) -> None:
    source = write(tmp_path / "slides.mp4", Clip(times=range(0, 20_000, 1000), gop=4, bframes=0))
    out, written, part = cut(source, TimeRange(4500, 9200), "copy")
    assert written.encoded and written.copied + written.encoded == 6 and part == TimeRange(4500, 9200)
    assert [(float(at), number_of(picture)) for at, picture in all_frames(out)] == [
        (0, 4),
        (0.5, 5),
        (1.5, 6),
        (2.5, 7),
        (3.5, 8),
        (4.5, 9),
    ]


@pytest.mark.parametrize("name", ["b.mp4", "none.mp4", "b.mkv", "hevc.mp4", "v.webm"])
@pytest.mark.parametrize("start", [0, 337, 1480])
@pytest.mark.parametrize("pictures", ["copy", "snap"])
def test_a_beep_stays_with_its_frame(name: str, start: int, pictures: Pictures, tmp_path: Path) -> None:
    beep = Tone(start=2.0, end=2.5, codec={"webm": "libopus", "mkv": "pcm_s16le"}.get(name[-4:].strip("."), "aac"))
    source = write(tmp_path / name, replace(JOINED[name], tones=(replace(beep, rate=48_000),)))
    out, written, part = cut(source, TimeRange(start, 3000), pictures)
    at = next(float(at) for at, picture in all_frames(out) if number_of(picture) == 50)
    assert written.copied and abs(onset(out) - at) < 0.02 and at == pytest.approx((2000 - part.start) / 1000, abs=0.002)
