"""What a model call costs: the user's price, or that of the table that `genai-prices` comes with."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from analyzer_agent.errors import AgentError
from analyzer_agent.llm import OPENAI_URL, is_openai
from analyzer_agent.llm.openai_client import is_loopback
from analyzer_agent.records import Price, TokenUsage


def cost_of(usage: TokenUsage, model: str, url: str, price: Price | None = None) -> float | None:
    """Return the cost of a call in USD, None if the price is not known.

    The table is the one that is installed; nothing is fetched. A model that runs elsewhere than at a
    provider of the table has no price, though its name may be known.

    Args:
        usage: the tokens.
        model: the name of the model.
        url: the endpoint.
        price: the user's price, which comes first.
    """
    if price is not None:
        return price.cost(usage)
    if is_loopback(urlsplit(url).hostname or ""):
        return None
    from genai_prices import Usage, calc_price  # takes most of a second to import

    tokens = Usage(input_tokens=usage.input_tokens, cache_read_tokens=usage.cached_input_tokens, output_tokens=usage.output_tokens)
    try:
        # The regional endpoints of OpenAI are not in the table.
        return float(calc_price(tokens, model, provider_api_url=OPENAI_URL if is_openai(url) else url).total_price)
    except LookupError:
        return None


def chosen_price(model: str, url: str | None, prices: Mapping[str, Price], *, required: bool) -> Price | None:
    """Return the price that the user gave for a model, if any.

    Args:
        model: the name of the model.
        url: the endpoint, by default OpenAI's.
        prices: the user's prices by model; that of "" is for all others.
        required: whether a price has to be known, by the user or by the table.

    Raises:
        AgentError: none is known though one is required.
    """
    price = prices.get(model) or prices.get("")
    if required and cost_of(TokenUsage(1, 1), model, url or OPENAI_URL, price) is None:
        raise AgentError(
            f"--max-cost cannot be kept: the price of {model!r} is not known.",
            hint=f"Name it, in USD per million tokens: --price {model}=IN/OUT",
        )
    return price
