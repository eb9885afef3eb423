"""One question to many videos: each in a context of its own, told before what it costs, within the budget of all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError
from analyzer_agent.events import Progress, Warned
from analyzer_agent.protocols import Reply
from analyzer_agent.records import TokenUsage
from analyzer_agent.session import Session
from analyzer_agent.testing import ScriptedModel, call
from media_maker import Clip, Text, write
from session_kit import says

MANY = 9
COST = TokenUsage(1_000, 100, cost_usd=0.01)
READ = Reply(calls=(call("read_subtitles", ranges=[["0:00", "0:02"]]),), usage=COST)


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talks")
    for number in range(MANY):
        write(folder / f"talk{number}.mp4", Clip(texts=[Text([(200, 900, f"Talk {number} costs forty.")], language="eng")]))
    return folder


def answering(*notes: int) -> list[Reply]:
    """Return the replies of a worker: it reads subtitles of each video, and cites the note of each."""
    each = [(READ, Reply(calls=says(f"Forty [#{note}].", note).calls, usage=COST)) for note in notes]
    return [reply for replies in each for reply in replies]


@pytest.fixture
def opened(talks: Path, tmp_path: Path) -> Iterator[Any]:
    sessions: list[Session] = []

    def open_(*replies: Any, **more: Any) -> Session:
        given: dict[str, Any] = {"store": tmp_path / "store.db", "tools": ("subtitles",), "verify": "never"} | more
        sessions.append(Session(talks, settings=Settings().changed(**given), model=ScriptedModel(*replies)))
        return sessions[-1]

    yield open_
    for session in sessions:
        session.close()


def test_each_video_is_asked_by_itself_and_told_what_it_costs(opened: Any) -> None:
    session = opened(*answering(1, 2))
    events = session.ask_each_stream("What does it cost?", ["talk3.mp4", "talk5.mp4"])
    told, answers = [], []
    try:
        while True:
            told.append(next(events))
    except StopIteration as end:
        answers = end.value
    assert [(one.video, one.answer.text, one.answer.citations[0].text) for one in answers] == [
        ("talk3.mp4", "Forty [#1].", "Talk 3 costs forty."),
        ("talk5.mp4", "Forty [#2].", "Talk 5 costs forty."),
    ]
    assert isinstance(told[0], Warned) and told[0].text.startswith("One question to 2 videos, each by scripted: at least about ")
    assert [(event.done_ms, event.found) for event in told if isinstance(event, Progress)] == [(2_000, 1), (4_000, 2)]
    prompts = [str(messages[0]["content"]) for messages, _ in session.model.requests]
    assert all(("talk3.mp4" in prompt) != ("talk5.mp4" in prompt) for prompt in prompts)


def test_the_budget_of_all_ends_it_and_the_rest_is_told(opened: Any) -> None:
    session = opened(*answering(*range(1, MANY + 1)), max_cost=0.05, price="1/5")
    answers = session.ask_each("What does it cost?")
    asked = [one for one in answers if one.answer]
    assert len(answers) == MANY and 1 <= len(asked) < MANY
    assert {one.why for one in answers if not one.answer} == {"the money is spent"}


def test_a_model_asks_each_and_cites_what_the_answers_cite(opened: Any) -> None:
    asks = Reply(calls=(call("ask_each", question="What does it cost?", videos=["talk3.mp4", "talk5.mp4"]),), usage=COST)
    session = opened(asks, *answering(1, 2), Reply(calls=says("Forty each [#1][#2].", 1, 2).calls, usage=COST))
    answer = session.ask("What do they cost?")
    assert [cited.video for cited in answer.citations] == ["talk3.mp4", "talk5.mp4"]
    assert (answer.usage.llm_calls, answer.usage.vision_calls, round(answer.usage.cost_usd or 0, 3)) == (2, 4, 0.06)
    (step,) = answer.steps
    assert step.text.startswith("2 of 2 videos were asked; their answers:\n<notes>\ntalk3.mp4: Forty [#1]. (answered, confidence high)")


@pytest.mark.parametrize(("videos", "told"), [([], "Name 1 to 50 videos"), (["talk77.mp4"], "There is no video 'talk77.mp4'")])
def test_what_is_refused(opened: Any, videos: list[str], told: str) -> None:
    assert told in opened().call("ask_each", {"question": "What?", "videos": videos}).text


def test_a_video_that_is_unknown(opened: Any) -> None:
    with pytest.raises(AgentError, match=r"has no video 'other\.mp4'"):
        opened().ask_each("What?", ["other.mp4"])


def test_rules_are_not_offered_it_and_can_be_asked_each(talks: Path, tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "store.db", tools=("subtitles",), manager="rules")
    with Session(talks, settings=settings) as session:
        assert "ask_each" not in {tool["function"]["name"] for tool in session.toolbox.schemas()}
        answers = session.ask_each("What does talk 3 cost?", ["talk3.mp4"])
    assert answers[0].answer and "Talk 3 costs forty." in answers[0].answer.text


def test_another_model_does_the_work_where_one_is_named(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, named = ScriptedModel(*answering(1)), []

    def chosen(settings: Settings) -> ScriptedModel:
        named.append(settings.model)
        return worker

    session = opened(worker_model="small")
    monkeypatch.setattr("analyzer_agent.session.each_video.choose_model", chosen)
    answers = session.ask_each("What does it cost?", ["talk3.mp4"])
    assert named == ["small"] and answers[0].answer and answers[0].answer.text == "Forty [#1]."
    assert len(worker.requests) == 2 and not session.model.requests
