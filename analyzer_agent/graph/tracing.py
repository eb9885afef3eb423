"""Disable tracing services for questions about private videos, whatever the environment sets."""

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import tracing_v2_callback_var
from langsmith import tracing_context


@contextmanager
def tracing_disabled() -> Iterator[None]:
    """Run the block without LangSmith.

    Call it in a separate thread, so that the caller's tracing is not affected. A tracer that
    ignores everything is registered: without one, LangChain fails if the variables of its first
    tracer (LANGCHAIN_TRACING, LANGCHAIN_HANDLER) are set. Source:
    `langchain_core.callbacks.manager._configure`.
    """
    with tracing_context(enabled=False):
        token = tracing_v2_callback_var.set(BaseCallbackHandler())  # type: ignore[arg-type]
        try:
            yield
        finally:
            tracing_v2_callback_var.reset(token)
