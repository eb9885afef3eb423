"""Download files over HTTP: resumed, verified, and renamed to their final name when complete.

Uses `urllib.request`, with the proxies and certificates of the Python installation. docs/adr/0015
says why huggingface_hub and pooch do not do this.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from analyzer_agent import __version__
from analyzer_agent.errors import AgentError
from analyzer_agent.tools.weights.files import Digest, mismatch_reason, part_of, writing

TIMEOUT_S = 10.0
"""Timeout in seconds, for the first response (including name lookup) and for each read."""

_MAX_ATTEMPTS = 5
_BLOCK_BYTES = 1 << 20
_NETWORK = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError)
_NO_SUCH_RANGE = 416
_RESUME_HINT = "The same command goes on where it stopped."
_CHECK = "Check the network connection, or an address that you set."


class DownloadError(AgentError):
    """A server is unreachable or refuses; `status` is the HTTP status, 0 without a response."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def get_json(url: str, headers: Mapping[str, str] | None = None, within: float | None = None) -> Any:
    """Return the JSON at a URL.

    Raises:
        DownloadError: there is no valid response within `within` seconds (default `TIMEOUT_S`).
    """
    limit = TIMEOUT_S if within is None else within
    answer: Future[Any] = Future()

    def ask() -> None:
        try:
            with urlopen(_request(url, headers), timeout=limit) as reply:
                answer.set_result(json.load(reply))
        except Exception as error:  # raised in the caller's thread
            answer.set_exception(error)

    # A socket timeout covers neither name lookup nor the sum over all addresses of a server.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout=limit)
    except _NETWORK as broken:
        raise _download_error(url, broken, _CHECK) from broken
    except ValueError as strange:
        told = f"What {_host(url)} answered cannot be understood."
        raise DownloadError(told, hint="Is that the server that you meant?") from strange


def download(
    url: str, path: Path, size: int | None = None, digest: Digest | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Download a URL to `path`, and yield the number of bytes on disk.

    Until it is complete, the file is named `path` + ".part"; an interrupted download is resumed.

    Args:
        url: address of the file.
        path: destination; parent folders are created.
        size: expected size in bytes, if known.
        digest: expected checksum, if known.
        headers: additional request headers.

    Raises:
        AgentError: the server refuses, the file cannot be written, or it does not match `size` or
            `digest` (then it is deleted).
    """
    part = part_of(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = bool(_size_on_disk(part))
        yield from _receive(url, part, size, headers or {})
        wrong = mismatch_reason(part, size, digest)
        if wrong and resumed:  # the part may belong to an older file of this name
            part.unlink()
            yield from _receive(url, part, size, headers or {})
            wrong = mismatch_reason(part, size, digest)
        if wrong:
            part.unlink()
            raise AgentError(f"{path.name!r} from {_host(url)} {wrong}; it was deleted.", hint="Try again later, or tell its publisher.")
        os.replace(part, path)


def _receive(url: str, part: Path, size: int | None, headers: Mapping[str, str]) -> Iterator[int]:
    """Append to `part` until it is complete; retry a few times while attempts make progress."""
    for left in reversed(range(_MAX_ATTEMPTS)):
        before = _size_on_disk(part)
        try:
            yield from _append(url, part, size, headers)
            return
        except _NETWORK as broken:
            if isinstance(broken, HTTPError) and broken.code == _NO_SUCH_RANGE and before:
                part.unlink()
            elif isinstance(broken, HTTPError) or not left or _size_on_disk(part) <= before:
                raise _download_error(url, broken, _RESUME_HINT if _size_on_disk(part) else "Check the network connection.") from broken


def _append(url: str, part: Path, size: int | None, headers: Mapping[str, str]) -> Iterator[int]:
    begin = _size_on_disk(part)
    if size is not None and begin >= size:
        yield begin
        return
    more = {"Range": f"bytes={begin}-"} if begin else {}
    with urlopen(_request(url, {**headers, **more}), timeout=TIMEOUT_S) as reply:
        if reply.status != 206:  # the server ignores the range and sends the whole file
            begin = 0
        promised = reply.headers.get("Content-Length")
        with part.open("ab" if begin else "wb") as file:
            done = begin
            while block := reply.read1(_BLOCK_BYTES):
                file.write(block)
                done += len(block)
                yield done
    if promised is not None and done < begin + int(promised):
        raise ConnectionError("the connection broke off")


def _size_on_disk(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _request(url: str, headers: Mapping[str, str] | None) -> Request:
    request = Request(url, headers={"User-Agent": f"analyzer-agent/{__version__}"})
    for name, value in (headers or {}).items():
        if name == "Authorization":
            request.add_unredirected_header(name, value)  # a redirect must not receive the token
        else:
            request.add_header(name, value)
    return request


def _download_error(url: str, broken: Exception, hint: str) -> DownloadError:
    if isinstance(broken, HTTPError):
        broken.close()
        told = f"{_host(url)} refused {urlsplit(url).path!r}: {broken.code} {broken.reason}."
        return DownloadError(told, hint="Try again later, or choose other weights.", status=broken.code)
    why = getattr(broken, "reason", broken)
    told = "it did not answer in time" if isinstance(why, TimeoutError) else getattr(why, "strerror", None) or str(why)
    return DownloadError(f"{_host(url)} cannot be reached: {told}.", hint=hint)


def _host(url: str) -> str:
    return urlsplit(url).netloc or url
