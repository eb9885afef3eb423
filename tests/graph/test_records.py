"""A model that reads records gets what the messages say as data; every other model gets the messages alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.protocols import Reply
from analyzer_agent.records import QuestionRecord, ShownNote, VideoRecord
from analyzer_agent.testing import ScriptedModel, call
from analyzer_agent.timeline import TimeRange
from graph_kit import LOOK, Make, Talk, calls, says, talking
from note_lines import parse_note_lines

MINUTE = TimeRange(0, 60_000)
WHOLE = call("find_fake", ranges=[["0:00", "1:00"]])


class RecordReader(ScriptedModel):
    """A scripted model that asks for records."""

    reads_records = True


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


def reading(make: Make, *replies: object) -> Talk:
    talk = make()
    talk.model = talk.agent._nodes.model = RecordReader(*replies)  # type: ignore[arg-type]
    return talk


def records(talk: Talk) -> list[QuestionRecord]:
    return [messages[0]["record"] for messages, _ in talk.model.requests]


def test_no_other_model_is_sent_a_record(talks: Make) -> None:
    talk = talks(calls(LOOK), says())
    talk.ask()
    keys = {name for messages, _ in talk.model.requests for message in messages for name in message}
    assert keys == {"role", "content", "tool_calls", "tool_call_id"}
    json.dumps(talk.model.requests)


def test_the_record_says_what_the_messages_say(talks: Make) -> None:
    talk = reading(talks, calls(WHOLE), says(choice="B"))
    talk.ask("How much?", "thirty", "forty")
    first, second = records(talk)
    assert first == QuestionRecord("How much?", ("thirty", "forty"), (VideoRecord("fake", "fake.mp4", MINUTE),), ("find_fake",))
    assert second.videos == (VideoRecord("fake", "fake.mp4", MINUTE, covered_by=frozenset({"find_fake"})),)
    (result,) = second.results
    assert (result.tool, result.args, result.refusal) == ("find_fake", {"ranges": [["0:00", "1:00"]]}, None)
    assert result.shown == (ShownNote(1, "fake", TimeRange(3_000, 5_000), "text", "It costs forty"),)
    (line,) = parse_note_lines(str(talk.sent(1)[-1]["content"]))
    assert (line.id, line.span, line.kind, line.text) == (1, TimeRange(3_000, 5_000), "text", "It costs forty")


def test_a_refusal_is_a_field(talks: Make) -> None:
    talk = reading(talks, calls(call("find_fake", ranges=[])), calls(WHOLE), says())
    talk.ask()
    (result,) = records(talk)[1].results
    assert result.refusal and result.refusal.startswith("'ranges' is empty") and result.shown == ()


def test_an_overview_tells_the_words_of_its_parts(talks: Make) -> None:
    talk = reading(talks, calls(WHOLE), calls(call("overview")), says())
    talk.ask()
    shown = records(talk)[2].results[-1].shown
    assert [(note.id, note.part) for note in shown] == [(1, 1)]


def test_a_resumed_question_has_its_records_again(talks: Make) -> None:
    def breaks(messages: object) -> Reply:
        raise AgentError("The line is down.")

    talk = reading(talks, calls(WHOLE), breaks, says())
    with pytest.raises(AgentError):
        talk.ask()
    talk.finish(talk.agent.resume("t", talk.events.append))
    before, after = records(talk)[1:]
    assert after == before and after.results[0].shown
