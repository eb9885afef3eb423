"""Subtitles: cues clipped to the video, plain text, doubled tracks, sidecar files, tracks that are pictures."""

import wave
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import ToolRefusal
from analyzer_agent.media import open_video
from analyzer_agent.protocols import Cue, Track
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import subtitles
from media_maker import Clip, Text, write
from sounds import SoundVideo, analyzed, cut


def cue(start: int, end: int, text: str) -> Cue:
    return Cue(TimeRange(start, end), text)


def read(video: SoundVideo) -> list[Observation]:
    (notes,) = analyzed(subtitles.SPEC.bind({}), video, cut(video.duration, 0)).values()
    return notes


def test_cues_are_clipped_to_the_video_and_keep_their_end() -> None:
    track = Track(1, "subrip", "eng")
    video = SoundVideo(10_000, cues=[(track, [cue(0, 500, "a"), cue(9_000, 12_000, "b"), cue(10_000, 11_000, "never shown")])])
    detail: dict[str, JSON] = {"track": 1, "language": "eng", "source": ""}
    assert read(video) == [
        Observation(TimeRange(0, 500), "subtitle", "a", None, detail | {"end": 500}),
        Observation(TimeRange(9_000, 10_000), "subtitle", "b", None, detail | {"end": 12_000}),
    ]


def test_text_is_one_line_and_empty_cues_are_left_out() -> None:
    cues = [cue(0, 1, "Tom & Jerry\n  <live>"), cue(1, 2, " \n\xa0 "), cue(5, 5, "a blink")]
    assert [(note.text, note.span.length) for note in read(SoundVideo(10, cues=[(Track(1, "ass"), cues)]))] == [
        ("Tom & Jerry <live>", 1),
        ("a blink", 1),
    ]


def test_a_track_that_repeats_another_is_left_out_and_tracks_are_merged_in_time() -> None:
    english, german = [cue(0, 9, "yes"), cue(20, 30, "no")], [cue(5, 9, "ja")]
    video = SoundVideo(
        100,
        cues=[(Track(1, "subrip", "eng"), english), (Track(2, "mov_text", "eng"), english), (Track(3, "webvtt", "ger"), german)],
    )
    assert [(note.text, note.detail["track"]) for note in read(video)] == [("yes", 1), ("ja", 3), ("no", 1)]


def test_pictures_are_passed_over_and_refused_where_there_is_nothing_else() -> None:
    pictures, text = (Track(1, "hdmv_pgs_subtitle"), [cue(0, 5, "unread")]), (Track(2, "subrip"), [cue(0, 5, "read")])
    assert [note.text for note in read(SoundVideo(10, cues=[pictures, text]))] == ["read"]
    with pytest.raises(ToolRefusal, match=r"are pictures \(hdmv_pgs_subtitle\)"):
        read(SoundVideo(10, cues=[pictures]))


def test_an_edited_sidecar_changes_what_is_read(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "talk.wav"), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 16_000 * 3))
    bound = subtitles.SPEC.bind({})
    assert bound.inputs(open_video(tmp_path / "talk.wav")) == {}
    inputs: list[Any] = []
    for text in ("<i>first</i>", "second"):
        (tmp_path / "talk.en.srt").write_text(f"1\n00:00:01,000 --> 00:00:02,500\n{text}\n")
        video = open_video(tmp_path / "talk.wav")
        inputs.append(bound.inputs(video))
        ((note,),) = analyzed(bound, video, cut(video.duration, 0)).values()
        assert (note.text, note.span) == (text.replace("<i>", "").replace("</i>", ""), TimeRange(1_000, 2_500))
        assert note.detail == {"track": 1, "language": "en", "end": 2_500, "source": "talk.en.srt"}
    assert inputs[0] != inputs[1] and list(inputs[0]["sidecars"]) == ["talk.en.srt"]


def test_one_bad_source_takes_no_other_away(tmp_path: Path) -> None:
    video = write(tmp_path / "m.mkv", Clip(texts=[Text([(0, 900, "embedded")], "subrip", "eng")]))
    (tmp_path / "m.en.srt").write_text("1\n00:00:01,000 --> 00:00:01,500\nbeside\n")
    (tmp_path / "m.de.srt").write_text("<html><body>404 Not Found</body></html>")
    with open_video(video) as opened:
        (notes,) = analyzed(subtitles.SPEC.bind({}), opened, cut(opened.duration, 0)).values()
    assert [note.text for note in notes if note.kind == "subtitle"] == ["embedded", "beside"]
    (lost,) = [note for note in notes if note.kind == "gap"]
    assert lost.detail["reason"] == "other_track" and "'m.de.srt' holds no subtitles" in str(lost.detail["explanation"])


@pytest.mark.shared
def test_the_telescopes_subtitles_are_read_once(shared: Path) -> None:
    with open_video(shared / "media" / "nasa_webb.mp4") as video:
        assert len(video.subtitle_tracks) == 2
        (notes,) = analyzed(subtitles.SPEC.bind({}), video, cut(video.duration, 0)).values()
    blocks = (shared / "media" / "nasa_webb.truth.srt").read_text(encoding="utf-8-sig").strip().split("\n\n")
    assert [note.text for note in notes] == [" ".join(block.splitlines()[2:]) for block in blocks]
    assert (notes[-1].span, notes[-1].detail["end"]) == (TimeRange(12_470, video.duration), 16_570)
