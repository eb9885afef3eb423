"""`notes`, `index` and `cache`: what is known of a video, taking notes ahead, and throwing them away."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import av
import pytest

import tiny_whisper
from analyzer_agent.protocols import Cue
from analyzer_agent.timeline import TimeRange
from cli_kit import CUES, PRICE, Cli, talk
from media_maker import Clip, Tone, write


@pytest.fixture
def known(cli: Cli, video: Path) -> Path:
    cli("index", video, "--with", "subtitles")
    return video


# --- index ----------------------------------------------------------------------------------------------------------


def test_index_tells_what_was_covered(cli: Cli, video: Path) -> None:
    first = cli("index", video, "--with", "subtitles,scenes", "--quiet").stdout.splitlines()
    assert first[0].split() == ["analyzer", "new", "reused", "notes", "took"]
    assert first[1].split()[:6] == ["subtitles", "2.0", "s", "0.0", "s", "2"]
    assert first[2].split()[:6] == ["scenes", "2.0", "s", "0.0", "s", "1"]
    again = cli.json("index", video, "--with", "subtitles", "--json", "--quiet")["indexed"]
    (row,) = again
    assert row.pop("wall_seconds") < 5
    assert row == {"video": "talk.mp4", "analyzer": "subtitles", "new_seconds": 0.0, "reused_seconds": 2.0, "notes": 2, "not_examined": []}


def test_progress_counts_notes_as_the_table_does(cli: Cli, tmp_path: Path) -> None:
    again = talk(tmp_path / "again.mp4", cues=[(n * 500, n * 500 + 100, "la") for n in range(20)], seconds=10, sound=False)
    spots = write(tmp_path / "spots.mp4", replace(Clip(times=range(0, 4000, 40)), tones=(Tone(end=4.0),)))
    many = talk(tmp_path / "many.mp4", cues=[(n * 100, n * 100 + 90, f"word{n} " * 40) for n in range(190)], seconds=20, sound=False)
    for video in (again, spots, many):
        shown = cli("index", video, "--tools", "subtitles,voice,motion,scenes")
        table = {row.split()[0]: row.split()[5] for row in shown.stdout.splitlines()[1:]}
        tools = {"subtitles": "read_subtitles", "voice": "find_voice", "motion": "find_motion", "scenes": "find_scenes"}
        told = {name: re.search(rf"{tool} .*: (\d+) notes?, ", shown.stderr) for name, tool in tools.items() if name in table}
        assert {name: match and match[1] for name, match in told.items()} == table
    assert table["subtitles"] == "190", "more than a model is shown at once"


def test_index_tells_what_a_spent_budget_leaves(cli: Cli, video: Path) -> None:
    shown = cli("index", video, "--with", "motion,scenes", "--tools", "motion,scenes", "--max-analyzer-seconds", "0", "--quiet")
    rows = [re.split(r"  +", line.strip()) for line in shown.stdout.splitlines()]
    assert rows[0] == ["analyzer", "new", "reused", "not examined", "notes", "took"]
    assert [row[3] for row in rows[1:]] == ["2.0 s", "2.0 s"]
    assert "Not examined: motion, scenes 0:00-0:02 (budget)\n" in shown.stderr
    whole = cli("index", video, "--with", "motion,scenes", "--quiet")
    assert "not examined" not in whole.stdout and "Not examined" not in whole.stderr


def test_index_respects_the_scope(cli: Cli, video: Path) -> None:
    (row,) = cli.json("index", video, "--with", "motion", "--to", "0.5", "--every", "0.125", "--json", "--quiet")["indexed"]
    assert row["analyzer"] == "motion" and row["new_seconds"] == 2.0, "one grain, which is the whole of so short a clip"


def test_an_analyzer_that_does_not_apply_is_a_warning_unless_it_was_named(cli: Cli, tmp_path: Path) -> None:
    tiny_whisper.install(tmp_path)
    silent = talk(tmp_path / "silent.mp4", sound=False, cues=())
    result = cli("index", silent, "--tools", "scenes,speech,subtitles", "--quiet")
    assert result.stderr.splitlines() == [
        "Warning: Skipped for speech: silent.mp4 has no sound",
        "Warning: Skipped for subtitles: silent.mp4 has no subtitles",
    ]
    named = cli("index", silent, "--with", "speech,scenes", "--quiet", code=1)
    assert named.stderr.startswith("Error: silent.mp4 has no sound, so speech has nothing to analyze.\nHint: ")
    assert named.stdout.splitlines()[1].startswith("scenes"), "what does apply is done all the same"


def test_several_videos_have_rows_of_their_own(cli: Cli, video: Path, tmp_path: Path) -> None:
    other = talk(tmp_path / "other.mp4", cues=(), seconds=1)
    result = cli("index", video, other, "--with", "scenes,subtitles", "--quiet")
    rows = [line.split()[:2] for line in result.stdout.splitlines()]
    assert rows == [["video", "analyzer"], ["talk.mp4", "scenes"], ["other.mp4", "scenes"], ["talk.mp4", "subtitles"]]
    assert result.stderr == "Warning: 1 of 2 skipped for subtitles: other.mp4 has no subtitles\n"
    alone = cli("index", video, other, "--with", "subtitles", "--quiet")
    assert alone.stderr == "Warning: 1 of 2 skipped: other.mp4 has no subtitles\n"
    same = talk(tmp_path / "same.mp4", cues=(), seconds=2)
    none = cli("index", other, same, "--with", "subtitles", "--quiet", code=1)
    assert none.stderr.splitlines()[0] == (
        "Error: other.mp4 has no subtitles, so subtitles has nothing to analyze; "
        "same.mp4 has no subtitles, so subtitles has nothing to analyze."
    )


def test_unknown_names_are_told_before_anything_runs(cli: Cli, video: Path) -> None:
    result = cli("index", video, "--with", "subtitles,spech", "--quiet", code=1)
    assert (
        result.stderr.startswith("Error: Unknown analyzer 'spech'.\nHint: Did you mean 'speech'? Choose from: scenes, ")
        and not result.stdout
    )
    assert cli.json("notes", video, "--json") == []
    cli("index", video, "--with", ",", code=2)
    cli("index", video, "--every", "0", code=2)


def test_an_analyzer_that_failed_is_an_error(cli: Cli, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analyzer_agent.errors import MediaError

    def broken(*_: object, **__: object) -> None:
        raise MediaError("the track cannot be read", hint="Get the file again.")

    monkeypatch.setattr("analyzer_agent.media.MediaFile.subtitles", broken)
    result = cli("index", video, "--with", "subtitles", code=1)
    assert "read_subtitles 0:00-0:02: 0 notes, failed on 0:00-0:02: the track cannot be read\n" in result.stderr
    assert "Error: subtitles failed on 0:00-0:02: the track cannot be read\nHint: " in result.stderr


# --- notes ----------------------------------------------------------------------------------------------------------


def test_notes_as_a_table(cli: Cli, known: Path) -> None:
    assert cli("notes", known).stdout == (
        "note  time           kind      engine  text\n"
        '#1    0:00.1-0:00.9  subtitle  pyav    "Good morning everybody."\n'
        '#2    0:01-0:01.8    subtitle  pyav    "One basket of fish costs forty dollars."\n'
    )


def test_notes_as_json_and_json_lines(cli: Cli, known: Path) -> None:
    whole = cli.json("notes", known, "--json")
    assert whole[1] == {
        **{"id": 2, "video": "talk.mp4", "kind": "subtitle", "analyzer": "subtitles", "engine": "pyav"},
        **{"start": 1.0, "end": 1.8, "text": CUES[1][2], "score": None, "uncertain": False, "notes": [2]},
    }
    assert whole == cli.json("notes", known, "--format", "json")
    assert whole == [json.loads(line) for line in cli("notes", known, "--format", "jsonl").stdout.splitlines()]
    cli("notes", known, "--json", "--format", "csv", code=2)


def test_notes_as_subtitles(cli: Cli, known: Path) -> None:
    assert cli("notes", known, "--format", "srt").stdout == (
        "1\n00:00:00,100 --> 00:00:00,900\nGood morning everybody.\n\n"
        "2\n00:00:01,000 --> 00:00:01,800\nOne basket of fish costs forty dollars.\n"
    )
    assert cli("notes", known, "--format", "vtt").stdout == (
        "WEBVTT\n\n00:00:00.100 --> 00:00:00.900\nGood morning everybody.\n\n"
        "00:00:01.000 --> 00:00:01.800\nOne basket of fish costs forty dollars.\n"
    )


SAID = "One basket of fish costs forty dollars, she says, and that is far too much for a basket of this size. Really."


@pytest.fixture
def spoken(cli: Cli, tmp_path: Path) -> Path:
    """A clip with subtitles, cuts and speech, whose words have times."""
    video = talk(tmp_path / "spoken.mp4", seconds=8)
    words = [{"word": f" {word}", "start": n / 4, "end": (n + 1) / 4, "probability": 0.5} for n, word in enumerate(SAID.split())]
    file = tmp_path / "said.json"
    file.write_text(json.dumps([{"start": 0, "end": len(words) / 4, "text": SAID, "words": words}]), encoding="utf-8")
    cli("index", video, "--with", "subtitles,scenes")
    cli("import-notes", "--video", video, file)
    return video


def test_subtitles_hold_what_is_said_and_nothing_else(cli: Cli, spoken: Path) -> None:
    srt = cli("notes", spoken, "-f", "srt").stdout
    assert [block.splitlines()[2:] for block in srt.strip().split("\n\n")] == [
        ["One basket of fish costs", "forty dollars, she says,"],
        ["and that is far too much", "for a basket of this size."],
        ["Really."],
    ]
    assert srt.splitlines()[1] == "00:00:00,000 --> 00:00:02,250"
    narrow = cli("notes", spoken, "-f", "vtt", "--max-line", "20").stdout
    assert all(len(line) <= 20 for line in narrow.splitlines() if "-->" not in line)
    subtitles = cli("notes", spoken, "-f", "srt", "--kind", "subtitle").stdout
    assert "Good morning everybody." in subtitles and "shot" not in subtitles
    assert "shot 1" in cli("notes", spoken, "-f", "srt", "--kind", "scene,speech").stdout


def read_by_ffmpeg(file: Path) -> list[Cue]:
    cues = []
    with av.open(str(file)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base and packet.duration:
                start, end = (round(ticks * packet.time_base * 1000) for ticks in (packet.pts, packet.pts + packet.duration))
                cues.append(Cue(TimeRange(start, end), re.sub(r"<[\d:.]+>", "", bytes(packet).decode())))
    return cues


def test_subtitle_files_are_read_back_the_same(cli: Cli, spoken: Path, tmp_path: Path) -> None:
    from analyzer_agent.importing import subtitle_formats as own

    for form, flags in (("srt", ()), ("vtt", ()), ("vtt", ("--words",))):
        file = tmp_path / f"back.{form}"
        file.write_text(cli("notes", spoken, "-f", form, *flags).stdout, encoding="utf-8")
        cues = read_by_ffmpeg(file)
        entries = getattr(own, form)(file.read_text(encoding="utf-8"), file.name).entries
        assert [(entry.start, entry.end, entry.text) for entry in entries] == [(cue.span.start, cue.span.end, cue.text) for cue in cues]
        assert " ".join(" ".join(cue.text.split()) for cue in cues) == SAID
        assert [(cue.span.start, cue.span.end) for cue in cues] == [(0, 2250), (2250, 5250), (5250, 6250)]


def test_words_with_their_times(cli: Cli, spoken: Path) -> None:
    (note,) = cli.json("notes", spoken, "--kind", "speech", "--json", "--words")
    assert note["words"][1] == {"word": "basket", "start": 0.25, "end": 0.5, "probability": 0.5}
    assert " ".join(word["word"] for word in note["words"]) == note["text"]
    rows = list(csv.DictReader(io.StringIO(cli("notes", spoken, "-f", "csv", "--words").stdout)))
    assert [row["text"] for row in rows] == SAID.split() and {row["kind"] for row in rows} == {"speech"}
    vtt = cli("notes", spoken, "-f", "vtt", "--words").stdout
    assert "One <00:00:00.250>basket <00:00:00.500>of" in vtt
    assert "words" not in cli.json("notes", spoken, "--kind", "speech", "--json")[0]


def test_flags_that_a_format_has_no_use_for(cli: Cli, known: Path) -> None:
    assert "--words needs one of the formats json, jsonl, csv, vtt." in cli("notes", known, "--words", code=2).stderr
    assert "--max-line needs one of the formats srt, vtt." in cli("notes", known, "--json", "--max-line", "30", code=2).stderr


def test_awkward_text_survives_each_format(cli: Cli, tmp_path: Path) -> None:
    text = 'He said "a, b"\n\nand <i>x</i> & y --> z | *w*'
    video = talk(tmp_path / "odd.mp4", cues=())
    (tmp_path / "odd.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{text.replace(chr(10) * 2, chr(10))}\n", encoding="utf-8")
    cli("index", video, "--with", "subtitles")
    (note,) = cli.json("notes", video, "--json")
    flat = " ".join(note["text"].split())
    (row,) = csv.DictReader(io.StringIO(cli("notes", video, "--format", "csv").stdout))
    assert (row["text"], row["start"], row["end"], row["kind"]) == (note["text"], "0.0", "1.0", "subtitle")
    markdown = cli("notes", video, "--format", "md").stdout.splitlines()
    assert len(markdown) == 3 and r"\| \*w\*" in markdown[2]
    vtt = cli("notes", video, "--format", "vtt").stdout
    assert vtt.count("-->") == 1 and "&amp;" in vtt
    assert cli("notes", video, "--format", "srt").stdout.count("-->") == 1
    assert flat.replace('"', "'") in cli("notes", video).stdout


def test_notes_can_be_chosen(cli: Cli, known: Path) -> None:
    cli("index", known, "--with", "scenes")

    def ids(*flags: str) -> list[int]:
        return [row["id"] for row in cli.json("notes", known, "--json", *flags)]

    assert ids("--kind", "subtitle") == [1, 2] and ids("--kind", "scene,subtitle") == [3, 1, 2]
    assert ids("--kind", "subtitle", "--from", "0.95") == [2] and ids("--kind", "subtitle", "--to", "0:01") == [1]
    assert ids("--search", "fish morning", "--kind", "subtitle") in ([1, 2], [2, 1]) and ids("--search", "fish") == [2]


def test_a_renamed_or_copied_file_has_the_same_notes(cli: Cli, known: Path, tmp_path: Path) -> None:
    before = cli("notes", known).stdout
    copy = tmp_path / "a copy of it.mp4"
    copy.write_bytes(known.read_bytes())
    assert cli("notes", copy).stdout == before


def test_notes_make_nothing(cli: Cli, video: Path) -> None:
    result = cli("notes", video)
    assert (result.stdout, result.stderr) == ("", "No notes on talk.mp4 yet. To analyze it: analyzer-agent index VIDEO.\n")
    assert not cli.store.exists()


def test_no_match_is_told_apart_from_no_notes(cli: Cli, known: Path) -> None:
    result = cli("notes", known, "--search", "parrot")
    assert (result.stdout, result.stderr) == ("", "No notes on talk.mp4 match.\n")


# --- cache ----------------------------------------------------------------------------------------------------------


def test_stats(cli: Cli, known: Path) -> None:
    cli("index", known, "--with", "scenes")
    lines = cli("cache", "stats").stdout.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["video", "analyzer", "engine", "covered", "notes"],
        ["talk.mp4", "scenes", "pyscenedetect", "2.0", "s", "1"],
        ["talk.mp4", "subtitles", "pyav", "2.0", "s", "2"],
    ]
    assert lines[3].startswith(f"{cli.store}: 3 notes on 1 video, ")
    given = cli.json("cache", "stats", "--json")
    assert [(c["analyzer"], c["covered_seconds"], c["notes"]) for c in given["covered"]] == [("scenes", 2.0, 1), ("subtitles", 2.0, 2)]
    assert given["bytes"] >= cli.store.stat().st_size


def test_stats_of_nothing(cli: Cli) -> None:
    assert cli("cache", "stats").stdout == f"{cli.store}: nothing yet\n"
    assert cli("cache", "clear", "--yes").stdout == f"{cli.store}: nothing to clear\n"
    assert not cli.store.exists()


@pytest.mark.parametrize("command", [["notes", "VIDEO"], ["search", "fish"], ["sessions"], ["cache", "stats"], ["cache", "clear"]])
def test_a_store_that_is_named_must_exist_where_it_is_only_read(cli: Cli, known: Path, command: list[str]) -> None:
    (cli.folder / "mine.db").touch()
    arguments = [str(known) if word == "VIDEO" else word for word in command]
    told = cli(*arguments, "--store", cli.folder / "mime.db", code=1).stderr
    assert told.startswith(f"Error: There is no store at '{cli.folder / 'mime.db'}'.\nHint: Did you mean '") and "mine.db" in told


def test_clearing_asks_first(cli: Cli, known: Path) -> None:
    result = cli("cache", "clear", stdin="n\n")
    assert result.stderr.endswith("Nothing was deleted.\n")
    *rows, total = result.stdout.splitlines()
    assert [row.split()[:3] for row in rows] == [["video", "analyzer", "engine"], ["talk.mp4", "subtitles", "pyav"]]
    assert total == "Total: 2 notes, 2.0 media-seconds"
    assert len(cli.json("notes", known, "--json")) == 2
    assert cli("cache", "clear", stdin="y\n").stdout.endswith("Deleted 2 notes, 2.0 media-seconds.\n")
    assert cli.json("notes", known, "--json") == []


def test_cleared_notes_are_taken_anew_under_new_numbers(cli: Cli, known: Path) -> None:
    cli("cache", "clear", "--yes")
    (row,) = cli.json("index", known, "--with", "subtitles", "--json", "--quiet")["indexed"]
    assert row["new_seconds"] == 2.0
    assert [note["id"] for note in cli.json("notes", known, "--json")] == [3, 4]
    assert [note["id"] for note in cli.json("notes", known, "--json", "--search", "fish")] == [4]


def test_clearing_only_some(cli: Cli, known: Path, tmp_path: Path) -> None:
    other = talk(tmp_path / "other.mp4", seconds=3)
    cli("index", known, other, "--with", "scenes,subtitles")

    def left() -> list[tuple[str, str]]:
        return [(c["video"], c["analyzer"]) for c in cli.json("cache", "stats", "--json")["covered"]]

    cli("cache", "clear", "--yes", "--video", other, "--analyzer", "scenes")
    assert left() == [("talk.mp4", "scenes"), ("talk.mp4", "subtitles"), ("other.mp4", "subtitles")]
    cli("cache", "clear", "--yes", "--engine", "pyscenedetect")
    assert left() == [("talk.mp4", "subtitles"), ("other.mp4", "subtitles")]
    cli("cache", "clear", "--yes", "--video", "talk.mp4")
    assert left() == [("other.mp4", "subtitles")]


def test_clearing_what_is_not_there(cli: Cli, known: Path) -> None:
    assert cli("cache", "clear", "--yes", "--video", "no.mp4", code=1).stderr == (
        "Error: The store has no video 'no.mp4'.\nHint: It has: talk.mp4.\n"
    )
    assert cli("cache", "clear", "--yes", "--analyzer", "x", code=1).stderr == (
        "Error: The store has no notes of the analyzer 'x'.\nHint: It has: subtitles.\n"
    )


def test_answers_keep_what_they_cited(cli: Cli, known: Path) -> None:
    cli("chat", known, "--session", "s", stdin=f"{PRICE}\n")
    cli("cache", "clear", "--yes")
    from analyzer_agent.storage import Store

    with Store(cli.store) as store:
        assert store.history.turns("s")[0]["answer"]["citations"][0]["text"] == CUES[1][2]


# --- chapters ---------------------------------------------------------------------------------------------------------


def test_chapters(cli: Cli, known: Path) -> None:
    lines = cli("notes", known, "--chapters").stdout.splitlines()
    assert lines[0].startswith("part 1, 0:00-0:02, words: ") and lines[0].endswith("; analyzed by subtitles")
    assert [line.split()[0] for line in lines[1:]] == ["#1", "#2"] and CUES[1][2] in lines[2]
    part = cli("notes", known, "--chapters", "--from", "1").stdout
    assert part.startswith("part 1, 0:01-0:02")


def test_chapters_of_what_nobody_looked_at(cli: Cli, video: Path) -> None:
    result = cli("notes", video, "--chapters")
    assert result.stdout == "" and "No notes on talk.mp4 yet." in result.stderr


@pytest.mark.parametrize("other", [("--kind", "text"), ("--search", "x"), ("--format", "csv"), ("--json",)])
def test_chapters_are_not_a_table(cli: Cli, video: Path, other: tuple[str, ...]) -> None:
    assert "--chapters can be combined with --from and --to only." in cli("notes", video, "--chapters", *other, code=2).stderr


def test_long_texts_are_cut_but_with_full(cli: Cli, tmp_path: Path) -> None:
    long = " ".join(f"word{n}" for n in range(100))
    video = talk(tmp_path / "long.mp4", cues=[(100, 1900, long)])
    cli("index", video, "--with", "subtitles")
    assert f'"{long[:199]}…"\n' in cli("notes", video).stdout and f'"{long}"\n' in cli("notes", video, "--full").stdout
    asked = ("ask", video, "What is word1?", "--tools", "subtitles")
    assert f': "{long[:299]}…"\n' in cli(*asked).stdout and f': "{long}"\n' in cli(*asked, "--full").stdout
    chat = cli("chat", video, stdin="/notes\n/notes --full\n/notes --full word1\n").stdout.splitlines()
    assert [line.partition(": ")[2] for line in chat] == [f'"{long[:199]}…"', f'"{long}"', f'"{long}"']
