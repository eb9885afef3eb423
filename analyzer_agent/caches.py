"""The places where other programs store weights. The environment is read in `config`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WeightCaches:
    """The weight caches of other programs, which engines use as well; by default their defaults.

    Attributes:
        hub: the cache of huggingface_hub.
        easyocr: the model folder of EasyOCR.
        ultralytics: the settings file of ultralytics, which names its weights folder.
    """

    hub: Path = field(default_factory=lambda: Path.home() / ".cache" / "huggingface" / "hub")
    easyocr: Path = field(default_factory=lambda: Path.home() / ".EasyOCR" / "model")
    ultralytics: Path = field(default_factory=lambda: user_config() / "Ultralytics" / "settings.json")


def user_config() -> Path:
    """Return the system's folder for user settings, in which ultralytics creates its own."""
    return Path.home() / {"win32": "AppData/Roaming", "darwin": "Library/Application Support"}.get(sys.platform, ".config")
