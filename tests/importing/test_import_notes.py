"""`import-notes`: notes that were made elsewhere are read, searched, cited and served like all others."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from analyzer_agent.events import discard
from analyzer_agent.records import Note
from cli_kit import PRICE, Cli, talk
from patience import processor_seconds
from transcripts import SRT, WHISPERX

CUES = "1\n00:00:00,100 --> 00:00:00,900\nGood morning.\n\n2\n00:00:01,000 --> 00:00:01,800\nOne basket of fish costs forty dollars.\n"


Bring = Callable[..., Result]
"""Import notes: some content and flags."""


@pytest.fixture
def bring(cli: Cli, tmp_path: Path) -> Bring:
    def run(content: Any, *flags: Any, name: str = "file.dat", video: str = "film", code: int = 0) -> Result:
        file = tmp_path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return cli("import-notes", file, "--video", video, *flags, code=code)

    return run


def short(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, str, str]]:
    return [(row["start"], row["end"], row["kind"], row["text"]) for row in rows]


# --- a video with its file ------------------------------------------------------------------------------------------


def test_an_import_serves_the_analyzer(cli: Cli, bring: Bring, tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4", cues=())
    assert bring(CUES, "--kind", "speech", video=video).stdout == "talk.mp4: 2 notes by srt-file for speech, 0:00-0:02\n"
    (row,) = cli.json("index", video, "--with", "speech", "--json", "--quiet")["indexed"]
    assert (row["new_seconds"], row["reused_seconds"], row["notes"]) == (0.0, 2.0, 2)
    answer = cli.json("ask", video, PRICE, "--json", "--quiet")
    assert [(c["engine"], c["kind"], c["text"]) for c in answer["citations"]] == [
        ("srt-file", "speech", "One basket of fish costs forty dollars.")
    ]
    assert answer["usage"]["media_seconds_analyzed"] == 0


def test_subtitles_serve_a_video_without_a_track(cli: Cli, bring: Bring, tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4", cues=())
    bring(CUES, video=video)
    (row,) = cli.json("index", video, "--with", "subtitles", "--json", "--quiet")["indexed"]
    assert (row["new_seconds"], row["notes"]) == (0.0, 2)


def test_tracks_of_another_program_are_counted(cli: Cli, bring: Bring) -> None:
    rows = "start,end,text,kind,score\n1,3,person,track,\n7,9,dog,track,0.9\n10,12,dog,track,0.1\n"
    bring(rows, "--duration", "20")
    found = cli.json("notes", "film", "--json", "--quiet")
    assert [(note["start"], note["end"], note["text"]) for note in found] == [(1.0, 3.0, "person"), (7.0, 9.0, "dog")], (
        "across a grain, too"
    )


def test_importing_again_changes_nothing_and_clearing_throws_away(cli: Cli, bring: Bring, tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4")
    cli("index", video, "--with", "subtitles")
    bring(CUES.replace("forty", "fifty"), "--engine", "mine", video=video)
    before = cli.json("notes", video, "--json")
    assert [row["engine"] for row in before] == ["mine", "mine"], "the newest of equals is shown"
    again = bring(CUES.replace("forty", "fifty"), "--engine", "mine", video=video)
    assert again.stdout == "talk.mp4: 2 notes by mine for subtitles, 0:00-0:02: imported before, nothing changed\n"
    assert cli.json("notes", video, "--json") == before
    cli("cache", "clear", "--engine", "mine", "--yes")
    assert [row["engine"] for row in cli.json("notes", video, "--json")] == ["pyav", "pyav"]


def test_only_the_range_that_is_named_is_covered(cli: Cli, bring: Bring, tmp_path: Path) -> None:
    video = talk(tmp_path / "talk.mp4", cues=())
    result = bring(CUES, "--kind", "speech", "--from", "0.5", "--to", "1.5", video=video)
    assert result.stdout == "talk.mp4: 2 notes by srt-file for speech, 0:00.5-0:01.5\n"
    assert short(cli.json("notes", video, "--json")) == [
        (0.5, 0.9, "speech", "Good morning."),
        (1.0, 1.5, "speech", "One basket of fish costs forty dollars."),
    ]
    (share,) = cli.json("cache", "stats", "--json")["covered"]
    assert share["covered_seconds"] == 1.0


# --- a name without a file ------------------------------------------------------------------------------------------


def test_questions_about_a_video_whose_file_is_not_here(cli: Cli, bring: Bring, tmp_path: Path) -> None:
    bring(CUES, "--duration", "2:00", video="shows/film")
    for name in ("shows/film", tmp_path / "shows" / "film"):
        result = cli("ask", name, PRICE)
        assert 'Subtitle: "One basket of fish costs forty dollars." [#2]' in result.stdout
        assert "the file is not here, so only notes that were imported can be used" in result.stderr
    assert len(cli.json("notes", "shows/film", "--json")) == 2
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"id": 1, "video": "shows/film", "question": PRICE}), encoding="utf-8")
    cli("batch", questions, "--out", tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["citations"][0]["note"] == 2
    cli("chat", "shows/film", "--session", "s", stdin=f"{PRICE}\n")
    assert "[#2]" in cli("chat", "--session", "s", stdin=f"{PRICE}\n").stdout


def test_analyzers_say_that_the_file_is_not_here(cli: Cli, bring: Bring) -> None:
    bring(CUES, "--duration", "2:00")
    (answer,) = [cli.json("ask", "film", "Is there a parrot?", "--json", "--quiet")]
    reasons = {u["analyzer"]: (u["reason"], u.get("detail")) for u in answer["not_examined"]}
    assert reasons["scenes"] == ("unavailable", "the file of film is not here") and "subtitles" not in reasons
    result = cli("index", "film", "--with", "scenes", code=1)
    assert "the file of film is not here, so scenes has nothing to analyze." in result.stderr


def test_imported_captions_need_no_captioner(cli: Cli, bring: Bring) -> None:
    bring({str(n): f"a cat in place {n // 4}" for n in range(60)}, "--duration", "1:00")
    (row,) = cli.json("index", "film", "--with", "captions", "--every", "4", "--json", "--quiet")["indexed"]
    assert (row["new_seconds"], row["reused_seconds"], row["notes"]) == (0.0, 60.0, 15)
    assert "a cat in place 7" in cli("ask", "film", "Is there a cat at 0:30?").stdout


def test_a_missing_file_is_still_told_as_such(cli: Cli, bring: Bring) -> None:
    bring(CUES, "--duration", "2:00")
    expected = "Error: There is no file 'other'.\nHint: Check the path; relative paths start at the current folder.\n"
    assert cli("ask", "other", "x", code=1).stderr == expected
    assert cli("notes", "other", code=1).stderr == expected
    assert "--duration TIME" in bring(CUES, video="other", code=1).stderr


def test_a_file_that_appears_has_notes_of_its_own(cli: Cli, bring: Bring, tmp_path: Path) -> None:
    name = tmp_path / "talk.mp4"
    bring(CUES, "--duration", "0:02", video=name)
    assert len(cli.json("notes", name, "--json")) == 2
    talk(name, cues=())
    assert cli.json("notes", name, "--json") == []
    bring(CUES, video=name)
    assert len(cli.json("notes", name, "--json")) == 2
    assert "Leave out --duration" in bring(CUES, "--duration", "0:02", video=name, code=1).stderr


# --- what is stored -------------------------------------------------------------------------------------------------


def stored(cli: Cli) -> list[Note]:
    from analyzer_agent.storage import Store
    from analyzer_agent.timeline import TimeRange

    with Store(cli.store) as store:
        (video,) = store.maintenance.videos()
        return store.notes.read(video.id, TimeRange(0, video.duration))


def test_a_sentence_across_a_grain_is_cut_at_a_word_and_read_as_one(cli: Cli, bring: Bring) -> None:
    shifted = json.loads(json.dumps(WHISPERX))
    for record in (*shifted["segments"], *shifted["segments"][0]["words"]):
        record.update({field: record[field] + 118 for field in ("start", "end") if field in record})
    bring(shifted, "--duration", "3:00")
    notes = stored(cli)
    assert [(n.span.start, n.span.end, n.text) for n in notes] == [(119_000, 120_000, "It costs 40"), (120_000, 121_000, "dollars.")]
    assert notes[1].observation.detail == {
        "continues": True,
        "words": [["dollars.", 120_400, 121_000, 0.5]],
        "language": "en",
        "track": 1,
    }
    assert short(cli.json("notes", "film", "--json")) == [(119.0, 121.0, "speech", "It costs 40 dollars.")]


def test_a_cue_without_words_is_cut_as_well(cli: Cli, bring: Bring) -> None:
    bring("1\n00:01:58,000 --> 00:02:02,000\none two three four\n", "--kind", "speech", "--duration", "3:00")
    assert [(n.span.start, n.span.end, n.text) for n in stored(cli)] == [(118_000, 120_000, "one two"), (120_000, 122_000, "three four")]
    assert short(cli.json("notes", "film", "--json")) == [(118.0, 122.0, "speech", "one two three four")]


@pytest.mark.parametrize(("every", "step"), [(1, 1000), (4, 4000), (16, 16_000), (10, 0), (1.001, 0)])
def test_caption_lists_keep_their_times_on_any_grid(cli: Cli, bring: Bring, every: float, step: int) -> None:
    bring([f"caption {n}" for n in range(5)], "--every", every, "--duration", "1:20")
    told = [(row["start"], row["end"], row["text"]) for row in cli.json("notes", "film", "--json")]
    length = min(every, 8) if step else every  # samples longer than the analyzer's grain are stored this short
    assert told == [(round(n * every, 3), round(n * every + length, 3), f"caption {n}") for n in range(5)]
    from analyzer_agent.storage import Store
    from analyzer_agent.timeline import TimeRange

    with Store(cli.store) as store:
        (video,) = store.maintenance.videos()
        keys = [provenance.key for provenance in store.notes.provenances()]
        assert {part.step for part in store.ledger.covered(video.id, keys, TimeRange(0, 80_000))} == {step}


def test_a_coarse_request_sees_of_lasting_captions_what_samples_would(cli: Cli, bring: Bring) -> None:
    bring([f"caption {n}" for n in range(20)], "--every", 3, "--duration", "1:00")
    from analyzer_agent.session import Session

    with Session("film", store=cli.store, manager="rules") as session:
        from analyzer_agent.testing import call

        result = session.toolbox.run(call("caption_frames", ranges=[["0:00", "1:00"]], every=16), discard)
    expected = sorted({t // 3000 for t in range(0, 60_000, 16_000)})
    assert [n for n in range(20) if f'"caption {n}"' in result.text] == expected == [0, 5, 10, 16]


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_what_notes_prints_comes_back(cli: Cli, bring: Bring, tmp_path: Path, form: str) -> None:
    rows = [
        ("0", "70", "shot", "scene", ""),
        ("70", "120", "shot", "scene", ""),
        ("1", "2", "EXIT", "text", "0.9"),
        ("1", "9", "2 person", "object", "0.8"),
        ("3", "130", "a long one", "caption", ""),
        ("5", "125", "voice", "voice", "0.5"),
        ("6", "7", "kitchen", "tag", ""),
        ("118", "122", "she says that, and no more", "speech", ""),
        ("8", "9", "a cue\nof two lines", "subtitle", ""),
        ("60", "61", "motion", "motion", "0.3"),
    ]
    table = "start,end,text,kind,score\n" + "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    bring(table, "--duration", "3:00", video="first")
    known = cli.json("notes", "first", "--json")
    spans = {(row["kind"], row["start"], row["end"]) for row in known}
    assert spans == {(kind, float(start), float(end)) for start, end, _, kind, _ in rows}
    bring(cli("notes", "first", "--format", form).stdout, "--duration", "3:00", video="second", name=f"notes.{form}")

    def plain(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        kept = [{k: v for k, v in row.items() if k not in ("id", "notes", "video", "engine")} for row in found]
        return sorted(kept, key=lambda row: (row["start"], row["end"], row["kind"]))

    assert plain(cli.json("notes", "second", "--json")) == plain(known)


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_printed_cues_come_back(cli: Cli, bring: Bring, form: str) -> None:
    bring(SRT, "--duration", "1:00", video="first")
    bring(cli("notes", "first", "--format", form).stdout, "--duration", "1:00", video="second")
    first, second = (short(cli.json("notes", name, "--json")) for name in ("first", "second"))
    assert first == second and len(first) == 2


def test_uncertain_notes_stay_uncertain(cli: Cli, bring: Bring) -> None:
    record = {"kind": "speech", "start": 1, "end": 2, "text": "hm", "uncertain": True}
    bring([record], "--duration", "10")
    assert [row["uncertain"] for row in cli.json("notes", "film", "--json")] == [True]


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_what_lies_beyond_the_end_is_clipped_or_left_out(cli: Cli, bring: Bring) -> None:
    text = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n + 2},000\ncue {n}\n\n" for n in range(1, 7))
    result = bring(text, "--duration", "4")
    assert "3 of 6 notes lie beyond the end of the video at 0:04 and were left out" in result.stderr
    assert short(cli.json("notes", "film", "--json"))[-1] == (3.0, 4.0, "subtitle", "cue 3")
    other = bring(text, "--duration", "0.5", video="short", code=1)
    assert "Nothing of 'file.dat' lies within 0:00-0:00.5: it reaches from 0:01 to 0:08." in other.stderr


@pytest.mark.parametrize(
    ("content", "flags", "why"),
    [
        (CUES, ["--kind", "parrot"], "Notes of the kind 'parrot' cannot be imported.\nHint: Choose from: scene, subtitle, speech, "),
        ("start,end,text\n1,2,a", [], "file.dat, line 2: it names no kind.\nHint: Say what it is: --kind KIND."),
        ("start,end,text,kind\n1,2,a,look", [], "file.dat, line 2: notes of the kind 'look' cannot be imported."),
        ("start,end,text,kind\n1,2,kitchen,scene", [], "file.dat, line 2: a scene has times and no text but 'shot', not 'kitchen'"),
        (CUES, ["--engine", "whisper"], "'whisper' is an engine of this program."),
        (CUES, ["--engine", "a b"], "'a b' cannot be an engine's name."),
    ],
)
def test_what_cannot_be_imported_is_told(cli: Cli, bring: Bring, content: Any, flags: list[str], why: str) -> None:
    assert f"Error: {why}" in bring(content, *flags, "--duration", "1:00", code=1).stderr
    assert not cli.store.exists()


@pytest.mark.parametrize(("video", "duration"), [("", "5"), ("x", "0"), ("x", "9999999:00:00")])
def test_a_name_and_a_duration_are_needed(cli: Cli, bring: Bring, video: str, duration: str) -> None:
    told = bring(CUES, "--duration", duration, video=video, code=1).stderr
    assert told.startswith("Error: A video without a file needs a name and a duration of at most 1000 hours.")


def test_two_imports_at_once_store_each_note_once(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "captions.json"
    file.write_text(json.dumps([f"caption {n}" for n in range(20_000)]), encoding="utf-8")
    runs = [cli.process("import-notes", file, "--video", "film", "--duration", "6:00:00") for _ in range(2)]
    assert [run.communicate()[1] for run in runs] == ["", ""] and [run.returncode for run in runs] == [0, 0]
    assert [share["notes"] for share in cli.json("cache", "stats", "--json")["covered"]] == [20_000]


def test_a_hundred_thousand_captions_take_seconds(bring: Bring) -> None:
    with processor_seconds(40):
        bring({str(n): f"caption {n // 3}" for n in range(100_000)}, "--duration", "28:00:00")
