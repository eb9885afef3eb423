"""Guess from files whether there is a GPU, since importing torch takes seconds.

The result is a forecast; a loaded engine reports its actual device.
"""

import re
from pathlib import Path
from typing import Any

from analyzer_agent.errors import Unavailable
from analyzer_agent.tools.engines.installed import package_folder

_DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "C:/Windows/System32/nvcuda.dll")
"""Files of GPU drivers: NVIDIA on Linux, on WSL, AMD, NVIDIA on Windows."""


def has_gpu_driver() -> bool:
    """Tell whether a GPU driver is installed."""
    return any(Path(sign).exists() for sign in _DRIVER_FILES)


def torch_device(wanted: str) -> str:
    """Return the device that torch would use; "auto" is a GPU if torch and a driver support it."""
    if wanted != "auto":
        return wanted
    return "cuda" if has_gpu_driver() and torch_build() not in ("", "cpu") else "cpu"


def torch_build() -> str:
    """Return the CUDA or ROCm version of the installed torch, "cpu" for none, "" without torch."""
    folder = package_folder("torch")
    if folder is None:
        return ""
    told = (folder / "version.py").read_text(encoding="utf-8")
    built = re.findall(r"^(?:cuda|hip)\b[^=\n]*=\s*['\"]([^'\"\n]+)", told, re.M)
    return built[0] if built else "cpu"


def real_device(torch: Any, wanted: str, purpose: str) -> str:
    """Return the device that the imported torch uses for the configured device.

    Raises:
        Unavailable: torch does not find this device.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if int(number or 0) >= counts.get(kind, 0):
        raise Unavailable(f"{purpose}: the device {wanted!r} is not here.", hint="--device auto or --device cpu")
    return wanted
