"""What machines get wrong costs one value or record; common forms are read, their units and speakers kept."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from analyzer_agent.errors import AgentError
from analyzer_agent.importing.detect import read_document
from analyzer_agent.importing.model import Document
from analyzer_agent.importing.units import in_seconds
from cli_kit import Cli

Bring = Callable[..., Result]
NAN = float("nan")


def told(data: Any) -> Document:
    return read_document((data if isinstance(data, str) else json.dumps(data)).encode(), Path("file"), 1000)


def short(document: Document) -> list[tuple[int, int, str]]:
    return [(e.start, e.end, e.text) for e in document.entries]


def segment(text: str = "Good day.", start: float = 1, end: float = 2, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, **more}


# --- odd values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("odd", "kept", "why"),
    [
        (segment(words=[{"word": "Hm", "start": 1, "end": 2, "probability": NAN}]), (1000, 2000), "score nan"),
        (segment(words=[{"word": "Hm", "start": 1, "end": 2, "score": 1.0000001}]), (1000, 2000), "score 1.0000001"),
        (segment(words=[{"word": "Hm", "start": 1, "end": 2, "score": -3}]), (1000, 2000), "score -3"),
        (segment(words=[{"word": "Hm", "start": NAN, "end": 2}]), (1000, 2000), "'start' is no number"),
        (segment(words=[{"start": 1, "end": 2}, {"word": "Hm", "start": 1, "end": 2}]), (1000, 2000), "it is no word"),
        (segment(start=-0.02), (0, 2000), "'start' is -0.02"),
        (segment(start=3, end=2), (3000, 8000), "'end' (2 s) comes before 'start' (3 s)"),
        (segment(words="none"), (1000, 2000), "'words' is no list"),
    ],
)
def test_an_odd_value_is_corrected_and_counted(odd: dict[str, Any], kept: tuple[int, int], why: str) -> None:
    found = told({"segments": [segment("First.", 0, 1), odd, segment("Last.", 9, 10)]})
    assert [e.text for e in found.entries] == ["First.", "Good day.", "Last."]
    assert (found.entries[1].start, found.entries[1].end) == kept
    (message,) = found.flaws
    assert message.startswith("1 odd value was corrected or left out; the first: file, segment 2") and why in message


@pytest.mark.parametrize(
    "odd", [{"start": 1, "text": "x"}, {"start": "soon", "end": 2, "text": "x"}, segment(start=NAN), 5, {"start": 1, "end": 2}]
)
def test_a_record_that_cannot_be_read_costs_no_other(odd: Any) -> None:
    found = told({"segments": [segment("First."), odd, odd, segment("Last.", 9, 10)]})
    assert [e.text for e in found.entries] == ["First.", "Last."]
    assert found.flaws[0].startswith("2 records could not be read and were left out; the first: file, segment 2: ")
    with pytest.raises(AgentError, match="file, segment 1: "):
        told({"segments": [odd]})


@pytest.mark.parametrize("at", range(4), ids=str)
@pytest.mark.parametrize("broken", ['{"start": 1, "end": 2, "te', "nonsense", "]", "{" * 9999])
def test_a_line_that_is_no_json_costs_no_other(at: int, broken: str) -> None:
    lines = [json.dumps({"start": n, "end": n + 1, "text": f"word {n}"}) for n in range(3)]
    if not at and not broken.startswith("{"):
        return  # then it is not taken for JSON at all
    found = told("\n".join([*lines[:at], broken, *lines[at:]]))
    assert [e.text for e in found.entries] == ["word 0", "word 1", "word 2"]
    assert found.flaws[0].startswith("1 record could not be read and was left out") and f"line {at + 1}" in found.flaws[0]
    with pytest.raises(AgentError, match="not valid JSON"):
        told("\n".join([lines[0], broken, broken] if at else [broken, broken, lines[0]]))


def test_a_row_that_cannot_be_read_costs_no_other() -> None:
    found = told("start,end,text,score\n1,2,a,7\n1,x,b,0.5\n3,4,c,0.5\n5,6\n")
    assert short(found) == [(1000, 2000, "a"), (3000, 4000, "c")] and [e.score for e in found.entries] == [None, 0.5]
    assert [message.split(";")[0] for message in found.flaws] == [
        "2 records could not be read and were left out",
        "1 odd value was corrected or left out",
    ]


# --- forms ------------------------------------------------------------------------------------------------------------


def test_whisper_timestamped() -> None:
    words = [{"text": "Good", "start": 1, "end": 1.4, "confidence": 0.5}, {"text": "day.", "start": 1.4, "end": 2, "confidence": 0.9}]
    (entry,) = told({"text": "Good day.", "segments": [segment(words=words, confidence=0.7)], "language": "en"}).entries
    assert entry.words == (("Good", 1000, 1400, 0.5), ("day.", 1400, 2000, 0.9)) and (entry.score, entry.language) == (0.7, "en")


def test_whisper_cpp() -> None:
    def at(start: int, end: int, **more: Any) -> dict[str, Any]:
        return {"timestamps": {"from": "00:00:00,000", "to": "00:00:02,500"}, "offsets": {"from": start, "to": end}, **more}

    tokens = [at(0, 0, text="[_BEG_]", p=0.9), at(0, 900, text=" Good", p=0.8), at(900, 1500, text=" da", p=0.5)]
    tokens.append(at(1500, 2000, text="y.", p=0.9))
    records = [at(0, 2500, text=" Good day.", tokens=tokens), at(2500, 6000, text=" Yes.")]
    given = {"model": {}, "result": {"language": "en"}, "transcription": records}
    found = told(given)
    assert found.kind == "speech" and short(found) == [(0, 2500, "Good day."), (2500, 6000, "Yes.")]
    assert [(w.text, w.start, w.end, w.prob) for w in found.entries[0].words] == [(" Good", 0, 900, 0.8), (" day.", 900, 2000, 0.5)]
    for record in records:
        del record["offsets"]
    assert short(told(given))[0] == (0, 2500, "Good day.")


def test_youtube_transcript_api() -> None:
    lines = [{"text": "good morning", "start": 0.0, "duration": 2.5}, {"text": "everybody", "start": 2.5, "duration": 3.5}]
    for given in (lines, {"video_id": "x", "snippets": lines}):
        found = told(given)
        assert found.kind == "subtitle" and short(found) == [(0, 2500, "good morning"), (2500, 6000, "everybody")]


def test_words_alone_are_made_into_sentences() -> None:
    times = [("Good", 0), ("day.", 0.5), ("How", 1), ("much", 1.5), ("Forty", 5)]
    words = [{"word": word, "start": start, "end": start + 0.4} for word, start in times]
    for given in ({"task": "transcribe", "language": "english", "duration": 6, "text": "...", "words": words}, words):
        found = told(given)
        assert found.kind == "speech" and short(found) == [(0, 900, "Good day."), (1000, 1900, "How much"), (5000, 5400, "Forty")]
    assert told([{"word": one, "start": n, "end": n + 1} for n, one in enumerate("渡轮来了")]).entries[0].text == "渡轮来了"


def test_the_pipeline_of_transformers() -> None:
    chunks = [{"timestamp": [0.0, 2.5], "text": " Good day."}, {"timestamp": [2.5, None], "text": " Yes."}]
    assert short(told({"text": "...", "chunks": chunks})) == [(0, 2500, "Good day."), (2500, 7500, "Yes.")]


# --- speakers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"segments": [segment("I am tired.", speaker="SPEAKER_00")]}, "SPEAKER_00: I am tired."),
        ({"segments": [segment("I am tired.", words=[{"word": "I", "start": 1, "speaker": "Anna"}])]}, "Anna: I am tired."),
        ({"segments": [segment("Anna: I am tired.", speaker="Anna")]}, "Anna: I am tired."),
        ({"utterances": [{"speaker": 1, "start": 1.5, "end": 2, "transcript": "I am tired."}]}, "Speaker 1: I am tired."),
        ([{"word": "Tired.", "start": 1, "end": 2, "speaker": "Anna"}], "Anna: Tired."),
        ("start,end,speaker,text\n1,2,Anna,I am tired.", "Anna: I am tired."),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>I am tired.</v>\n", "Anna: I am tired."),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Anna Lee>Tired.\n<v Ben>Me too.\n", "Anna Lee: Tired.\nBen: Me too."),
    ],
)
def test_speakers_are_kept(given: Any, text: str) -> None:
    assert [entry.text for entry in told(given).entries] == [text]


@pytest.fixture
def bring(cli: Cli, tmp_path: Path) -> Bring:
    def run(content: Any, *flags: Any, code: int = 0) -> Result:
        file = tmp_path / "file.dat"
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return cli("import-notes", file, "--video", "film", *flags, code=code)

    return run


def test_who_says_it_is_shown_searched_and_cited(cli: Cli, bring: Bring) -> None:
    said = [segment("We sail at noon.", 0, 2, speaker="Ben"), segment("I am tired.", 2, 4, speaker="Anna")]
    said[1]["words"] = [{"word": word, "start": 2 + n, "end": 2.5 + n, "score": 0.9} for n, word in enumerate(["I", "am", "tired."])]
    bring({"segments": said}, "--duration", "0:20")
    assert '"Anna: I am tired." [#2]' in cli("ask", "film", "Who is tired?").stdout
    assert [row["text"] for row in cli.json("notes", "film", "--search", "Anna", "--json")] == ["Anna: I am tired."]
    assert "Anna: I am tired." in cli("search", "tired").stdout


def test_what_was_left_out_is_told(bring: Bring) -> None:
    result = bring({"segments": [segment(), 5, segment("x", 5, 4)]}, "--duration", "0:20")
    assert "1 record could not be read and was left out; the first: file.dat, segment 2: it is not a JSON object: 5" in result.stderr
    assert "1 odd value was corrected or left out; the first: file.dat, segment 3: 'end' (4 s) comes before 'start' (5 s)" in result.stderr


# --- units ------------------------------------------------------------------------------------------------------------

TSV = 'start\tend\ttext\n0\t2500\tGood morning everybody.\n2500\t6000\t"One basket of fish\n6000\t11000\tcosts forty dollars.\n'
SPANS = [(0.0, 2.5), (2.5, 6.0), (6.0, 11.0)]


def spans(cli: Cli) -> list[tuple[float, float]]:
    return [(row["start"], row["end"]) for row in cli.json("notes", "film", "--json")]


@pytest.mark.parametrize("duration", ["0:11", "0:20", "2:00:00"])
def test_the_tsv_of_whisper_is_in_milliseconds(cli: Cli, bring: Bring, duration: str) -> None:
    result = bring(TSV, "--kind", "speech", "--duration", duration)
    assert spans(cli) == SPANS and "they were read as milliseconds; --unit s reads them as seconds" in result.stderr


def test_a_tsv_in_seconds_is_in_seconds(cli: Cli, bring: Bring) -> None:
    table = TSV.replace("2500", "2").replace("6000", "6").replace("11000", "11")
    assert bring(table, "--kind", "speech", "--duration", "0:20").stderr == ""
    assert spans(cli) == [(0.0, 2.0), (2.0, 6.0), (6.0, 11.0)]


def test_where_both_units_fit_the_user_is_asked(cli: Cli, bring: Bring) -> None:
    result = bring(TSV, "--kind", "speech", "--duration", "10:00:00", code=1)
    assert "may be seconds or milliseconds" in result.stderr and "Hint: Say which: --unit s or --unit ms." in result.stderr
    bring(TSV, "--kind", "speech", "--duration", "10:00:00", "--unit", "ms")
    assert spans(cli) == SPANS
    assert "known in this format (srt)" in bring("1\n00:00:01,000 --> 00:00:02,000\nx\n", "--unit", "s", "--duration", "5", code=1).stderr


@pytest.mark.parametrize(
    ("given", "limit", "expected"),
    [
        ([segment("One basket of fish", 0, 2500), segment("costs forty", 2500, 6000)], 20_000, 2500),
        ({"utterances": [{"start": 400, "end": 2900, "transcript": "One basket of fish"}]}, 20_000, 2900),
        ([segment("One basket of fish", 0, 2), segment("costs forty", 2, 600)], 20_000, 2000),
        ([segment("One basket of fish", 0.0, 30.0)], 20_000, 30_000),
        ("start,end,text,kind\n0,600,shot,scene\n600,900,shot,scene", 1_000_000, 600_000),
        ("start,end,text,kind\n0:00,10:00,EXIT,text", 700_000, 600_000),
    ],
)
def test_other_forms_are_read_in_the_unit_that_fits(given: Any, limit: int, expected: int) -> None:
    document, _ = in_seconds(told(given), None, limit, "")
    assert document.entries[0].end == expected


def test_every_time_is_shrunk_with_its_words() -> None:
    words: Sequence[Any] = [{"text": "One", "start": 400, "end": 900, "confidence": 0.9}]
    document, _ = in_seconds(told({"utterances": [segment("One", 400, 2900, words=words)]}), "ms", 20_000, "")
    assert document.entries[0].words == (("One", 400, 900, 0.9),) and (document.entries[0].start, document.entries[0].end) == (400, 2900)
