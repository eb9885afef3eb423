"""Failures of model servers, explained to people with a hint."""

import difflib
from collections.abc import Mapping, Sequence

from analyzer_agent.errors import AgentError
from analyzer_agent.llm.openai_errors import Failure, Kind, scrub

_MAX_MODELS_LISTED = 12

PARSER_HINT = (
    "Start the server with its parser of tool calls (vLLM: --enable-auto-tool-choice --tool-call-parser NAME; "
    "SGLang: --tool-call-parser NAME; llama.cpp: --jinja; Ollama and LM Studio: a model that is marked as able to use tools)."
)

CONTEXT_HINT = (
    "Give the server a longer context (Ollama: OLLAMA_CONTEXT_LENGTH=16384, or num_ctx; llama.cpp: -c 16384; "
    "vLLM: --max-model-len 16384; LM Studio: the model's context length), or ask about a shorter range."
)

_EXPLANATIONS: Mapping[Kind, tuple[str, str]] = {
    "forbidden": ("{url} does not let this key use {model!r}{tail}", "Choose another model with --model, or ask for access."),
    "context": (
        "The conversation is longer than {model!r} at {url} can take{tail}",
        "Start a new session, ask about a shorter range, or use a model (or a server setting) with a longer context.",
    ),
    "quota": ("The account at {url} has no quota left{tail}", "Add credit or raise the limit in the account's billing settings."),
    "rate": ("{url} is limiting requests and kept refusing{tail}", "{wait} again. Analyzed ranges are stored."),
    "tools": (
        "{model!r} at {url} cannot call tools{tail}",
        "Choose a model that supports tool calling, or start the server with it switched on "
        "(vLLM: --enable-auto-tool-choice --tool-call-parser NAME; llama.cpp: --jinja).",
    ),
    "endless": (
        "{model!r} at {url} came to no end{tail}",
        "Ask again, or use another model; --max-reply-tokens sets how much one reply may hold. A model that repeats itself does so "
        "less with the sampling that its authors advise (temperature, repeat penalty), set in the server.",
    ),
    "unparsed": ("{model!r} at {url} wrote a tool call as text that cannot be read{tail}", PARSER_HINT),
    "certificate": (
        "No secure connection to {url}{tail}",
        "Check http/https in the base URL; for a private certificate, point SSL_CERT_FILE at its authority.",
    ),
    "timeout": (
        "{model!r} at {url} did not answer within {seconds:g} s.",
        "Allow more time, or use a smaller model. Analyzed ranges are stored.",
    ),
    "broken": ("The connection to {url} broke before the reply was complete{tail}", "Ask again. Analyzed ranges are stored."),
    "moved": ("{url} redirects to {address}.", "Use that address as the base URL."),
    "empty": ("{model!r} at {url} sent an empty reply{tail}", "Ask again; if it happens often, use another model."),
    "malformed": ("{url} sent a reply that cannot be read{tail}", "Is this an OpenAI-compatible endpoint? Its URL often ends in /v1."),
    "server": ("{url} failed with status {status}{tail}", "Ask again later, or look at the server's log."),
    "request": ("{url} refused the request{tail}", "If the server lacks this API, try --api chat or --api responses; see its log."),
}
"""Message and hint by kind; those of the other kinds depend on more than the failure."""


def explain(failure: Failure, *, model: str, url: str, key: str | None, seconds: float, offered: Sequence[str] | None) -> AgentError:
    """Return the error to show for a failure, with a hint.

    Args:
        failure: the failure; its detail is scrubbed.
        model: the name of the model.
        url: the endpoint.
        key: the API key, if any.
        seconds: the timeout of the call.
        offered: the models that the server lists; None if it lists none.
    """
    said = scrub(failure.detail, key)
    tail = f": {said}" if said else "."
    match failure.kind:
        case "key" if key:
            hint = "Check OPENAI_API_KEY: is it complete, still valid, and meant for this endpoint?"
            return AgentError(f"{url} does not accept the API key.", hint=hint)
        case "key":
            return AgentError(f"{url} wants an API key and none was given.", hint="Set OPENAI_API_KEY to the key of this endpoint.")
        case "missing":
            message, hint = _missing(model, url, said, offered)
            return AgentError(message, hint=hint)
        case "unreachable":
            return AgentError(f"Cannot reach the language model at {url}{tail}", hint=_reach(url))
    message, hint = _EXPLANATIONS["request" if failure.kind == "stream" else failure.kind]
    facts = {
        "url": url,
        "model": model,
        "seconds": seconds,
        "tail": tail,
        "address": said or "another address",
        "status": failure.status or "unknown",
        "wait": f"The server asks to wait {failure.wait:.0f} s; ask" if failure.wait else "Wait a minute and ask",
    }
    return AgentError(message.format(**facts), hint=hint.format(**facts))


def _missing(model: str, url: str, said: str, offered: Sequence[str] | None) -> tuple[str, str]:
    if offered is None:
        why = f" ({said})" if said else ""
        return (
            f"{url} knows no model {model!r}, or is no OpenAI-compatible endpoint{why}.",
            "Check --model and the base URL: it often ends in /v1.",
        )
    if model in offered:
        return (
            f"{url} offers {model!r}, but not through this API: {said or 'not found'}",
            "Try --api chat (most servers) or --api responses.",
        )
    if not offered:
        return f"{url} has no model {model!r}.", "It offers no model at all: load or pull one first."
    close = difflib.get_close_matches(model, offered, n=_MAX_MODELS_LISTED, cutoff=0.3)
    names = close if len(offered) > _MAX_MODELS_LISTED and close else list(offered[:_MAX_MODELS_LISTED])
    more = f" and {len(offered) - len(names)} more" if len(offered) > len(names) else ""
    return f"{url} has no model {model!r}.", f"It offers: {', '.join(names)}{more}."


def _reach(url: str) -> str:
    if "localhost" in url or "127.0.0.1" in url or "[::1]" in url:
        return "Is the server running, and on this port? Or ask without a language model: --manager rules."
    return "Check the network and the base URL. Or ask without a language model: --manager rules."
