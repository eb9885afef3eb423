"""Damaged files: each is used where its data are, or ends in one error with a hint; nothing crashes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import open_video
from analyzer_agent.timeline import TimeRange
from damager import CLIPS, KINDS, damaged
from media_maker import Clip, Tone, write

REFUSED = {"header6.webm", "header6.avi"}
"""Of the 96 files those whose header names no stream that can be decoded."""


@pytest.mark.parametrize("suffix", CLIPS)
def test_a_damaged_file_is_used_where_its_data_are(tmp_path: Path, suffix: str) -> None:
    refused = set()
    files = list(damaged(tmp_path, [suffix]))
    assert len(files) == len(KINDS)
    for file in files:
        path = tmp_path / file.name
        path.write_bytes(file.data)
        try:
            with open_video(path) as video:
                whole = TimeRange(0, video.duration)
                assert video.duration <= 6500, file.name
                # What is analyzed and what is not are the whole.
                assert video.readable.end == video.duration <= video.promised
                assert (video.duration < video.promised) == any("cut off" in problem for problem in video.problems), file.name
                if file.name.startswith("cut") and suffix != "ts":  # which promises nothing
                    assert video.promised == pytest.approx(6000, abs=100) or 6000 - video.duration < 1000, file.name
                if video.picture:
                    assert all(frame.pts < video.duration for frame in video.frames(whole, 2))
                for track in video.audio_tracks:
                    assert len(video.audio(whole, track=track.number)) == video.duration * 16
        except MediaError as error:
            assert error.hint
            refused.add(file.name)
    assert refused == {name for name in REFUSED if name.endswith(suffix)}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mp3", "avi", "flac"])
def test_names_in_no_known_encoding(tmp_path: Path, suffix: str) -> None:
    sound = {"mp3": "libmp3lame", "flac": "flac"}.get(suffix, "aac")
    clip = Clip(bframes=0, picture=suffix in ("mp4", "mkv", "avi"), tones=[Tone(codec=sound, rate=48_000)], timebase=Fraction(1, 25))
    plain, path = write(tmp_path / f"plain.{suffix}", clip), tmp_path / f"a.{suffix}"
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        out.metadata["title"] = "TITLETITLE"
        streams = [out.add_stream_from_template(stream) for stream in source.streams]
        streams[-1].metadata["title"] = "TITLETITLE"
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    data = path.read_bytes()
    assert b"TITLETITLE" in data
    path.write_bytes(data.replace(b"TITLETITLE", b"\xc4\xff\xfe\x80\xe9\xf6\xfc\xdf\x9f\x81"))
    with open_video(path) as video:
        assert np.abs(video.audio(TimeRange(0, 1000))).max() > 0.3


def test_one_damaged_time_stamp_is_no_seam(tmp_path: Path) -> None:
    whole, path = write(tmp_path / "whole.ts", Clip(bframes=0, timebase=Fraction(1, 25))), tmp_path / "a.ts"
    with av.open(str(whole)) as source, av.open(str(tmp_path / "late.ts"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux()):
            if packet.dts is None or packet.pts is None or number != 25:
                continue
            packet.dts, packet.pts, packet.stream = packet.dts + 90_000 * 7200, packet.pts + 90_000 * 7200, stream
            out.mux(packet)
    data, stray = whole.read_bytes(), (tmp_path / "late.ts").read_bytes()
    middle = len(data) // 188 // 2 * 188
    path.write_bytes(data[:middle] + stray + data[middle:])
    with open_video(path) as video:
        assert 1900 <= video.duration <= 2200
        assert any("damaged" in problem for problem in video.problems)
        assert len(list(video.frames(TimeRange(0, video.duration)))) >= 35
