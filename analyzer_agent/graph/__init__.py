"""The agent as a LangGraph state graph: think, act, think, ..., finish, verify, close.

Every step is checkpointed, so that an interrupted question can be resumed. The steps themselves
are in `nodes`.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from analyzer_agent.events import Emit
from analyzer_agent.graph.checkpoints import open_saver, prune
from analyzer_agent.graph.nodes import Nodes
from analyzer_agent.graph.state import Limits, State, outcome_of
from analyzer_agent.graph.tracing import tracing_disabled
from analyzer_agent.messages import question_message
from analyzer_agent.protocols import ChatModel
from analyzer_agent.toolbox import Toolbox
from analyzer_agent.toolbox.answer_check import NO_ANSWER

__all__ = ["NO_ANSWER", "Agent", "Limits", "State", "open_saver", "outcome_of"]

log = logging.getLogger(__name__)


@dataclass
class Agent:
    """Runs questions over one toolbox with one model.

    Args:
        toolbox: the tools.
        model: the manager.
        brief: returns the system prompt of each step from the state.
        saver: the checkpointer.
        limits: the limits of one question.
        verify: whether a second model call checks the answer; "auto": unless its confidence is high.
        stream_text: whether the model's text is passed on as it arrives.
    """

    toolbox: Toolbox
    model: ChatModel
    brief: Callable[[State], str]
    saver: SqliteSaver
    limits: Limits = field(default_factory=Limits)
    verify: Literal["auto", "always", "never"] = "auto"
    stream_text: bool = True

    def __post_init__(self) -> None:
        self._nodes = nodes = Nodes(self.toolbox, self.model, self.brief, self.limits, self.verify, self.stream_text)
        graph = StateGraph(State)
        for node in (nodes.think, nodes.act, nodes.finish, nodes.verify, nodes.close):
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", nodes.after_think, ["act", "finish"])
        graph.add_edge("act", "think")
        graph.add_conditional_edges("finish", nodes.after_finish, ["think", "verify", "close"])
        graph.add_conditional_edges("verify", nodes.after_verify, ["think", "close"])
        graph.add_edge("close", END)
        self.graph = graph.compile(checkpointer=self.saver)

    # --- running --------------------------------------------------------------------------------------------------

    def ask(
        self, thread: str, question: str, options: Sequence[str], turn: int, emit: Emit, cancel: threading.Event | None = None
    ) -> State:
        """Run a new question of a conversation (`thread`); setting `cancel` stops it.

        An interrupted question of the conversation is dropped.
        """
        fresh: State = {
            "question": question,
            "options": list(options),
            "messages": [{"role": "user", "content": question_message(question, options)}],
            "calls": [],
            "results": [],
            "verdict": None,
            "doubted": None,
            "stopped": None,
            "turn": turn,
            "step": 0,
            "sent_back": 0,
            "llm_calls": 0,
            "input_tokens": 0,
            "output_tokens": 0,
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
    return {"configurable": {"thread_id": thread}, "recursion_limit": 2 * limits.steps + 10}
