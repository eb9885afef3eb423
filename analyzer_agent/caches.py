"""Where other programs keep weights. Knows nothing of weights, and looks at no environment."""

import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WeightCaches:
    """Where other programs keep weights, which engines use as well; by default where they do unless told otherwise.

    `hub` is the cache of the Hugging Face tools, `easyocr` the folder of EasyOCR's models, `ultralytics` its settings file, which
    names a folder.
    """

    hub: Path = field(default_factory=lambda: Path.home() / ".cache" / "huggingface" / "hub")
    easyocr: Path = field(default_factory=lambda: Path.home() / ".EasyOCR" / "model")
    ultralytics: Path = field(default_factory=lambda: user_config() / "Ultralytics" / "settings.json")


def user_config() -> Path:
    """Return the folder in which ultralytics makes its own: that of the user's settings on this system."""
    return Path.home() / {"win32": "AppData/Roaming", "darwin": "Library/Application Support"}.get(sys.platform, ".config")
