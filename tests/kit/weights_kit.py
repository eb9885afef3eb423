"""What the tests of weights share: what is published, and fetching it from a server of the test."""

from pathlib import Path

from analyzer_agent.tools.engines.huggingface import Hub
from analyzer_agent.tools.weights import download
from analyzer_agent.tools.weights.catalog import PUBLISHED, Weights
from analyzer_agent.tools.weights.download import WeightFile, choose_weights, download_weights, plan_download
from weights_server import WeightsServer


def of(analyzer: str) -> dict[str, Weights]:
    return {entry.name: entry for entry in PUBLISHED if entry.analyzer == analyzer}


def planned(server: WeightsServer, folder: Path, *words: str, token: str = "") -> list[WeightFile]:
    moved = [
        entry._replace(source=entry.source.replace("https://github.com", server.url)) if entry.source.startswith("http") else entry
        for entry in choose_weights(words)
    ]
    return plan_download(moved, folder, Hub(server.url, {"Authorization": f"Bearer {token}"} if token else {}), github=server.url)


def pulled(server: WeightsServer, folder: Path, *words: str) -> list[str]:
    """Fetch what is not here and return the names of the files that were fetched."""
    missing = [file for file in planned(server, folder, *words) if not file.is_here()]
    return [event.file.path.name for event in download_weights(missing) if isinstance(event, download.DownloadDone)]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
