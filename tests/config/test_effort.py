"""Efforts, prices and the limit of cost as settings."""

from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings, load
from analyzer_agent.errors import AgentError
from analyzer_agent.records import Price
from analyzer_agent.session import choose_model


def effort_of(settings: Settings) -> tuple[int, str, int]:
    return settings.max_steps, settings.verify, settings.frames


def test_an_effort_sets_steps_verification_and_frames() -> None:
    assert effort_of(Settings()) == (12, "auto", 16)
    assert effort_of(Settings(effort="quick")) == (6, "never", 8) and effort_of(Settings(effort="deep")) == (24, "always", 32)
    assert effort_of(Settings().changed(effort="deep")) == (24, "always", 32)


def test_a_setting_of_its_own_wins_over_an_effort_of_the_same_source_or_a_weaker_one(tmp_path: Path) -> None:
    assert effort_of(Settings(effort="deep", max_steps=3)) == (3, "always", 32)
    assert effort_of(Settings(max_steps=3).changed(effort="quick", frames=4)) == (6, "never", 4)
    file = tmp_path / "settings.toml"
    file.write_text('max_steps = 50\neffort = "deep"\n')
    assert effort_of(load({}, {}, file)) == (50, "always", 32)
    assert effort_of(load({"verify": "auto"}, {}, file)) == (50, "auto", 32)
    assert effort_of(load({"effort": "quick"}, {}, file)) == (6, "never", 8), "what was said now beats what was written down"


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(AgentError, match=r"effort='huge' .*is not valid: choose one of quick, normal, deep"):
        load({"effort": "huge"}, {})


def test_a_deep_effort_needs_no_language_model() -> None:
    assert choose_model(Settings(effort="deep")).manager == "rules"


@pytest.mark.parametrize(
    ("given", "prices"),
    [
        ("0.5/1.5", {"": Price(0.5, 1.5)}),
        (["0.5/1.5/0.05", "qwen3=0/0"], {"": Price(0.5, 1.5, 0.05), "qwen3": Price(0, 0)}),
        ({"qwen3": "1/2"}, {"qwen3": Price(1, 2)}),
        (Price(1, 2), {"": Price(1, 2)}),
        ("a=b=1/2", {"a=b": Price(1, 2)}),
    ],
)
def test_prices(given: Any, prices: dict[str, Price]) -> None:
    assert Settings(price=given).price == prices
    assert Settings(price={name: str(price) for name, price in prices.items()}).price == prices


@pytest.mark.parametrize("given", ["1", "1/2/3/4", "a/b", "-1/2", "nan/1", "inf/1", "", "m="])
def test_what_is_no_price_is_refused(given: str) -> None:
    with pytest.raises(AgentError, match=r"price=.* is not valid"):
        load({"price": given}, {})


@pytest.mark.parametrize("given", ["0", "-1", "nan", "free", True])
def test_what_is_no_limit_of_cost_is_refused(given: Any) -> None:
    with pytest.raises(AgentError, match=r"max_cost=.* is not valid"):
        load({"max_cost": given}, {})


def test_a_limit_of_cost_needs_a_price() -> None:
    local = Settings(base_url="http://127.0.0.1:1/v1", model="qwen3", max_cost=0.1)
    with pytest.raises(AgentError, match="the price of 'qwen3' is not known") as refused:
        choose_model(local)
    assert "--price qwen3=IN/OUT" in refused.value.hint
    assert choose_model(local.changed(price="0.1/0.4")).model == "qwen3"
