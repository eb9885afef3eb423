"""Imports sqlite-utils without numpy and pandas, which it only takes to store their numbers: nobody does that here.

They take a tenth of a second and more, a third of what a search takes. Whoever imports them later gets them whole.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = ("numpy", "pandas")


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Let imports of these modules fail in the block, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without(*_UNUSED):
    from sqlite_utils import Database, Migrations

__all__ = ["Database", "Migrations"]
