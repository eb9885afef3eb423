"""Whether there is a GPU, as far as files tell: asking torch would take seconds.

Imports no library. What it says is a forecast: a loaded engine knows better.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from analyzer_agent.errors import Unavailable

_DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "C:/Windows/System32/nvcuda.dll")
"""What a driver leaves on disk: NVIDIA on Linux, on WSL, AMD, NVIDIA on Windows."""


def has_gpu_driver() -> bool:
    """Tell whether a driver for a GPU is installed."""
    return any(Path(sign).exists() for sign in _DRIVER_FILES)


def torch_device(wanted: str) -> str:
    """Return where torch would run, given the device that the user wants: "auto" is a GPU where torch was built for one that is here."""
    if wanted != "auto":
        return wanted
    return "cuda" if has_gpu_driver() and torch_build() not in ("", "cpu") else "cpu"


def torch_build() -> str:
    """Return the CUDA or ROCm version that the installed torch was built for, "cpu" where for none, "" where torch is not installed."""
    spec = find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        told = (Path(folder) / "version.py").read_text(encoding="utf-8")
        built = re.findall(r"^(?:cuda|hip)\b[^=\n]*=\s*['\"]([^'\"\n]+)", told, re.M)
        return built[0] if built else "cpu"
    return ""


def real_device(torch: Any, wanted: str, purpose: str) -> str:
    """Return where the imported torch runs, given the device that the user wants.

    Raises:
        Unavailable: torch does not see this device.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if int(number or 0) >= counts.get(kind, 0):
        raise Unavailable(f"{purpose}: the device {wanted!r} is not here.", hint="--device auto or --device cpu")
    return wanted
