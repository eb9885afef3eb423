"""What an answer puts in quotation marks must stand in the notes that the claim cites."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_whisper
from analyzer_agent import Session
from analyzer_agent.evidence.merging import MergedNote
from analyzer_agent.protocols import Reply
from analyzer_agent.records import Answer, Citation, Note, Observation
from analyzer_agent.testing import ScriptedModel, call
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox.answer_check import CheckedAnswer, check_answer
from analyzer_agent.toolbox.finish_call import DraftAnswer
from analyzer_agent.toolbox.quotations import made_up_times, misquotations, spoken_at
from analyzer_agent.wording import evidence_line
from cli_kit import Cli, talk
from patience import processor_seconds


def note(number: int, text: str, start: int, kind: str = "speech", video: str = "v") -> MergedNote:
    span = TimeRange(start, start + 1000)
    return MergedNote((Note(number, video, kind, "k", Observation(span, kind, text)),), span, text, None)


NOTES = {
    run.id: run
    for run in (
        note(1, "It costs forty dollars, doesn't it?", 1000),
        note(2, "and we ship it on Monday.", 2000),
        note(3, "NO  ENTRY\nafter 10 p.m.", 1500, "text"),
        note(4, "四十円です。安いですね", 9000, "subtitle"),
        note(5, "Das Schiff ist schön.", 5000),
        note(7, "Un cafe\u0301 au cœur de la ﬁn", 5000),
        note(8, "เรือจอดที่ท่าน้ำวันนี้", 5000),
        note(9, "ＶＥRTICAL ＳＩＧＮ ＯＮＥ", 5000, "text"),
        note(10, "배가 부두에서 떠납니다", 5000),
        note(6, "somewhere else entirely it costs ninety", 1000, video="w"),
    )
}


@pytest.mark.parametrize(
    "text",
    [
        'She says "it costs forty dollars" [#1].',
        'She says "It costs forty dollars, doesn\'t it?" [#1]',
        "She says “it costs FORTY dollars – doesn’t it” [#1].",
        "She says 'it costs forty dollars, doesn't it' [#1].",
        "She says ‘it costs forty dollars, doesn’t it’ [#1].",
        "Sie sagt „it costs forty dollars“ [#1].",
        "Sie sagt „Das Schiff ist schön.“ [#5]",
        "Elle dit « it costs forty dollars » [#1].",
        "Elle dit «\xa0it costs forty dollars.\xa0» [#1]",
        "Er sagt »it costs forty dollars« [#1].",
        "Er sagt ›it costs forty dollars‹ [#1].",
        "「四十円です」と言う[#4]。",
        'Elle dit "un café au coeur de la fin" [#7].',
        'Elle dit "UN CAFE AU CŒUR" [#7].',
        'เขาพูดว่า "จอดที่ท่าน้ำ" [#8]',
        'It reads "Vertical sign one" [#9].',
        'They say "배가 부두에서 떠납니다" [#10].',
        'The sign: "no entry after 10 p.m." [#3].',
        'The sign: "NoEntry after 10pm" [#3].',
        'She says "it costs forty dollars, doesn\'t it? And we ship it on Monday." [#1, #2]',
        'She says "it costs … doesn\'t it" [#1].',
        'She says "it costs forty dol…" [#1].',
        'She says "it [...] forty dollars ... it" [#1].',
        'She says "[well,] it costs forty dollars [#1]".',
        'She says "It costs forty. Dollars, doesn\'t it." [#1]',
        'She says "it costs forty dollars".',
        'A "cheap" thing [#2].',
        "It's the dogs' bone and the cats' toy [#2].",
        'A 12" screen and a big 15" laptop stand there [#2].',
        'Nobody cited says "something quite different" [#77].',
        'An open "quotation that never ends [#1].',
    ],
)
def test_what_stands_in_the_notes_may_be_quoted(text: str) -> None:
    assert misquotations(text, [1, 2], NOTES) == []


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ('She says "it costs ninety dollars" [#1].', ['She says "it costs ninety dollars" [#1].']),
        ('A "forty dollar" thing [#2].', ['A "forty dollar" thing [#2].']),
        ('A [#1]. She says "it costs forty dollars" [#2]. B [#1].', ['She says "it costs forty dollars" [#2].']),
        ("She says “it costs ninety dollars” [#1].", ["She says “it costs ninety dollars” [#1]."]),
        ("Sie sagt „es kostet vierzig Dollar.“ [#1] Und dann?", ["Sie sagt „es kostet vierzig Dollar.“ [#1]"]),
        ("Elle dit «\xa0ça coûte quarante\xa0» [#1].", ["Elle dit «\xa0ça coûte quarante\xa0» [#1]."]),
        ("Er sagt »es kostet vierzig« [#1].", ["Er sagt »es kostet vierzig« [#1]."]),
        ("She says 'it costs ninety dollars' [#1].", ["She says 'it costs ninety dollars' [#1]."]),
        ("She says ‘it doesn’t cost forty’ [#1].", ["She says ‘it doesn’t cost forty’ [#1]."]),
        ("「四十五円です」と言う[#4]。", ["「四十五円です」と言う[#4]。"]),
        ('เขาพูดว่า "จอดที่ท่าเรือใหม่" [#8]', ['เขาพูดว่า "จอดที่ท่าเรือใหม่" [#8]']),
        ('She says "it costs forty dollar" [#1].', ['She says "it costs forty dollar" [#1].']),
        ('She says "it costs … a fortune" [#1].', ['She says "it costs … a fortune" [#1].']),
        ('She says "we ship it, it costs forty" [#1, #2].', ['She says "we ship it, it costs forty" [#1, #2].']),
        ('"dollars no entry after" [#1, #3]', ['"dollars no entry after" [#1, #3]']),
        ('She says "it costs five hundred dollars".', ['She says "it costs five hundred dollars".']),
        ('She says "It costs ninety. That is a lot." [#1]', ['She says "It costs ninety. That is a lot." [#1]']),
    ],
)
def test_what_does_not_is_told_with_its_claim(text: str, claims: list[str]) -> None:
    assert [claim for claim, _ in misquotations(text, [1, 2], NOTES)] == claims


def test_the_options_may_be_quoted() -> None:
    text = 'It is B, "a man in red" [#1].'
    assert misquotations(text, [1], NOTES) and not misquotations(text, [1], NOTES, ["a dog", "A man in red."])
    assert not misquotations(text, [1], NOTES, ["Is there a man in red?"]), "nor the words of the question"


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("It is said at 0:01 [#1].", []),
        ("It is said at 9:59 [#1], then at 12:00:03 [#2].", ["9:59", "12:00:03"]),
        ("From 0:01 to 0:02.5 [#1, #2], which takes 0:02.", []),
        ("It begins at 0:05 [#1].", ["0:05"]),
        ("The clock shows 10:45 [#12].", []),
        ('The sign says "9:59" [#1] and the score is 2:1, in verse 3:165 of file 1:02:99.', []),
        ("You asked about 7:30 [#1].", []),
        ("It is said at 9:59 [#77].", []),  # what it cites is unknown: the mark is refused
        ("It is said [#1 9:59].", []),
    ],
)
def test_times_in_the_prose_are_those_of_cited_notes(text: str, stray: list[str]) -> None:
    notes = NOTES | {12: note(12, "a clock: 10:45", 1000, "look")}
    assert made_up_times(text, [], notes, ["What happens at 7:30?"]) == stray


def test_what_a_note_says_may_be_unknown() -> None:
    assert not misquotations('It says "something quite different" [#1].', [1], {1: None})


@pytest.mark.parametrize(
    "text", ['"' * 20_000, "'a " * 20_000, "„" * 20_000, "«a " * 20_000, "‘a’a" * 9_000, '"a … ' * 9_000, "[" * 20_000]
)
def test_no_text_makes_it_slow(text: str) -> None:
    with processor_seconds(2):
        misquotations(text, [1], NOTES)


# --- when quoted words are said ---------------------------------------------------------------------------------------


def timed(number: int, text: str, start: int, *pieces: str) -> MergedNote:
    """Return a note, or several pieces of one, with a word each 100 ms."""
    notes, at = [], start
    for n, piece in enumerate(pieces or (text,)):
        words = [[word, at + 100 * i, at + 100 * i + 90, 0.9] for i, word in enumerate(piece.split())]
        detail = {"words": words, "continues": n > 0}
        span = TimeRange(at, at + 100 * len(words) - 10)
        notes.append(Note(number + n, "v", "speech", "k", Observation(span, "speech", piece, None, detail)))  # type: ignore[arg-type]
        at += 100 * len(words)
    return MergedNote(tuple(notes), TimeRange(start, notes[-1].span.end), text, None)


SAID = {
    1: timed(1, "It costs forty dollars, doesn't it? You're sure?", 1000),
    2: timed(2, "And we ship it on Monday, we ship it on Friday.", 2000),
    3: timed(3, "A long sentence that goes on and on across an edge.", 120_000, "A long sentence that goes on", "and on across an edge."),
    4: note(4, "Without any times of words.", 5000),
    5: note(5, "It costs forty dollars, doesn't it?", 1000, "subtitle"),
}


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ('She says "costs forty dollars" [#1].', {1: [(1100, 1390)]}),
        ("She says “FORTY dollars – doesn’t it” [#1].", {1: [(1200, 1590)]}),
        ('She says "forty dollars … you\'re sure" [#1].', {1: [(1200, 1390), (1600, 1790)]}),
        ('She says "forty dol…" [#1].', {1: [(1200, 1390)]}),
        ('She says "it costs" [#1] and "forty dollars" [#1].', {1: [(1000, 1190), (1200, 1390)]}),
        ("\"doesn't it? You're sure? And we ship\" [#1, #2]", {1: [(1400, 1790)], 2: [(2000, 2290)]}),
        ('They say "we ship it" [#2].', {2: [(2100, 2390)]}),
        ('They say "we ship it … we ship it on Friday" [#2].', {2: [(2100, 2390), (2600, 3090)]}),
        ('It "goes on and on across" [#3].', {3: [(120_400, 120_890)]}),
        ('It "goes on and on across" [#4].', {}),
        ('She says "costs forty dollars" [#5].', {}),
        ('She says "costs forty dollars" [#1, #5].', {1: [(1100, 1390)]}),
        ('She says "costs ninety dollars" [#1].', {}),
        ('It is "forty" [#1].', {}),
        ("She says it costs forty dollars [#1].", {}),
        ('She says "costs forty dollars".', {1: [(1100, 1390)]}),
    ],
)
def test_quoted_words_have_their_own_times(text: str, spans: dict[int, list[tuple[int, int]]]) -> None:
    assert spoken_at(text, [1, 2], SAID) == {number: [TimeRange(*span) for span in found] for number, found in spans.items()}


def test_a_piece_that_is_cited_by_its_own_number() -> None:
    assert spoken_at('It "goes on and on across" [#4].', [4], {4: SAID[3]}) == {4: [TimeRange(120_400, 120_890)]}


def test_a_citation_tells_them() -> None:
    whole = Citation(1, TimeRange(1000, 1790), "It costs", words=(TimeRange(1000, 1790),))
    part = replace(whole, words=(TimeRange(1100, 1390), TimeRange(1600, 1790)))
    assert (whole.times, part.times) == ("0:01-0:01.79", "0:01.1-0:01.39, 0:01.6-0:01.79 (of 0:01-0:01.79)")
    (told,) = Answer("", citations=(part,)).to_dict()["citations"]
    assert (told["start"], told["end"]) == (1.0, 1.79)
    assert told["words"] == [{"start": 1.1, "end": 1.39}, {"start": 1.6, "end": 1.79}]
    assert "words" not in Answer("", citations=(replace(whole, words=()),)).to_dict()["citations"][0]


class TestVerdict:
    def checked(self, text: str, *notes: int, **more: Any) -> CheckedAnswer:
        return check_answer(DraftAnswer(text, notes, confidence="high", **more), NOTES, looked=True)

    def test_a_misquotation(self) -> None:
        text = 'She says "it costs ninety dollars" [#1]. They ship on Monday [#2].'
        verdict = self.checked(text)
        assert (verdict.text, verdict.cited, verdict.confidence) == (text, (1, 2), "low")
        assert verdict.unsupported == ('She says "it costs ninety dollars" [#1].',)
        fenced = '<notes>\n"it costs ninety dollars"\n</notes>'
        assert verdict.problem == f"these words in quotation marks are not in the notes cited for them: {fenced}."

    def test_made_up_times_are_sent_back_and_marked(self) -> None:
        verdict = self.checked("At 9:59 she says forty [#1].", 1)
        assert verdict.problem == "these times are not those of the notes that are cited: 9:59."
        assert (verdict.unsupported, verdict.confidence) == (("the time 9:59",), "low")
        assert not self.checked("I have seen 0:00 to 9:59.", ending="not_found").problem

    def test_the_bad_ids_are_named(self) -> None:
        verdict = self.checked("It costs forty [#1, #77].", 1, 78)
        assert verdict.problem == "these notes were not shown, or lie outside of what may be used: #77, #78."

    def test_a_mark_may_name_a_part_of_a_note(self) -> None:
        verdict = self.checked("Forty [#1 0:01.2-0:01.5]. Monday [#2 0:02]. Both [#1, #2 0:09]. No [#77 0:01].")
        assert verdict.moments == ((1, 1_200, 1_500), (2, 2_000, 3_000)) and "[#1]. Monday [#2]" in verdict.text

    def test_a_part_that_is_not_in_its_note_is_no_part_of_it(self) -> None:
        verdict = self.checked("Forty [#1 9:00-9:02].")
        assert verdict.problem == "these times are not those of the notes that are cited: 9:00-9:02 of #1." and verdict.confidence == "low"

    def test_a_claim_is_told_once(self) -> None:
        verdict = self.checked('She says "it costs ninety dollars" [#1, #77].', 1, 77)
        assert verdict.unsupported == ('She says "it costs ninety dollars" [#1, #77].',)

    def test_what_was_looked_for_in_vain_may_be_quoted(self) -> None:
        assert not self.checked('Nobody says "it costs ninety dollars".', 1, ending="not_found").problem
        assert self.checked('Nobody says "ships on Monday" but "it costs ninety dollars" [#1].', ending="not_found").problem


def test_an_answer_cites_the_words_that_it_quotes(tmp_path: Path) -> None:
    video, said = talk(tmp_path / "talk.mp4", seconds=4), "One basket of fish costs forty dollars, she says."
    words = [{"word": f" {word}", "start": n / 4, "end": (n + 1) / 4} for n, word in enumerate(said.split())]
    transcript = tmp_path / "said.json"
    transcript.write_text(json.dumps([{"start": 0, "end": 2.25, "text": said, "words": words}]), encoding="utf-8")
    cli = Cli(tmp_path)
    cli("import-notes", "--video", video, transcript)
    read = call("read_notes", range=["0:00", "0:04"])
    finish = call("finish", answer='It "costs forty dollars" [#1].', notes=[1], confidence="high", found=True)
    model = ScriptedModel(Reply(calls=(read,)), Reply(calls=(finish,)))
    with Session(video, store=cli.store, model=model, tools=("speech", "subtitles"), weights={"speech": tiny_whisper.made()}) as session:
        (citation,) = session.ask("What does it cost?").citations
    assert (citation.span, citation.whole, citation.words) == (TimeRange(1000, 1750), TimeRange(0, 2250), (TimeRange(1000, 1750),))
    assert evidence_line(citation, False).startswith("[#1] 0:01-0:01.75 (of 0:00-0:02.25) speech, ")
