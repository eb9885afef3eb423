"""How much memory is left, of the machine and of GPUs, and how much this process holds.

Knows nothing of engines. What a container may use counts, not what the machine has.
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
"""Where Linux tells a container's limit, what it uses, and details: version 2, version 1."""


def free(device: str) -> int | None:
    """Return the bytes that can still be had on a device ("cpu", "cuda:1"), or None where nothing tells."""
    if device.startswith("cuda"):
        found = _cuda(device)
        return found[0] if found else None
    if device != "cpu":
        return None
    available = int(require("psutil", "", "Measuring memory").virtual_memory().available)
    allowed = _allowed()
    return available if allowed is None else min(available, allowed)


def used(device: str) -> int | None:
    """Return the bytes in use: of the main memory by this process, of a GPU by everybody; None where nothing tells."""
    if device.startswith("cuda"):
        found = _cuda(device)
        return found[1] - found[0] if found else None
    return int(require("psutil", "", "Measuring memory").Process().memory_info().rss) if device == "cpu" else None


def _cuda(device: str) -> tuple[int, int] | None:
    """Return free and total bytes of a GPU, as torch numbers them. Without torch nobody here can tell."""
    if find_spec("torch") is None:
        return None
    cuda = require("torch", VISION, "Measuring memory").cuda
    number = int(device.partition(":")[2] or 0)
    if number >= cuda.device_count():
        return None
    available, total = cuda.mem_get_info(number)
    return int(available), int(total)


def _allowed(root: Path = Path("/")) -> int | None:
    """Return what the container that this runs in may still take; what it only caches does not count as taken."""
    for limit, usage, stat in _CGROUPS:
        try:
            most, now = (int((root / path[1:]).read_text()) for path in (limit, usage))
            cached = re.search(r"^(?:total_)?inactive_file (\d+)$", (root / stat[1:]).read_text(), re.M)
        except (OSError, ValueError):  # no such version of cgroups here, or "max": no limit
            continue
        return max(0, most - now + (int(cached[1]) if cached else 0))
    return None
