"""Measure free memory of the machine and of GPUs, and the memory used by this process.

In a container, its limit counts in place of the machine's memory.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from analyzer_agent.errors import require
from analyzer_agent.installing import VISION

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat"),
)
"""Linux files with a container's memory limit, usage and details: cgroup version 2, version 1."""


def free(device: str) -> int | None:
    """Return the free bytes on a device ("cpu", "cuda:1"), or None if unknown."""
    if device.startswith("cuda"):
        found = _cuda(device)
        return found[0] if found else None
    if device != "cpu":
        return None
    available = int(require("psutil", "", "Measuring memory").virtual_memory().available)
    allowed = _allowed()
    return available if allowed is None else min(available, allowed)


def used(device: str) -> int | None:
    """Return the used bytes: main memory by this process, a GPU by all; None if unknown."""
    if device.startswith("cuda"):
        found = _cuda(device)
        return found[1] - found[0] if found else None
    return int(require("psutil", "", "Measuring memory").Process().memory_info().rss) if device == "cpu" else None


def _cuda(device: str) -> tuple[int, int] | None:
    """Return free and total bytes of a GPU with `torch.cuda.mem_get_info`; None without torch."""
    if find_spec("torch") is None:
        return None
    cuda = require("torch", VISION, "Measuring memory").cuda
    number = int(device.partition(":")[2] or 0)
    if number >= cuda.device_count():
        return None
    available, total = cuda.mem_get_info(number)
    return int(available), int(total)


def _allowed(root: Path = Path("/")) -> int | None:
    """Return the bytes left under the container's limit; reclaimable cache counts as free."""
    for limit, usage, stat in _CGROUPS:
        try:
            most, now = (int((root / path[1:]).read_text()) for path in (limit, usage))
            cached = re.search(r"^(?:total_)?inactive_file (\d+)$", (root / stat[1:]).read_text(), re.M)
        except (OSError, ValueError):  # this cgroup version is absent, or the limit is "max"
            continue
        return max(0, most - now + (int(cached[1]) if cached else 0))
    return None
