"""The manager loop and evidence: what an answer cites is checked against what was shown."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.answers import build_answer
from analyzer_agent.events import discard
from analyzer_agent.graph import opening, outcome_of
from analyzer_agent.protocols import Reply
from analyzer_agent.records import UNHEARD, Observation
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool
from graph_kit import EVENTS, LOOK, Make, calls, says, talking


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


class TestEvidence:
    def test_marks_of_notes_that_were_not_shown(self, talks: Make) -> None:
        wrong = says("It costs forty [#1]. It is red [#77].", [1, 77])
        talk = talks(calls(LOOK), wrong, wrong)
        answer = talk.ask()
        assert answer.text == "It costs forty [#1]. It is red."
        assert answer.unsupported == ("It is red [#77].",) and [c.note for c in answer.citations] == [1]
        complaint = "these notes were not shown, or lie outside of what may be used: #77. After each claim"
        assert complaint in talk.sent(2)[-1]["content"]

    def test_a_note_that_exists_but_was_not_shown(self, talks: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        talks(calls(LOOK), says()).ask()
        other = talks(calls(call("find_fake", ranges=[[30, 40]])), says(), says())
        monkeypatch.setattr(opening, "_MAX_TOKENS", 0)
        state = other.agent.ask("other", "?", (), 1, discard)
        assert build_answer(outcome_of(state), other.toolbox, other.model, "other", 0).citations == ()

    @pytest.mark.parametrize("now", [{"videos": [FakeVideo(video_id="other")]}, {"scope": TimeRange(5000, 60_000)}])
    def test_a_note_that_was_shown_and_is_not_there_any_more(self, talks: Make, now: dict[str, Any]) -> None:
        talks(calls(LOOK), says()).ask()
        talk = talks(says(), says(), **now)
        answer = talk.ask("Sure?")
        assert answer.citations == () and answer.unsupported == ("It costs forty [#1].", "It costs forty.")
        assert talks(says(), scope=TimeRange(4999, 60_000)).ask("Sure?").citations

    def test_a_quotation_is_checked_against_the_note(self, talks: Make) -> None:
        wrong = 'She says "it costs ninety" [#1].'
        talk = talks(calls(LOOK), says(wrong), says('She says "it costs forty" [#1].'))
        answer = talk.ask()
        assert (answer.unsupported, answer.confidence) == ((), "high")
        told = talk.sent(2)[-1]["content"]
        assert 'marks are not in the notes cited for them: <notes>\n"it costs ninety"\n</notes>. After each claim' in told
        again = talks(says(wrong), says(wrong)).ask()
        assert (again.text, again.unsupported, again.confidence, again.finished) == (wrong, (wrong,), "low", "answered")

    def test_an_answer_without_citation_is_sent_back_once_then_marked(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says("It costs forty.", []), says("It costs forty.", []))
        answer = talk.ask()
        assert "no note is cited. After each claim" in talk.sent(2)[-1]["content"]
        assert (answer.finished, answer.unsupported, answer.confidence) == ("answered", ("It costs forty.",), "low")

    def test_look_first(self, talks: Make) -> None:
        talk = talks(says("Forty.", []), calls(LOOK), says())
        assert talk.ask().finished == "answered"
        assert "nothing has been examined yet" in talk.sent(1)[-1]["content"] and talk.sent(1)[-1]["role"] == "tool"

    def test_look_first_in_plain_text(self, talks: Make) -> None:
        talk = talks(Reply("Forty."), calls(LOOK), says())
        assert talk.ask().finished == "answered"
        assert talk.sent(1)[-1]["role"] == "user" and "nothing has been examined yet" in talk.sent(1)[-1]["content"]

    def test_a_refused_call_is_not_a_look(self, talks: Make) -> None:
        talk = talks(calls(call("find_fake", ranges=[])), says("No.", [], found=False), calls(LOOK), says())
        assert talk.ask().finished == "answered"
        assert "nothing has been examined yet" in talk.sent(2)[-1]["content"]

    def test_times_and_quotes_come_from_the_store(self, talks: Make) -> None:
        made_up = says("At 9:59 she says ninety [#1].")
        talk = talks(calls(LOOK), made_up, made_up)
        answer = talk.ask()
        assert "these times are not those of the notes that are cited: 9:59" in talk.sent(2)[-1]["content"]
        assert answer.unsupported == ("the time 9:59",)
        cited = answer.citations[0]
        assert (cited.span, cited.text, cited.kind, cited.analyzer, cited.engine) == (
            TimeRange(3000, 5000),
            "It costs forty",
            "text",
            "fake",
            "fake",
        )

    def test_a_claim_on_a_moment_of_a_long_note_cites_this_moment(self, talks: Make) -> None:
        answer = talks(calls(LOOK), says("Now [#1 0:04-0:04.5]."), verify="never").ask()
        (cited,) = answer.citations
        assert (cited.span, cited.whole, cited.times) == (TimeRange(4000, 4500), TimeRange(3000, 5000), "0:04-0:04.5 (of 0:03-0:05)")
        assert answer.to_dict()["citations"][0]["whole"] == {"start": 3.0, "end": 5.0}
        outside = talks(calls(LOOK), says("Now [#1 0:40]."), says("Now [#1 0:40]."), verify="never").ask()
        assert outside.citations[0].span == TimeRange(3000, 5000) and outside.unsupported == ("the time 0:40-0:41 of #1",)

    def test_not_found_tells_what_was_not_examined(self, talks: Make) -> None:
        absent = fake_spec(FakeAnalyzer([]), name="objects")
        fake = fake_spec(FakeAnalyzer([]))
        talk = talks(
            calls(call("find_fake", ranges=[[0, 5]])), says("Nobody says it.", [], found=False),
            tools=[Tool(fake)], missing={"objects": "no weights"}, specs={"fake": fake, "objects": absent},
        )  # fmt: skip
        answer = talk.ask()
        assert answer.finished == "not_found" and answer.confidence == "high"
        left = {(u.analyzer, str(u.span), u.reason, u.detail) for u in answer.not_examined}
        assert left == {("fake", "0:08-1:00", "unseen", ""), ("objects", "0:00-1:00", "unavailable", "no weights")}

    def test_an_answer_from_speech_that_was_only_looked_up_tells_of_voice_without_words(self, talks: Make) -> None:
        class Heard(FakeAnalyzer):
            def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
                for grain in grains:
                    gap = TimeRange(20_000, 25_000).within(grain.span)
                    pieces = [piece for _, found in super().analyze(video, [grain]) for piece in found]
                    yield grain, pieces + ([Observation(gap, UNHEARD, "")] if gap else [])

        speech = Tool(fake_spec(Heard(EVENTS, kind="speech")))
        talk = talks(
            calls(call("find_fake", ranges=[[0, 60]])), says(), calls(call("search_notes", query="costs")), says(), tools=[speech]
        )  # fmt: skip
        for answer in (talk.ask(), talk.ask()):
            assert answer.finished == "answered"
            assert [(u.span, u.reason) for u in answer.not_examined] == [(TimeRange(20_000, 25_000), "not_understood")]

    def test_choices(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says(choice="B"))
        assert talk.ask("How much?", "thirty", "forty").choice == "B"
        assert "Options:\nA. thirty\nB. forty" in talk.sent(0)[-1]["content"]

    def test_an_invalid_letter_is_sent_back(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says(choice="C"), says(choice="A"))
        assert talk.ask("How much?", "thirty", "forty").choice == "A"
        assert "'C' is not one of the options A, B." in talk.sent(2)[-1]["content"]

    def test_no_letter_is_none(self, talks: Make) -> None:
        assert talks(calls(LOOK), says()).ask("How much?", "thirty", "forty").choice is None
