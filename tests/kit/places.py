"""Where the parts of this repository lie, for tests that read its files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "analyzer_agent"
SHARED = ROOT.parent / "shared"
"""Real footage and weights next to the checkout; absent on most machines."""
