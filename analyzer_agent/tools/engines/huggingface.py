"""huggingface_hub: the hub's endpoint and the user's token.

The library reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and a token file, and is imported only
to download weights. Downloading is left to `weights.http`, which resumes and verifies checksums.
"""

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
