"""Language models behind the `ChatModel` and `Vision` protocols.

Importing this package does not import `openai`; `open_model` does. Prompts and tools belong to the
callers.
"""

from typing import Literal
from urllib.parse import urlsplit

from analyzer_agent.errors import AgentError
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import Price

__all__ = ["ALLOW_REQUESTS", "Api", "open_model"]

Api = Literal["auto", "responses", "chat"]

ALLOW_REQUESTS = True
"""If False, as in tests, requests to any host but loopback raise `RuntimeError`."""

MAX_REPLY_TOKENS = 8192
"""The most tokens of one reply: a model that does not end is ended."""

OPENAI_URL = "https://api.openai.com/v1"

_HOSTS = (".api.openai.com", "api.openai.com")


def open_model(
    model: str,
    *,
    api: Api = "auto",
    base_url: str | None = None,
    api_key: str | None = None,
    max_retries: int = 3,
    timeout: float = 600.0,
    max_reply_tokens: int = MAX_REPLY_TOKENS,
    price: Price | None = None,
) -> ChatModel:
    """Return a client for a language model. Sends nothing and reads no environment variable.

    Args:
        model: the name of the model.
        api: "auto" selects the Responses API at OpenAI's endpoint and Chat Completions elsewhere.
        base_url: the endpoint, by default OpenAI's.
        api_key: the key; without one, no key is sent.
        max_retries: the most retries per `complete`.
        timeout: the limit of one `complete` in seconds, retries included.
        max_reply_tokens: the most tokens of one reply, thoughts included.
        price: the price of the model; by default that of the table of `llm.prices`, if it is there.

    Raises:
        AgentError: the name, URL, key or `api` is invalid.
    """
    from analyzer_agent.llm.openai_chat import OpenAIChat
    from analyzer_agent.llm.openai_client import Endpoint
    from analyzer_agent.llm.openai_responses import OpenAIResponses

    kind = choose_api(api, base_url)
    endpoint = Endpoint(model, base_url or OPENAI_URL, api_key, max_retries, timeout, price)
    return OpenAIResponses(endpoint, max_reply_tokens) if kind == "responses" else OpenAIChat(endpoint, max_reply_tokens)


def choose_api(api: str, base_url: str | None) -> Literal["responses", "chat"]:
    """Return `api`, with "auto" resolved by `base_url`.

    Raises:
        AgentError: `api` is unknown.
    """
    if api == "responses":
        return "responses"
    if api == "chat":
        return "chat"
    if api != "auto":
        raise AgentError(f"Unknown API {api!r}.", hint="Choose 'auto', 'responses' or 'chat'.")
    return "responses" if is_openai(base_url or OPENAI_URL) else "chat"


def is_openai(url: str) -> bool:
    """Return whether `url` is OpenAI's endpoint or one of its regional ones."""
    host = (urlsplit(url).hostname or "").lower()
    return host == _HOSTS[1] or host.endswith(_HOSTS[0])
