"""Fetching files over HTTP: resumed where they broke off, checked, and under their name only when they are whole.

Knows nothing of what the files are. Uses Python's own client, which finds proxies and certificates as every Python program does.
"""

import hashlib
import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from analyzer_agent import __version__
from analyzer_agent.errors import AgentError

TIMEOUT_S = 10.0
"""How long a server may take to answer, looking up its name and trying all its addresses included, and to send the next piece."""

_MAX_ATTEMPTS = 5
_BLOCK_BYTES = 1 << 20
_NETWORK = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError)
_NO_SUCH_RANGE = 416
_RESUME_HINT = "The same command goes on where it stopped."
_CHECK = "Check the network connection, or an address that you set."


class DownloadError(AgentError):
    """A server could not be reached, or did not give what was asked for; `status` is its answer, 0 where there was none."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Digest(NamedTuple):
    """A checksum that a publisher gives: `kind` is "sha256", "md5" or "git" (the name that git has for such a file)."""

    kind: str
    value: str

    def of(self, path: Path) -> str:
        """Return the sum of a file, to be compared with `value`."""
        sums = hashlib.new("sha1" if self.kind == "git" else self.kind, usedforsecurity=False)
        if self.kind == "git":
            sums.update(b"blob %d\0" % path.stat().st_size)
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                sums.update(block)
        return sums.hexdigest()


def get_json(url: str, headers: Mapping[str, str] | None = None, within: float | None = None) -> Any:
    """Return the JSON at an address.

    Raises:
        DownloadError: there is none within so many seconds, by default `TIMEOUT_S`.
    """
    limit = TIMEOUT_S if within is None else within
    # A socket's timeout bounds neither the look-up of a name nor the sum over a server's addresses.
    came: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=lambda: came.put(_asked(url, headers, limit)), daemon=True).start()
    try:
        answer = came.get(timeout=limit)
    except queue.Empty:
        answer = _download_error(url, TimeoutError(), _CHECK)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _asked(url: str, headers: Mapping[str, str] | None, timeout: float) -> Any:
    """Return the JSON at an address, or what went wrong."""
    try:
        with urlopen(_request(url, headers), timeout=timeout) as reply:
            return json.load(reply)
    except _NETWORK as broken:
        return _caused(_download_error(url, broken, _CHECK), broken)
    except ValueError as strange:
        told = f"What {_host(url)} answered cannot be understood."
        return _caused(DownloadError(told, hint="Is that the server that you meant?"), strange)
    except Exception as bug:  # raised by `get_json`, in the caller's thread
        return bug


def _caused(error: DownloadError, cause: Exception) -> DownloadError:
    error.__cause__ = cause
    return error


def download(
    url: str, path: Path, size: int | None = None, digest: Digest | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Write what is at an address to `path`, and yield how many bytes are there; until it is whole it is called `path` + ".part".

    A file that broke off is gone on with, now or by a later call. `size` in bytes and `digest` are what the publisher says it has.

    Raises:
        AgentError: the server does not give it, it is not what the publisher says (then it is deleted), or it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = bool(_size_on_disk(part))
        yield from _receive(url, part, size, headers or {})
        wrong = _mismatch_reason(part, size, digest)
        if wrong and resumed:  # the piece that was there may be of another file that once had this name
            part.unlink()
            yield from _receive(url, part, size, headers or {})
            wrong = _mismatch_reason(part, size, digest)
        if wrong:
            part.unlink()
            raise AgentError(f"{path.name!r} from {_host(url)} {wrong}; it was deleted.", hint="Try again later, or tell its publisher.")
        os.replace(part, path)
    except OSError as error:
        raise AgentError(f"{str(path)!r} cannot be written: {error.strerror or error}.", hint="Choose another folder with --to.") from error


def _receive(url: str, part: Path, size: int | None, headers: Mapping[str, str]) -> Iterator[int]:
    """Append to `part` until it is whole; try again as long as each try brings something, a few times."""
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
        if reply.status != 206:  # the server sends the whole file, whatever was asked for
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


def _mismatch_reason(part: Path, size: int | None, digest: Digest | None) -> str:
    there = _size_on_disk(part)
    if size is not None and there != size:
        return f"has {there} bytes instead of {size}"
    if digest is not None and digest.of(part) != digest.value:
        return f"does not have the {digest.kind} sum that its publisher gives"
    return ""


def _size_on_disk(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _request(url: str, headers: Mapping[str, str] | None) -> Request:
    request = Request(url, headers={"User-Agent": f"analyzer-agent/{__version__}"})
    for name, value in (headers or {}).items():
        if name == "Authorization":
            request.add_unredirected_header(name, value)  # where a server sends us is no business of the token's
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
