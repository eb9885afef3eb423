"""Errors of model servers: classified, scrubbed of keys, and explained with a hint."""

import difflib
import email.utils
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from analyzer_agent.errors import AgentError
from analyzer_agent.sanitize import truncated

Kind = Literal[
    "key", "forbidden", "missing", "context", "quota", "rate", "tools", "unparsed", "endless", "stream", "request", "server",
    "unreachable", "certificate", "broken", "timeout", "malformed", "empty", "moved",
]  # fmt: skip

RETRYABLE: frozenset[Kind] = frozenset({"rate", "server", "broken", "unreachable"})

_ERROR_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("quota", r"insufficient_quota|exceeded your current quota|billing|credit balance|out of credits"),
    ("context", r"context_length_exceeded|context.{0,12}(length|size|window)|exceed_context|prompt is too long|request too large"),
    ("stream", r"stream_options|include_usage|(cannot|not support|unsupported|unable).{0,40}stream|stream.{0,40}not supported"),
    (
        "tools",
        r"not support (tool|function)|tools? (choice|param|use|call)[^.]{0,40}(requires?|not support|unsupported)|--jinja"
        r"|support tool use|function calling is not",
    ),
    ("missing", r"model_not_found|no such model|model .{0,120}(not found|does not exist|not exist)|unknown model"),
)
T = TypeVar("T")

_MAX_DETAIL_CHARS = 300
_MAX_MODELS_LISTED = 12


class Failure(Exception):
    """A request without a usable reply.

    Attributes:
        kind: the class of failure.
        detail: the server's message.
        status: the HTTP status, 0 if there is none.
        wait: the seconds that the server asks to wait, None if it names none.
        passes: whether a retry may help.
    """

    def __init__(self, kind: Kind, detail: str = "", *, status: int = 0, wait: float | None = None, final: bool = False) -> None:
        super().__init__(detail)
        self.kind: Kind = kind
        self.detail = detail
        self.status = status
        self.wait = wait
        self.passes = kind in RETRYABLE and not final


def classify(error: Exception) -> Failure:
    """Return the failure for an exception of the SDK.

    Raises:
        Exception: `error` itself, if no server or network can cause it.
    """
    import openai

    if isinstance(error, Failure):
        return error
    if isinstance(error, openai.APIStatusError):
        return failure_of_status(error.status_code, error.body, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error, error.__cause__ or error)
    if isinstance(error, openai.APIError):
        return failure_of_body(error.body or error.message)
    if isinstance(error, json.JSONDecodeError):
        return Failure("malformed", f"not JSON: {_short(error.doc)!r}")
    if isinstance(error, UnicodeDecodeError):
        return Failure("malformed", "not UTF-8")
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2"):
        # Raised while we read a response ourselves; the module depends on the SDK's version.
        return _of_connection(error, error)
    raise error


def failure_of_status(status: int, body: object, headers: Mapping[str, str]) -> Failure:
    """Return the failure for an HTTP status of 300 or more, with the response body and headers."""
    said = _words(body)
    kind = _kind_of(status, f"{_code(body)} {said}")
    if kind == "moved":
        said = headers.get("location", "")
    return Failure(kind, said, status=status, wait=_wait(headers))


def failure_of_body(body: object) -> Failure:
    """Return the failure for an error inside a reply or stream with status 200."""
    said, code = _words(body), _code(body)
    status = int(code) if code.isdigit() else 0
    if status:
        return Failure(_kind_of(status, said), said, status=status)
    if "rate_limit" in code:
        return Failure("rate", said)
    if "server_error" in code or "overloaded" in code:
        return Failure("server", said)
    return Failure(_kind_of(400, f"{code} {said}"), said)


def _kind_of(status: int, said: str) -> Kind:
    if status == 401:
        return "key"
    if 300 <= status < 400:
        return "moved"
    for kind, pattern in _ERROR_PATTERNS:
        if re.search(pattern, said, re.IGNORECASE | re.DOTALL):
            return kind
    if status == 413:
        return "context"
    by_status: dict[int, Kind] = {402: "quota", 403: "forbidden", 404: "missing", 405: "missing", 408: "server", 409: "server", 429: "rate"}
    return by_status.get(status, "server" if status >= 500 else "request")


def _of_connection(error: Exception, cause: BaseException) -> Failure:
    name, said = type(cause).__name__, _short(_deepest(error))
    if "CERTIFICATE" in said or "WRONG_VERSION" in said or name.startswith("SSL"):
        return Failure("certificate", said)
    if name in {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"}:
        # After a connection timeout, a retry would only make the user wait longer.
        return Failure("unreachable", said or name, final="Timeout" in name)
    return Failure("timeout" if "Timeout" in name else "broken", said or name)


def _deepest(error: BaseException) -> str:
    said = ""
    at: BaseException | None = error.__cause__
    while at is not None:
        said = str(at) or said
        at = at.__cause__ or at.__context__
    return said


def _code(body: object) -> str:
    if not isinstance(body, Mapping):
        return ""
    return " ".join(str(body[name]) for name in ("code", "type") if body.get(name) not in (None, ""))


def _words(body: object) -> str:
    if isinstance(body, str):
        return "an HTML page" if body.lstrip().startswith("<") else _short(body)
    if isinstance(body, Mapping):
        for name in ("message", "detail", "error"):
            if body.get(name):
                return _words(body[name])
    return _short(json.dumps(body, ensure_ascii=False, default=str)) if body else ""


def _short(text: str) -> str:
    return truncated(" ".join(text.split()), _MAX_DETAIL_CHARS)


def _wait(headers: Mapping[str, str]) -> float | None:
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / divisor
        except (KeyError, ValueError):
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    moment = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(moment) - time.time()) if moment else None


def scrub(text: str, key: str | None) -> str:
    """Replace the key, and anything that looks like one, in `text`."""
    if key:
        text = text.replace(key, "***")
    return re.sub(r"\b(sk-|Bearer )[\w*.-]{6,}", r"\1***", text)


PARSER_HINT = (
    "Start the server with its parser of tool calls (vLLM: --enable-auto-tool-choice --tool-call-parser NAME; "
    "SGLang: --tool-call-parser NAME; llama.cpp: --jinja; Ollama and LM Studio: a model that is marked as able to use tools)."
)

CONTEXT_HINT = (
    "Give the server a longer context (Ollama: OLLAMA_CONTEXT_LENGTH=16384, or num_ctx; llama.cpp: -c 16384; "
    "vLLM: --max-model-len 16384; LM Studio: the model's context length), or ask about a shorter range."
)

_BOUND = re.compile(r"max_(?:completion_|output_|new_)?tokens", re.IGNORECASE)


def refuses_bound(failure: Failure) -> bool:
    """Return whether a server refused the request because of the parameter that bounds the reply."""
    return failure.kind in ("request", "context", "tools") and bool(_BOUND.search(failure.detail))


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


def guarded_parse(read: Callable[[], T]) -> T:
    """Return `read()`, which parses a server's JSON.

    Raises:
        Failure: the JSON does not have the API's structure.
    """
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Failure("malformed", f"{type(error).__name__}: {error}") from error
