"""Subtitles: embedded tracks and files beside the video, as plain text at the right time."""

from pathlib import Path

import pytest

from analyzer_agent.errors import MediaError
from analyzer_agent.media import open_video
from analyzer_agent.media.subtitles import strip_markup
from analyzer_agent.protocols import Cue
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, Text, write

CUES = [(200, 900, "Hello there"), (1000, 1600, "two\nlines"), (1700, 2500, "ends after the picture")]
EXPECTED = [Cue(TimeRange(start, end), text) for start, end, text in CUES]
SRT = """1
00:00:00,200 --> 00:00:00,900
<i>Grüße</i> {\\an8}aus <font color="#ff0000">Köln</font>

2
00:00:01,000 --> 00:00:01,600
two
lines & 3 < 4
"""
VTT = """WEBVTT

NOTE a remark

intro
00:00.200 --> 00:00.900 align:start position:10%
<v Anna>Grüße <c.yellow>aus</c> Köln

00:01.000 --> 00:01.600
two
lines
"""


def texts(video_path: Path, track: int = 1) -> list[tuple[int, int, str]]:
    return [(cue.span.start, cue.span.end, cue.text) for cue in open_video(video_path).subtitles(track)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("clip") / "a.mp4").read_bytes()


@pytest.fixture
def talk(tmp_path: Path, clip: bytes) -> Path:
    (tmp_path / "talk.mp4").write_bytes(clip)
    return tmp_path / "talk.mp4"


@pytest.mark.parametrize(
    ("name", "codec", "listed"), [("a.mp4", "mov_text", "mov_text"), ("a.mkv", "subrip", "subrip"), ("a.webm", "webvtt", "webvtt")]
)
def test_embedded(tmp_path: Path, name: str, codec: str, listed: str) -> None:
    clip = Clip(texts=[Text(CUES, codec, "deu")], codec="libvpx" if name == "a.webm" else "libx264", bframes=0)
    video = open_video(write(tmp_path / name, clip))
    (track,) = video.subtitle_tracks
    assert (track.number, track.codec, track.language, track.source) == (1, listed, "deu", "")
    assert video.subtitles(1) == EXPECTED
    assert video.duration == 2000


def test_ass_in_matroska(tmp_path: Path) -> None:
    cues = [
        (200, 900, r"0,0,Default,,0,0,0,,{\i1}Hello{\i0}, there"),
        (1000, 1600, r"1,0,Default,,0,0,0,,{\pos(10,20)}two\Nlines"),
    ]
    path = write(tmp_path / "a.mkv", Clip(texts=[Text(cues, "ass")]))
    assert texts(path) == [(200, 900, "Hello, there"), (1000, 1600, "two\nlines")]


def test_several_tracks_and_a_file_beside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Clip(texts=[Text(CUES, "subrip", "eng"), Text(CUES[:1], "subrip", "fra")]))
    (tmp_path / "a.de.srt").write_text(SRT, encoding="utf-8")
    video = open_video(path)
    assert [(t.number, t.language, t.source) for t in video.subtitle_tracks] == [(1, "eng", ""), (2, "fra", ""), (3, "de", "a.de.srt")]
    assert [len(video.subtitles(number)) for number in (1, 2, 3)] == [3, 1, 2]
    with pytest.raises(MediaError, match="no subtitle track 4") as error:
        video.subtitles(4)
    assert "3 (de)" in error.value.hint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_of_srt(talk: Path, encoding: str, newline: str) -> None:
    talk.with_suffix(".srt").write_bytes(SRT.replace("\n", newline).encode(encoding))
    assert texts(talk) == [(200, 900, "Grüße aus Köln"), (1000, 1600, "two\nlines & 3 < 4")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_vtt(talk: Path, encoding: str) -> None:
    talk.with_suffix(".vtt").write_bytes(VTT.encode(encoding))
    assert texts(talk) == [(200, 900, "Grüße aus Köln"), (1000, 1600, "two\nlines")]


def test_which_files_belong_to_a_video(talk: Path) -> None:
    for name in ("talk.srt", "talk.en.srt", "talk.pt-BR.VTT", "talk.en.forced.srt", "talk2.srt", "talk.part2.srt", "other.srt", "talk.txt"):
        (talk.parent / name).write_text(VTT if name.lower().endswith("vtt") else SRT, encoding="utf-8")
    (talk.parent / "talk.fr.srt").mkdir()
    found = [(track.source, track.language, track.title, track.codec) for track in open_video(talk).subtitle_tracks]
    assert found == [
        ("talk.en.forced.srt", "en", "forced", "subrip"),
        ("talk.en.srt", "en", "", "subrip"),
        ("talk.pt-BR.VTT", "pt-BR", "", "webvtt"),
        ("talk.srt", "", "", "subrip"),
    ]


def test_digest_is_of_the_content(talk: Path) -> None:
    beside = talk.with_suffix(".srt")
    beside.write_text(SRT, encoding="utf-8")
    before = open_video(talk)
    beside.write_text(SRT.replace("two", "too"), encoding="utf-8")
    after = open_video(talk)
    assert before.subtitle_tracks[0].digest
    assert before.subtitle_tracks[0].digest != after.subtitle_tracks[0].digest
    assert before.id == after.id


def test_cues_out_of_order_are_sorted(talk: Path) -> None:
    first, second = SRT.strip().split("\n\n")
    talk.with_suffix(".srt").write_text(f"{second}\n\n{first}\n", encoding="utf-8")
    assert [start for start, _, _ in texts(talk)] == [200, 1000]


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_has_no_cues(talk: Path, content: str) -> None:
    talk.with_suffix(".srt").write_text(content)
    assert texts(talk) == []


def test_a_file_that_is_no_subtitles(talk: Path) -> None:
    talk.with_suffix(".vtt").write_text("this is not WebVTT at all")
    with pytest.raises(MediaError, match=r"'talk.vtt'"):
        texts(talk)


def test_pictures_are_listed_but_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Clip(texts=[Text([(200, 900, "\0\0")], "dvdsub", "eng")]))
    video = open_video(path)
    assert [(track.codec, track.language) for track in video.subtitle_tracks] == [("dvd_subtitle", "eng")]
    with pytest.raises(MediaError, match="consists of pictures") as error:
        video.subtitles(1)
    assert ".srt" in error.value.hint


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (r"{\an8}up", "up"),
        ("<b>bold</b> <i>and</i>", "bold and"),
        (r"one\Ntwo\nthree", "one\ntwo\nthree"),
        ("a < b and c > d", "a < b and c > d"),
        ("I <3 you", "I <3 you"),
        ("{laughs}", "{laughs}"),
        ("<00:00:01.500>karaoke", "karaoke"),
        (r"a\hb", "a b"),
        ("  spaces  \n\n  between ", "spaces\nbetween"),
        ("AT&amp;T &lt;x&gt;", "AT&T <x>"),
    ],
)
def test_plain(raw: str, expected: str) -> None:
    assert strip_markup(raw) == expected
