"""Write JSON that is safe to print on a terminal; re-exports the text functions of `sanitize`."""

import json
import sys
from typing import Any

from analyzer_agent.sanitize import UNSAFE_OR_BREAK, one_line, sanitize

__all__ = ["one_line", "safe_json", "sanitize"]


def safe_json(value: Any, indent: int | None = 2) -> str:
    """Return JSON without control characters and line separators, encodable for stdout."""
    ascii_only = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") != "utf8"
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    return UNSAFE_OR_BREAK.sub(lambda m: f"\\u{ord(m[0]):04x}", text)
