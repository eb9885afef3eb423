"""Costs in words: what is known is told, what is not known is not made up, and the rules cost nothing."""

import pytest

from analyzer_agent.records import TokenUsage, Usage
from analyzer_agent.wording import dollars, model_costs

MANAGER = TokenUsage(10600, 300, 8200, cost_usd=0.0123, calls=5)
SEEN = TokenUsage(2000, 300, cost_usd=0.001, calls=2)


@pytest.mark.parametrize(
    ("usd", "told"),
    [(0, "$0.00"), (0.00032, "$0.00032"), (0.0123, "$0.012"), (0.5, "$0.50"), (0.999, "$1.00"), (1234.5, "$1,234.50")],
)
def test_money(usd: float, told: str) -> None:
    assert dollars(usd) == told


def test_the_cost_of_all_models() -> None:
    told = ["5 model calls (10600 tokens in, 300 out, 8200 of all from a cache)", "2 vision calls (2300 tokens)", "$0.013"]
    assert model_costs(Usage.of_calls(MANAGER, [SEEN])) == told


def test_a_price_that_is_not_known_and_counts_that_are_estimates() -> None:
    assert model_costs(Usage.of_calls(TokenUsage(7, 2, estimated=True))) == [
        "1 model call (7 tokens in, 2 out)",
        "tokens estimated",
        "price not known",
    ]


def test_rules_cost_nothing() -> None:
    assert model_costs(Usage(media_ms_analyzed=5000)) == []
