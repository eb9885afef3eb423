"""Measure how much of a file at an address is fetched for a question on 20 s of it: `python -m benchmarks.addresses`.

The file is served by starlette, which knows ranges, from this machine.
"""

import argparse
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from analyzer_agent import Session
from analyzer_agent.media import fetched_bytes
from benchmarks.speed.clips import clip

_BIT_RATE = 4_000_000
"""Of the clip, in bits per second."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine while the block runs; yield its address."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    app = Starlette(routes=[Mount("/", StaticFiles(directory=folder))])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it takes connections before the server runs
        running = threading.Thread(target=server.run, args=([listener],), daemon=True)
        running.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            running.join(60)


def measure(file: Path, start_ms: int) -> dict[str, int]:
    """Return the size of a file, and the bytes that are fetched to open it, for one question on a part, and for the same again."""
    with served(file.parent) as url, TemporaryDirectory() as folder:
        store = Path(folder) / "s.db"
        with Session(f"{url}/{file.name}", store=store, manager="rules", start_ms=start_ms, end_ms=start_ms + 20_000) as session:
            opened = fetched_bytes(one.video.path for one in session.session_videos)
            first, again = (session.ask("How many shots are there?") for _ in range(2))
    assert first.citations and not again.usage.media_ms_analyzed, "it was not analyzed once"
    asked = first.usage.fetched_bytes - opened
    return {"the file": file.stat().st_size, "to open it": opened, "for the question": asked, "asked again": again.usage.fetched_bytes}


def main() -> None:
    """Measure, and print a table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--folder", type=Path, default=Path("build/addresses"))
    asked.add_argument("--megabytes", type=int, default=500)
    chosen = asked.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    seconds = max(60, round(8e6 * chosen.megabytes / _BIT_RATE))
    figures = measure(clip(chosen.folder, seconds, heavy=True), 500 * seconds)
    table = Table("", "MB", "%")
    for name, count in figures.items():
        table.add_row(name, f"{count / 1e6:.2f}", f"{100 * count / figures['the file']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
