"""What every test may rely on: no network, no user folders touched, the shared footage where it exists."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real footage and weights beside the checkout; tests that need it skip where it does not exist."""
    if not (SHARED / "media").is_dir():
        pytest.skip("needs the folder of real footage beside the checkout, which is not part of the repository")
    return SHARED
