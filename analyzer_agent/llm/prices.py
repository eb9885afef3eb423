"""What a model call costs: the user's price, or that of the table that `genai-prices` comes with."""

from urllib.parse import urlsplit

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
