"""What a question costs: the calls of its manager, of the judge, and of the models that analyzers ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.graph import Limits, State
from analyzer_agent.graph.state import usage_of
from analyzer_agent.protocols.metering import count_call, room_for_call
from analyzer_agent.records import TokenUsage, Usage
from analyzer_agent.testing import call, fake_spec
from analyzer_agent.toolbox import Tool
from graph_kit import LOOK, Make, Watched, calls, says, talking

SEEN = TokenUsage(300, 20, 100, 5, cost_usd=0.25)
ASKED = TokenUsage(90, 9, 50, 3, cost_usd=0.5)


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[Make]:
    with talking(tmp_path) as make:
        yield make


def looking() -> Tool:
    """An analyzer that asks a vision model about each grain."""
    return Tool(fake_spec(Watched(lambda: count_call(SEEN))))


def test_what_an_analyzer_asks_of_a_model_is_a_cost_of_the_question(talks: Make) -> None:
    answer = talks(calls(LOOK, usage=ASKED), says(), tools=[looking()]).ask()
    (step,) = answer.steps
    grains = step.vision.calls
    assert grains >= 1
    usage = answer.usage
    assert (usage.llm_calls, usage.input_tokens, usage.output_tokens) == (2, 90, 9)
    assert (usage.vision_calls, usage.vision_tokens) == (grains, 320 * grains)
    assert (usage.cached_input_tokens, usage.reasoning_tokens) == (50 + 100 * grains, 3 + 5 * grains)
    assert usage.cost_usd is None, "the price of the second call is not known"
    told = answer.to_dict()["usage"]
    assert told["vision_calls"] == grains and told["cost_usd"] is None


def test_a_second_question_asks_no_model_again_and_costs_its_own_calls(talks: Make) -> None:
    talks(calls(LOOK, usage=ASKED), says(), tools=[looking()]).ask()
    free = TokenUsage(10, 1, cost_usd=0.125)
    answer = talks(calls(LOOK, usage=free), calls(*says().calls, usage=free), tools=[looking()]).ask()
    assert (answer.usage.vision_calls, answer.usage.cost_usd) == (0, 0.25)


def test_the_limit_of_tokens_counts_those_of_vision_models(talks: Make) -> None:
    talk = talks(calls(LOOK, usage=ASKED), says(), tools=[looking()], limits=Limits(tokens=400))
    talk.ask()
    assert "The budget of 400 tokens is spent." in str(talk.sent(1))


def test_the_question_of_an_older_checkpoint_goes_on_with_its_counts() -> None:
    old = {"llm_calls": 2, "input_tokens": 30, "output_tokens": 4}
    assert usage_of(old) == Usage(2, 30, 4)  # type: ignore[arg-type]


PRICED = TokenUsage(90, 9, cost_usd=0.5)
LAST = TokenUsage(100, 10, cost_usd=0.5)


class TestMoney:
    def test_the_last_call_that_fits_is_told_to_finish(self, talks: Make) -> None:
        talk = talks(calls(LOOK, usage=PRICED), calls(*says().calls, usage=LAST), limits=Limits(usd=1.25))
        answer = talk.ask()
        assert "The budget of $1.25 is spent but for this call." in str(talk.sent(1)) and "$1.25 left." in str(talk.sent(0))
        assert (answer.finished, answer.usage.cost_usd) == ("answered", 1.0)

    def test_a_call_that_no_longer_fits_is_not_made(self, talks: Make) -> None:
        talk = talks(calls(LOOK, usage=PRICED), says(), limits=Limits(usd=0.9))
        answer = talk.ask()
        assert len(talk.model.requests) == 1 and (answer.finished, answer.usage.cost_usd) == ("out_of_budget", 0.5)

    def test_a_call_without_a_known_price_is_the_last(self, talks: Make) -> None:
        talk = talks(calls(LOOK), says(), limits=Limits(usd=100))
        assert talk.ask().finished == "out_of_budget" and len(talk.model.requests) == 1

    def test_vision_calls_stop_before_they_spend_what_finishing_needs(self, talks: Make) -> None:
        def ask() -> None:
            with room_for_call():
                count_call(SEEN)

        look = calls(call("find_fake", ranges=[[0, 60]]), usage=PRICED)
        talk = talks(look, calls(*says().calls, usage=LAST), tools=[Tool(fake_spec(Watched(ask)))], limits=Limits(usd=1.6))
        answer = talk.ask()
        assert answer.usage.vision_calls == 2, "0.6 dollars are left beside those to finish"
        assert answer.usage.cost_usd == 1.5 and {u.reason for u in answer.not_examined} >= {"budget"}
        assert answer.finished == "answered"
        again = talks(look, calls(*says().calls, usage=LAST), tools=[Tool(fake_spec(Watched(ask)))], limits=Limits(usd=1.6)).ask()
        assert again.usage.vision_calls == 2, "what did not fit is no failure: it is looked at when there is money"

    @settings(deadline=None)
    @given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.floats(0.02, 4))
    def test_a_limit_is_passed_by_no_more_than_the_growth_of_a_call(self, prices: list[float], limit: float) -> None:
        state: State = {"usage": Usage().to_row(), "call_usd": 0.0, "analyzer_ms": 0}
        limits, largest = Limits(steps=100, usd=limit), 0.0
        for price in prices:
            if not limits.affords(state):
                break
            largest = max(largest, price - state["call_usd"])
            used = usage_of(state) + Usage.of_calls(TokenUsage(cost_usd=price))
            state = {**state, "usage": used.to_row(), "call_usd": price}
        assert (usage_of(state).cost_usd or 0) <= limit + largest
