"""Transport to one model endpoint: requests with retries, a deadline and cancellation.

The two APIs supply paths and bodies, and parse the JSON. Each request runs in its own thread and
event loop, so that `cancel` and the deadline take effect at any time; callbacks run in the
caller's thread.
"""

import asyncio
import contextlib
import ipaddress
import json
import queue
import random
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.llm.openai_errors import Failure, classify
from analyzer_agent.llm.openai_hints import explain
from analyzer_agent.llm.openai_text import RequestContext
from analyzer_agent.records import Price

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

_CONNECT_S = 2.5
_LIST_MODELS_S = 2.0
_MAX_RETRY_WAIT_S = 60.0
_TICK_S = 0.05
_FRAMING_HEADERS = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "transfer-encoding"})


class Endpoint:
    """A model at a URL, with its key. Holds no connection: thread-safe and fork-safe."""

    def __init__(self, model: str, url: str, key: str | None, max_retries: int, timeout: float, price: Price | None = None) -> None:
        self.price = price
        self.model = model.strip()
        self.url = _checked_url(url)
        self.key = _checked_key(key)
        self.timeout = timeout
        self._max_retries = max_retries
        self._calm_at = 0.0
        parts = urlsplit(self.url)
        self.host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._validate()

    def _validate(self) -> None:
        from analyzer_agent.llm import is_openai

        if not self.model:
            raise AgentError("No model was named.", hint="Name one with --model.")
        if self._max_retries < 0 or self.timeout <= 0:
            raise AgentError(f"{self._max_retries!r} retries within {self.timeout!r} s make no sense.", hint="Retries >= 0, timeout > 0.")
        if self.key is None and is_openai(self.url):
            raise AgentError(
                f"{self.model!r} at {self.url} needs an API key and none was given.",
                hint="Set OPENAI_API_KEY; for a server of your own give its base URL; or ask without a language model: --manager rules.",
            )

    def client(self, seconds: float) -> "AsyncOpenAI":
        """Return a client that takes nothing from the environment except proxies.

        Source: `openai.AsyncOpenAI`, `openai.DefaultAsyncHttpxClient`.

        Args:
            seconds: the timeout of a request.
        """
        import openai

        transport = openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            # A proxy cannot reach a server on this machine.
            trust_env=not is_loopback(self.host),
            # Loading the CA certificates takes 50 ms; plain HTTP needs none.
            verify=True if self._secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            timeout=openai.Timeout(seconds, connect=_CONNECT_S),
            event_hooks={"request": [self._strip_foreign_headers]},
        )
        return openai.AsyncOpenAI(api_key=self.key or "none", base_url=self.url, max_retries=0, http_client=transport)

    async def _strip_foreign_headers(self, request: Any) -> None:
        # The SDK adds OPENAI_ORG_ID, OPENAI_PROJECT_ID, OPENAI_CUSTOM_HEADERS and details of the
        # operating system.
        from analyzer_agent import __version__

        for name in [name for name in request.headers if name.lower() not in _FRAMING_HEADERS]:
            del request.headers[name]
        request.headers["Host"] = request.url.netloc.decode("ascii")
        request.headers["User-Agent"] = f"analyzer-agent/{__version__}"
        if self.key is not None:
            request.headers["Authorization"] = f"Bearer {self.key}"

    def with_retries(self, ask: RequestContext, attempt: Callable[[], T]) -> T:
        """Return the result of `attempt`, with exponential backoff on retryable failures.

        There is no retry once text was emitted.

        Raises:
            AgentError: the failure is permanent, or retries or time ran out.
            Cancelled: `cancel` was set.
        """
        tries = 0
        while True:
            # A rate limit applies to the endpoint, so all threads that share it wait.
            if ask.cancel.wait(max(0.0, min(self._calm_at - time.monotonic(), ask.seconds_left()))):
                raise Cancelled
            try:
                return attempt()
            except Failure as error:
                failure = error
            # Report a missing server quickly; one retry is for a server that is just starting.
            allowed = min(1, self._max_retries) if failure.kind == "unreachable" else self._max_retries
            delay = failure.wait if failure.wait is not None else min(8.0, 0.5 * 2**tries) * random.uniform(0.75, 1.0)
            if not failure.passes or ask.has_emitted or tries >= allowed or delay > min(_MAX_RETRY_WAIT_S, ask.seconds_left()):
                raise self._explained(failure, ask)
            tries += 1
            if failure.kind == "rate":
                self._calm_at = max(self._calm_at, time.monotonic() + delay)
            elif ask.cancel.wait(delay):
                raise Cancelled

    def _explained(self, failure: Failure, ask: RequestContext) -> AgentError:
        offered = self.list_models(ask.cancel) if failure.kind == "missing" else None
        return explain(failure, model=self.model, url=without_credentials(self.url), key=self.key, seconds=ask.seconds, offered=offered)

    def list_models(self, cancel: threading.Event | None = None) -> list[str] | None:
        """Return the server's model names, sorted; None if it does not list them within 2 s."""
        ask = RequestContext(_LIST_MODELS_S, None, cancel or threading.Event())
        try:
            listed = self.exchange(ask, "/models", None, None)
        except Failure:
            return None
        rows = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(rows, list):
            return None
        return sorted({str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")})

    def exchange(self, ask: RequestContext, path: str, body: dict[str, Any] | None, receive: Callable[[Any], None] | None) -> Any:
        """Send one request.

        Args:
            ask: deadline and cancellation.
            path: the path below the base URL.
            body: the JSON body of a POST; None sends a GET.
            receive: callback for each event of a stream; None requests a single response.

        Returns:
            The JSON of the response; None after a stream.

        Raises:
            Failure: there is no reply, or it is not JSON.
            Cancelled: `cancel` was set.
        """
        self._require_allowed()
        thread = _Exchange(self, path, body, receive is not None, max(0.001, ask.seconds_left()))
        thread.start()
        try:
            while True:
                kind, value = _receive(thread.inbox, ask)
                if kind == "piece" and receive is not None:
                    receive(value)
                elif kind == "failed":
                    raise classify(value)
                elif kind == "whole" and value is None:
                    raise Failure("malformed", "null")
                elif kind in ("whole", "end"):
                    return value
        finally:
            thread.stop()

    def _require_allowed(self) -> None:
        import analyzer_agent.llm as llm

        if not llm.ALLOW_REQUESTS and not is_loopback(self.host):
            raise RuntimeError(f"A request to {self.host!r} while ALLOW_REQUESTS is False.")


def _receive(inbox: "queue.SimpleQueue[tuple[str, Any]]", ask: RequestContext) -> tuple[str, Any]:
    while True:
        if ask.cancel.is_set():
            raise Cancelled
        if ask.seconds_left() <= 0:
            raise Failure("timeout")
        try:
            return inbox.get(timeout=_TICK_S)
        except queue.Empty:
            continue


class _Exchange(threading.Thread):
    """The thread of one HTTP exchange.

    `inbox` gets `("piece", JSON)` for each event of a stream, then `("end", None)`; or
    `("whole", JSON)`; or `("failed", exception)`.
    """

    def __init__(self, endpoint: Endpoint, path: str, body: dict[str, Any] | None, stream: bool, seconds: float) -> None:
        super().__init__(name=f"llm {path}", daemon=True)
        self.inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._endpoint, self._path, self._body, self._stream, self._seconds = endpoint, path, body, stream, seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def run(self) -> None:
        try:
            asyncio.run(self._exchange())
        except asyncio.CancelledError:
            return
        except Exception as error:
            self.inbox.put(("failed", error))

    def stop(self) -> None:
        """Cancel the request if it is still running, and wait briefly for the thread to end."""
        self._stopped = True
        loop, task = self._loop, self._task
        if self.is_alive() and loop is not None and task is not None:
            # The loop may close concurrently; then there is nothing to cancel.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        # Name resolution cannot be interrupted; the daemon thread ends after it.
        self.join(timeout=0.5)

    async def _exchange(self) -> None:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        if self._stopped:
            return
        async with self._endpoint.client(self._seconds) as client:
            if self._body is None:
                self.inbox.put(("whole", _json(await client.get(self._path, cast_to=object))))
            elif self._stream:
                await self._stream_reply(client, self._body)
            else:
                self.inbox.put(("whole", _json(await client.post(self._path, cast_to=object, body=self._body))))

    async def _stream_reply(self, client: "AsyncOpenAI", body: dict[str, Any]) -> None:
        from openai import AsyncStream

        async with await client.post(self._path, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]) as pieces:
            kind = pieces.response.headers.get("content-type", "")
            if "json" in kind or "html" in kind:
                # Some servers do not stream although they were requested to.
                self.inbox.put(("whole", json.loads(await pieces.response.aread())))
                return
            async for piece in pieces:
                self.inbox.put(("piece", piece))
        self.inbox.put(("end", None))


def _json(value: object) -> object:
    # The SDK returns plain text if the content type is not JSON.
    return json.loads(value) if isinstance(value, str) else value


def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def without_credentials(url: str) -> str:
    """Remove user name and password from `url`."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _checked_url(url: str) -> str:
    url = url.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AgentError(f"{without_credentials(url)!r} is not a base URL.", hint="It looks like http://localhost:11434/v1.")
    return url


def _checked_key(key: str | None) -> str | None:
    key = (key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise AgentError("The API key contains characters that no key has.", hint="Copy it again into OPENAI_API_KEY.")
    return key or None
