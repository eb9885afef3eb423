"""Import sqlite-utils without numpy and pandas, which it uses only to store their number types.

Importing them takes over 0.1 s, a third of a search. Later imports of them are not affected.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED = ("numpy", "pandas")


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Make imports of these modules fail in the block, unless they are imported already."""
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
