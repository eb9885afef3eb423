"""The door to huggingface_hub: where the hub is and who asks. What is fetched from it, and how, is not its business.

huggingface_hub reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and a token file when it is imported or asked; it is imported here only,
when weights are fetched. Its own downloads cannot go on where they broke off and check no sums.
"""

from typing import NamedTuple
from urllib.parse import quote

from analyzer_agent.errors import AgentError, require


class Hub(NamedTuple):
    """A hub: its address, and the headers that tell it who asks."""

    endpoint: str
    headers: dict[str, str]

    def listing(self, repository: str) -> str:
        """Return the address at which the hub tells a repository's newest revision and files."""
        return f"{self.endpoint}/api/models/{repository}/revision/main?blobs=true"

    def file(self, repository: str, revision: str, name: str) -> str:
        """Return the address of a file."""
        return f"{self.endpoint}/{repository}/resolve/{revision}/{quote(name)}"


def default_hub() -> Hub:
    """Return the hub that huggingface_hub itself would ask, with the user's token if there is one.

    Raises:
        AgentError: `HF_HUB_OFFLINE` is set.
    """
    constants = require("huggingface_hub.constants", "", "Fetching weights")
    if constants.HF_HUB_OFFLINE:
        raise AgentError("HF_HUB_OFFLINE forbids asking the Hugging Face hub.", hint="Unset it for this command.")
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else require("huggingface_hub", "", "Fetching weights").get_token()
    return Hub(constants.ENDPOINT, {"Authorization": f"Bearer {token}"} if token else {})
