"""Keep what is asked about a private video away from tracing services, whatever the environment says.

Knows nothing of what runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import tracing_v2_callback_var
from langsmith import tracing_context


@contextmanager
def tracing_disabled() -> Iterator[None]:
    """Run the block without LangSmith; run it in a thread of its own, so that the caller's tracing is left alone.

    A tracer that ignores everything is put where LangChain looks for one: without any, LangChain fails where variables of its first
    tracer (LANGCHAIN_TRACING, LANGCHAIN_HANDLER) are set. Source: `langchain_core.callbacks.manager._configure`.
    """
    with tracing_context(enabled=False):
        token = tracing_v2_callback_var.set(BaseCallbackHandler())  # type: ignore[arg-type]
        try:
            yield
        finally:
            tracing_v2_callback_var.reset(token)
