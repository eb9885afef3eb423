"""What a question costs: the calls of its manager, of the judge, and of the models that analyzers ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_agent.graph import Limits
from analyzer_agent.graph.state import usage_of
from analyzer_agent.protocols.metering import count_call
from analyzer_agent.records import TokenUsage, Usage
from analyzer_agent.testing import fake_spec
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
