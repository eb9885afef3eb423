"""Language models behind the `ChatModel` and `Vision` protocols.

Knows nothing of videos, notes or prompts. Importing this package does not import `openai`: `open_model` does.
"""

from typing import Literal
from urllib.parse import urlsplit

from analyzer_agent.errors import AgentError
from analyzer_agent.protocols import ChatModel

__all__ = ["ALLOW_REQUESTS", "Api", "open_model"]

Api = Literal["auto", "responses", "chat"]

ALLOW_REQUESTS = True
"""Set to False in tests: any request to a host other than loopback then raises `RuntimeError`."""

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
) -> ChatModel:
    """Return the language model `model` at `base_url` (default: OpenAI's own endpoint); sends nothing yet.

    Nothing is read from the environment: without `api_key` no key is sent, whatever `OPENAI_API_KEY` says. `timeout` is the seconds
    that one `complete` may take, retries included. `api="auto"` is the Responses API on OpenAI's endpoint, Chat Completions elsewhere.

    Raises:
        AgentError: the name, URL, key or `api` cannot be right.
    """
    from analyzer_agent.llm.openai_chat import OpenAIChat
    from analyzer_agent.llm.openai_client import Endpoint
    from analyzer_agent.llm.openai_responses import OpenAIResponses

    kind = choose_api(api, base_url)
    endpoint = Endpoint(model, base_url or OPENAI_URL, api_key, max_retries, timeout)
    return OpenAIResponses(endpoint) if kind == "responses" else OpenAIChat(endpoint)


def choose_api(api: str, base_url: str | None) -> Literal["responses", "chat"]:
    """Return which API to speak: `api`, or, if that is "auto", the one that suits `base_url`.

    Raises:
        AgentError: `api` is none of the three.
    """
    if api == "responses":
        return "responses"
    if api == "chat":
        return "chat"
    if api != "auto":
        raise AgentError(f"Unknown API {api!r}.", hint="Choose 'auto', 'responses' or 'chat'.")
    return "responses" if is_openai(base_url or OPENAI_URL) else "chat"


def is_openai(url: str) -> bool:
    """Tell whether `url` is OpenAI's own endpoint or one of its regional ones."""
    host = (urlsplit(url).hostname or "").lower()
    return host == _HOSTS[1] or host.endswith(_HOSTS[0])
