"""The agent as a LangGraph state graph: think, act, think, ..., finish, verify, close.

Every step is checkpointed, so that an interrupted question can be resumed. The steps themselves
are in `nodes`.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.context import tracing_v2_callback_var
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langsmith import tracing_context

from analyzer_agent.events import Emit
from analyzer_agent.graph.nodes import Nodes
from analyzer_agent.graph.state import Limits, State
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import Usage
from analyzer_agent.toolbox import Toolbox

log = logging.getLogger(__name__)


@contextmanager
def open_saver(path: str) -> Iterator[SqliteSaver]:
    """Open the checkpointer in the store's file, on a separate connection."""
    connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
    try:
        saver = SqliteSaver(connection)
        saver.setup()
        yield saver
    finally:
        connection.close()


def prune(saver: SqliteSaver, thread: str) -> None:
    """Delete all but the newest checkpoint of a thread.

    Each holds the whole state, so that together they would grow quadratically.
    """
    newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
    with saver.cursor() as cursor:
        for table in ("checkpoints", "writes"):
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ({newest})", (thread, thread))


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


@dataclass
class Agent:
    """Runs questions over one toolbox with one model.

    Args:
        toolbox: the tools.
        model: the manager.
        saver: the checkpointer.
        limits: the limits of one question.
        verify: whether a second model call checks the answer; "auto": unless its confidence is high.
    """

    toolbox: Toolbox
    model: ChatModel
    saver: SqliteSaver
    limits: Limits = field(default_factory=Limits)
    verify: Literal["auto", "always", "never"] = "auto"

    def __post_init__(self) -> None:
        self._nodes = nodes = Nodes(self.toolbox, self.model, self.limits, self.verify)
        graph = StateGraph(State)
        for node in (nodes.begin, nodes.think, nodes.act, nodes.finish, nodes.verify, nodes.close):
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "begin")
        graph.add_edge("begin", "think")
        graph.add_conditional_edges("think", nodes.after_think, ["act", "finish"])
        graph.add_edge("act", "think")
        graph.add_conditional_edges("finish", nodes.after_finish, ["think", "verify", "close"])
        graph.add_conditional_edges("verify", nodes.after_verify, ["think", "close"])
        graph.add_edge("close", END)
        self.graph = graph.compile(checkpointer=self.saver)

    # --- running --------------------------------------------------------------------------------------------------

    def ask(
        self,
        thread: str,
        question: str,
        options: Sequence[str],
        turn: int,
        emit: Emit,
        cancel: threading.Event | None = None,
        form: dict[str, Any] | None = None,
    ) -> State:
        """Run a new question of a conversation (`thread`); setting `cancel` stops it; `form` is a JSON Schema for the answer.

        An interrupted question of the conversation is dropped.
        """
        fresh: State = {
            "question": question,
            "options": list(options),
            "form": form,
            "messages": [],
            "calls": [],
            "results": [],
            "verdict": None,
            "doubted": None,
            "stopped": None,
            "prompt_cut": False,
            "turn": turn,
            "step": 0,
            "sent_back": 0,
            "gaps_told": False,
            "chosen": None,
            "drafted": [],
            "usage": Usage().to_row(),
            "call_usd": 0.0,
            "analyzer_ms": 0,
        }
        return self._run(thread, fresh, emit, cancel)

    def resume(self, thread: str, emit: Emit, cancel: threading.Event | None = None) -> State:
        """Resume the interrupted question from its last checkpoint."""
        return self._run(thread, None, emit, cancel)

    def interrupted(self, thread: str) -> State | None:
        """Return the state of an interrupted question, or None."""
        snapshot = self.graph.get_state(_config(thread, self.limits))
        return snapshot.values if snapshot.next else None  # type: ignore[return-value]

    def forget(self, thread: str) -> None:
        """Delete the checkpoints of a thread."""
        self.saver.delete_thread(thread)

    def _run(self, thread: str, start: State | None, emit: Emit, cancel: threading.Event | None) -> State:
        self._nodes.emit, self._nodes.cancel = emit, cancel or threading.Event()
        with self.toolbox.store.connections.explained(), tracing_disabled():  # the checkpointer writes to the same file
            try:
                return cast(State, self.graph.invoke(start, _config(thread, self.limits), durability="sync"))
            finally:
                try:
                    prune(self.saver, thread)
                except sqlite3.Error:
                    log.warning("the old checkpoints of %r stay", thread, exc_info=True)


def _config(thread: str, limits: Limits) -> RunnableConfig:
    # The limit of LangGraph must not be reached before ours: two nodes a step, plus answers sent back and verified.
    return {"configurable": {"thread_id": thread}, "recursion_limit": 2 * limits.steps + 11}
