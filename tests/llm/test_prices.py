"""What calls cost: the table that is installed, the user's prices, and no made-up ones."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_agent.llm import OPENAI_URL
from analyzer_agent.llm.prices import cost_of
from analyzer_agent.llm.vision import open_vision
from analyzer_agent.protocols.metering import OutOfBudget, count_call, metered_too, metering, room_for_call
from analyzer_agent.records import NO_CALLS, Price, TokenUsage, Usage
from openai_server import OpenAIServer

THOUSAND = TokenUsage(1000, 100)


def test_a_provider_of_the_table_has_a_price_also_at_its_regional_endpoint() -> None:
    cost = cost_of(THOUSAND, "gpt-4o-mini", OPENAI_URL)
    assert cost is not None and 0 < cost < 0.01
    assert cost_of(THOUSAND, "gpt-4o-mini", "https://eu.api.openai.com/v1") == cost


def test_cached_tokens_cost_less() -> None:
    cached = cost_of(TokenUsage(1000, 100, 900), "gpt-4o-mini", OPENAI_URL)
    whole = cost_of(THOUSAND, "gpt-4o-mini", OPENAI_URL)
    assert cached is not None and whole is not None and cached < whole


@pytest.mark.parametrize(
    ("model", "url"),
    [("a-model-of-mine", OPENAI_URL), ("gpt-4o-mini", "http://127.0.0.1:8000/v1"), ("gpt-4o-mini", "https://gpu.example.org/v1")],
)
def test_what_is_not_in_the_table_has_no_price_though_its_name_is_known(model: str, url: str) -> None:
    assert cost_of(THOUSAND, model, url) is None


def test_the_users_price_comes_first() -> None:
    assert cost_of(THOUSAND, "gpt-4o-mini", OPENAI_URL, Price(2, 10)) == pytest.approx(0.003)
    assert cost_of(TokenUsage(1000, 100, 500), "m", "http://127.0.0.1:1/v1", Price(2, 10, 1)) == pytest.approx(0.0025)


usages = st.builds(
    TokenUsage,
    st.integers(0, 99),
    st.integers(0, 99),
    cost_usd=st.none() | st.floats(0, 9),
    estimated=st.booleans(),
    calls=st.integers(1, 3),
)


@settings(deadline=None)
@given(st.lists(usages), st.lists(usages))
def test_a_sum_has_a_cost_only_where_each_call_has_one(manager: list[TokenUsage], vision: list[TokenUsage]) -> None:
    usage = sum((Usage.of_calls(one) for one in manager), Usage()) + Usage.of_calls(vision=vision)
    both = [*manager, *vision]
    if both and all(one.cost_usd is not None for one in both):
        assert usage.cost_usd == pytest.approx(sum(one.cost_usd or 0 for one in both))
    else:
        assert usage.cost_usd is None
    assert usage.tokens == sum(one.tokens for one in both) and usage.model_calls == sum(one.calls for one in both)
    assert usage.tokens_estimated == any(one.estimated for one in both)
    read = Usage.from_dict(usage.to_dict())
    assert (read.to_dict(), Usage(**usage.to_row())) == (usage.to_dict(), usage)


def test_the_usage_of_an_old_answer_is_read() -> None:
    old = Usage.from_dict({"llm_calls": 2, "input_tokens": 10, "output_tokens": 3, "wall_seconds": 1.5})
    assert (old.tokens, old.wall_ms, old.vision_calls, old.cost_usd) == (13, 1500, 0, None)


def test_a_question_to_a_vision_model_counts_on_the_meter_in_any_thread() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    with OpenAIServer() as server:
        vision = open_vision("m", lambda image: b"", base_url=server.url, price=Price(1, 1))
        server.says("Black.", usage=(30, 3))
        vision.describe([image], "What?")
        with metering() as meter:
            for usage in ((30, 3), (40, 4)):
                server.says("Black.", usage=usage)
            vision.describe([image], "What?")
            metered_too(vision.describe)([image], "What?")
        assert (meter.used.tokens, meter.used.calls) == (77, 2) and meter.used.cost_usd == pytest.approx(77e-6)
    with metering() as other:
        pass
    assert other.used == NO_CALLS


@settings(deadline=None, max_examples=30)  # threads wait for processors
@given(st.integers(1, 8), st.integers(1, 30), st.integers(1, 400))
def test_calls_side_by_side_stay_within_a_limit(threads: int, wanted: int, limit: int) -> None:
    each = TokenUsage(40, 2)

    def ask(_: int) -> None:
        with suppress(OutOfBudget), room_for_call():
            count_call(each)

    with metering() as whole, metering(tokens=limit), ThreadPoolExecutor(threads) as pool:
        list(pool.map(metered_too(ask), range(wanted)))
    assert whole.used.tokens <= max(limit, each.tokens), "but for the first call, whose cost nobody knows"
    assert whole.used.calls == min(wanted, max(1, -(-limit // each.tokens) - 1))
