"""Faults that real files bring out, by the recipe of whoever met them, on the command line."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from cli_kit import Cli
from media_maker import Clip, Text, Tone, write

CLIP = Clip(times=range(0, 12_000, 400), bframes=0, size=(128, 96), timebase=Fraction(1, 25))
LINES = ["The ferry leaves at nine.", "Tickets are sold on board.", "The captain waits for fog.", "Dogs travel free."]
TIMES = ["00:00:01.000 --> 00:00:02.500", "00:00:03.000 --> 00:00:05.000", "00:00:06.000 --> 00:00:08.000", "00:00:09.000 --> 00:00:11.000"]


def cues(lines: Sequence[str] = LINES, *, gaps: Sequence[str] = ("\n",) * 4, before: Sequence[str] = ("",) * 4, srt: bool = False) -> str:
    """Return a file of four cues; `gaps` lie between the times and the text, `before` before the times."""
    parts = [f"{before[n]}{TIMES[n]}{gaps[n]}{lines[n]}\n\n" for n in range(len(lines))]
    if srt:
        return "".join(f"{n}\n{part.replace('.', ',', 2)}" for n, part in enumerate(parts, 1))
    return "WEBVTT\n\n" + "".join(parts)


def said(cli: Cli, path: Path) -> list[str]:
    """Return the subtitles of a video, as `index` stores them."""
    (row,) = cli.json("index", path, "--with", "subtitles", "--quiet", "--json")["indexed"]
    assert row["new_seconds"] == pytest.approx(12, abs=4)
    return [note["text"] for note in cli.json("notes", path, "--json")]


FLAWS = {
    "an empty line between times and text": cues(gaps=("\n", "\n\n", "\n", "\n")),
    "an end before its start": cues().replace("00:00:03.000 --> 00:00:05.000", "00:00:05.000 --> 00:00:03.000"),
    "times that are none": cues().replace("00:00:03.000 -->", "00:00:0x.000 -->"),
    "a short arrow": cues().replace("00:00:03.000 -->", "00:00:03.000 ->"),
    "a dash for an arrow": cues().replace("00:00:03.000 -->", "00:00:03.000 \u2014>"),
    "an arrow of one letter": cues().replace("00:00:03.000 -->", "00:00:03.000 \u2192"),
    "a comma for the point": cues().replace("00:00:03.000", "00:00:03,000"),
    "a style block in the middle": cues(before=("", "", "STYLE\n::cue { color: red }\n\n", "")),
    "a note with an arrow": cues(before=("", "", "NOTE from 1 --> 2\n\n", "")),
    "settings that nobody knows": cues().replace("05.000\n", "05.000 colour:red foo\n"),
    "no line end at the end": cues().rstrip("\n"),
    "a mark of the byte order twice": "\ufeff\ufeff" + cues(),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_in_a_subtitle_file_takes_no_cue_behind_it_away(cli: Cli, tmp_path: Path, flaw: str) -> None:
    path = write(tmp_path / "talk.mp4", CLIP)
    (tmp_path / "talk.vtt").write_text(FLAWS[flaw], encoding="utf-8")
    found = said(cli, path)
    assert [line for line in LINES if line in found] in (LINES, [LINES[0], *LINES[2:]])
    if len(found) < len(LINES):
        (row,) = cli.json("index", path, "--with", "subtitles", "--quiet", "--json")["indexed"]
        assert [left["reason"] for left in row["not_examined"]] == ["unreadable_cue"]
    assert "free" in cli("ask", path, "When do dogs travel free?", "--manager", "rules", "--quiet").stdout


LATE = [(n * 2000 + 500, n * 2000 + 1500, f"Sentence {n} is said.") for n in range(8)]


@pytest.mark.parametrize(
    ("suffix", "longer"),
    [
        ("mkv", {"texts": [Text(LATE, "subrip")]}),
        ("webm", {"texts": [Text(LATE, "webvtt")], "codec": "libvpx"}),
        ("mkv", {"tones": [Tone(end=20.0)]}),
        ("mp4", {"texts": [Text(LATE)]}),
        ("mkv", {"texts": [Text(LATE, "subrip"), Text([(18_000, 19_000, "Much later.")], "subrip")]}),
    ],
)
def test_a_subtitle_or_sound_that_outlasts_the_picture_makes_no_file_cut_off(
    cli: Cli, tmp_path: Path, suffix: str, longer: dict[str, object]
) -> None:
    path = write(tmp_path / f"long.{suffix}", replace(CLIP, **longer))  # type: ignore[arg-type]
    (row,) = cli.json("index", path, "--with", "motion", "--quiet", "--json")["indexed"]
    assert row["not_examined"] == []
    assert row["new_seconds"] >= 11.6
    assert "cut off" not in cli("index", path, "--with", "motion").stderr


def with_first(path: Path, made: Path, order: Sequence[str]) -> Path:
    """Copy a file with its streams in another order of kinds."""
    with av.open(str(made)) as source, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for kind in order for s in source.streams if s.type == kind}
        for packet in source.demux(*(source.streams[index] for index in streams)):
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("order", [("subtitle", "video", "audio"), ("audio", "subtitle", "video"), ("subtitle", "audio", "video")])
def test_a_first_stream_that_is_not_a_picture_is_no_crash(cli: Cli, tmp_path: Path, suffix: str, order: Sequence[str]) -> None:
    text = Text(LATE[:5], "subrip" if suffix == "mkv" else "mov_text")
    whole = write(tmp_path / f"whole.{suffix}", replace(CLIP, texts=[text], tones=[Tone(end=12.0)]))
    path = with_first(tmp_path / f"a.{suffix}", whole, order)
    for row in cli.json("index", path, "--with", "motion,subtitles,voice", "--quiet", "--json")["indexed"]:
        assert row["new_seconds"] == pytest.approx(12, abs=0.1)
        assert row["not_examined"] == []
    assert "Sentence 3" in cli("ask", path, "When is sentence 3 said?", "--manager", "rules", "--quiet").stdout


BAD = {
    "a page that was not found": b"<!DOCTYPE html><html><head><title>404</title></head><body>Not found</body></html>",
    "a zip file": b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(range(256)) * 8,
    "zeros": bytes(4000),
    "an archive's text": b"#EXTM3U\n#EXTINF:3,\nm.ts\n",
}


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_file_beside_the_video_takes_no_subtitles_away(cli: Cli, tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "m.mkv", replace(CLIP, texts=[Text(LATE[:3], "subrip", "fra")]))
    (tmp_path / "m.en.srt").write_text(cues(srt=True), encoding="utf-8")
    (tmp_path / "m.de.srt").write_bytes(BAD[bad])
    found = said(cli, path)
    assert {*LINES, *(text for _, _, text in LATE[:3])} <= set(found)
    assert "m.de.srt" in cli("index", path, "--with", "subtitles", "--refresh").stderr


TEXTS = [
    r"open C:\new\home",
    "a < b > c, if (a<b && c>d)",
    r"print('\n\h\N') {x}",
    "100 % of <5 & >3",
    "x <- y; y -> z",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_cue_goes_round_undamaged(cli: Cli, tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "code.mp4", CLIP)
    (tmp_path / "code.srt").write_text(cues([text, *LINES[1:]], srt=True), encoding="utf-8")
    assert said(cli, path)[0] == text
    for format in ("srt", "vtt"):
        printed = tmp_path / f"again.{format}"
        printed.write_text(cli("notes", path, "--format", format).stdout, encoding="utf-8")
        copy = tmp_path / f"copy-{format}.mkv"
        copy.write_bytes(write(tmp_path / "other.mkv", replace(CLIP, gop=5)).read_bytes() + (format.encode() if format == "srt" else b""))
        cli("import-notes", printed, "--video", copy)
        assert cli.json("notes", copy, "--json")[0]["text"] == text


@pytest.mark.parametrize(
    "name",
    [
        *("talk.mp4.srt", "talk.zh-Hant-TW.srt", "talk.en.srt", "TALK.EN.SRT", "talk.en.forced.srt", "talk.pt-BR.sdh.vtt"),
        *("talk.srt", "talk.mp4.en.vtt", "Subs/talk.srt", "subtitles/talk.es-419.srt"),
    ],
)
def test_subtitle_files_with_usual_names_are_seen(cli: Cli, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "talk.mp4", CLIP)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(cues(srt=True) if name.lower().endswith("srt") else cues(), encoding="utf-8")
    shutil.copy(tmp_path / name, tmp_path / f"talker{Path(name).suffix}")
    assert said(cli, path) == LINES
