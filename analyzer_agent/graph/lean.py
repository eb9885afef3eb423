"""Importing LangGraph without the client of LangGraph's servers, which this package never talks to.

`langgraph.runtime` takes one type from `langgraph_sdk.auth`; the package around it imports an HTTP client at once, a fifth of the time that
the import of LangGraph takes. Here that package is found without being run; whoever imports it later gets it whole.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_CLIENT = "langgraph_sdk"


@contextmanager
def without_client() -> Iterator[None]:
    """Run imports of LangGraph in the block without running the client's package, unless that is imported already."""
    found = None if _CLIENT in sys.modules else importlib.util.find_spec(_CLIENT)
    if found is None or found.submodule_search_locations is None:
        yield
        return
    hollow = ModuleType(_CLIENT)
    hollow.__path__ = list(found.submodule_search_locations)
    sys.modules[_CLIENT] = hollow
    try:
        yield
    finally:
        del sys.modules[_CLIENT]
