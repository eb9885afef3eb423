"""huggingface_hub: the hub's endpoint, the user's token, and the layout of its cache.

The library reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and a token file, and is imported only
to download weights. Downloading is left to `weights.http`, which resumes and verifies checksums.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from analyzer_agent.errors import AgentError, require


class Hub(NamedTuple):
    """A hub's endpoint, and the headers that authenticate requests to it."""

    endpoint: str
    headers: dict[str, str]

    def listing(self, repository: str) -> str:
        """Return the URL of a repository's newest revision and its list of files."""
        return f"{self.endpoint}/api/models/{repository}/revision/main?blobs=true"

    def file(self, repository: str, revision: str, name: str) -> str:
        """Return the URL of a file."""
        return f"{self.endpoint}/{repository}/resolve/{revision}/{quote(name)}"


def default_hub() -> Hub:
    """Return the hub configured for huggingface_hub, with the user's token if there is one.

    Raises:
        AgentError: `HF_HUB_OFFLINE` is set.
    """
    constants = require("huggingface_hub.constants", "", "Downloading weights")
    if constants.HF_HUB_OFFLINE:
        raise AgentError("HF_HUB_OFFLINE forbids asking the Hugging Face hub.", hint="Unset it for this command.")
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else require("huggingface_hub", "", "Downloading weights").get_token()
    return Hub(constants.ENDPOINT, {"Authorization": f"Bearer {token}"} if token else {})


def snapshots(folder: Path) -> Iterator[Path]:
    """Yield the snapshots in a repository's folder of the cache: that of `main`, then all."""
    main = folder / "refs" / "main"
    if main.is_file():
        yield folder / "snapshots" / main.read_text(encoding="utf-8").strip()
    yield from sorted(folder.glob("snapshots/*"))
