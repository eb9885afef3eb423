"""The agent as a LangGraph state graph: think, act, think, ..., finish; checkpointed after every step.

Knows how a question proceeds, and nothing of analyzers, stores or models beyond the toolbox and the model protocol.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langsmith import tracing_context

from analyzer_agent.errors import Cancelled
from analyzer_agent.events import Event, TextDelta, Thinking, ToolFinished
from analyzer_agent.prompts import render
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import ToolCall, ToolResult, Unexamined
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Toolbox
from analyzer_agent.toolbox.finishing import Verdict, check, finish_of

HISTORY_TURNS = 8
"""How many earlier questions and answers the model is shown; older ones come back through the notes."""

_SEND_BACK_LIMIT = 1


@dataclass(frozen=True)
class Limits:
    """What one question may cost; None means no limit."""

    steps: int = 12
    analyzer_ms: int | None = None
    tokens: int | None = None


class State(TypedDict, total=False):
    """What is checkpointed: plain JSON-able data only. `history` and `shown` last as long as the session."""

    question: str
    options: list[str]
    messages: list[dict[str, Any]]
    step: int
    calls: list[dict[str, Any]]
    results: list[dict[str, Any]]
    sent_back: int
    llm_calls: int
    input_tokens: int
    output_tokens: int
    analyzer_ms: int
    verdict: dict[str, Any]
    history: list[dict[str, str]]
    shown: list[int]
    turn: int


@dataclass
class Agent:
    """Runs questions over one toolbox with one model.

    Args:
        toolbox: the tools.
        model: the manager.
        brief: gives the system prompt, anew for each step, from the state's budget.
        saver: where each step is checkpointed.
    """

    toolbox: Toolbox
    model: ChatModel
    brief: Callable[[State], str]
    saver: SqliteSaver
    limits: Limits = field(default_factory=Limits)
    stream_text: bool = True
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        graph = StateGraph(State)
        graph.add_node("think", self._think)
        graph.add_node("act", self._act)
        graph.add_node("finish", self._finish)
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", self._after_think, ["act", "finish"])
        graph.add_edge("act", "think")
        graph.add_conditional_edges("finish", lambda state: END if state.get("verdict") else "think", [END, "think"])
        self.graph = graph.compile(checkpointer=self.saver)

    # --- running --------------------------------------------------------------------------------------------------

    def ask(self, thread: str, question: str, options: Sequence[str], turn: int) -> Generator[Event, None, State]:
        """Run a new question in a thread; calls that a crash left open in it are closed."""
        fresh: State = {
            "question": question,
            "options": list(options),
            "messages": [{"role": "user", "content": _posed(question, options)}],
            "calls": [],
            "results": [],
            "verdict": {},
            "turn": turn,
        }
        zeros = dict.fromkeys(("step", "sent_back", "llm_calls", "input_tokens", "output_tokens", "analyzer_ms"), 0)
        return self._run(thread, {**fresh, **zeros})

    def resume(self, thread: str) -> Generator[Event, None, State]:
        """Go on with the question that was interrupted, from its last finished step."""
        return self._run(thread, None)

    def interrupted(self, thread: str) -> State | None:
        """Return the state of an unfinished question, or None."""
        snapshot = self.graph.get_state(_config(thread, self.limits))
        return snapshot.values if snapshot.next else None  # type: ignore[return-value]

    def _run(self, thread: str, start: Mapping[str, Any] | None) -> Generator[Event, None, State]:
        self.cancel.clear()
        config = _config(thread, self.limits)
        # Whatever the environment says, what is asked about a private video goes to no tracing service.
        with tracing_context(enabled=False):
            yield from self.graph.stream(start, config, stream_mode="custom", durability="sync")  # type: ignore[call-overload]
            final: State = self.graph.get_state(config).values  # type: ignore[assignment]
        prune(self.saver, thread)
        return final

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _think(self, state: State) -> dict[str, Any]:
        write = get_stream_writer()
        step = state["step"] + 1
        write(Thinking(step, self.limits.steps))
        spent = self._spent(state, step)
        messages = [{"role": "system", "content": self.brief(state)}, *_history(state), *state["messages"]]
        tools = self.toolbox.schemas(state["options"])
        if spent:
            messages.append({"role": "user", "content": render("out_of_steps", why=spent)})
            tools = tools[-1:]
        on_text = (lambda text: write(TextDelta(text))) if self.stream_text else None
        reply = self.model.complete(messages, tools, on_text, None, self.cancel)
        said: dict[str, Any] = {"role": "assistant", "content": reply.text}
        if reply.calls:
            said["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in reply.calls
            ]
        if reply.state is not None:
            said["state"] = reply.state
        return {
            "step": step,
            "messages": [*state["messages"], said],
            "calls": [asdict(c) for c in reply.calls],
            "llm_calls": state["llm_calls"] + 1,
            "input_tokens": state["input_tokens"] + reply.usage.input_tokens,
            "output_tokens": state["output_tokens"] + reply.usage.output_tokens,
        }

    def _spent(self, state: State, step: int) -> str:
        """Return why the model must finish now, or nothing."""
        limits = self.limits
        if step >= limits.steps:
            return f"This is the last of {limits.steps} steps."
        if limits.analyzer_ms is not None and state["analyzer_ms"] >= limits.analyzer_ms:
            return f"The budget of {limits.analyzer_ms / 1000:g} analyzer seconds is spent."
        used = state["input_tokens"] + state["output_tokens"]
        if limits.tokens is not None and used >= limits.tokens:
            return f"The budget of {limits.tokens} tokens is spent."
        return ""

    def _after_think(self, state: State) -> str:
        calls = state["calls"]
        looks = [c for c in calls if c["name"] != "finish"]
        return "act" if looks and not self._spent(state, state["step"]) else "finish"

    def _act(self, state: State) -> dict[str, Any]:
        write = get_stream_writer()
        calls = [ToolCall(**c) for c in state["calls"]]
        budget = None if self.limits.analyzer_ms is None else max(0, self.limits.analyzer_ms - state["analyzer_ms"])
        results = {result.call_id: result for result in run_calls(self.toolbox, calls, write, budget, self.cancel)}
        answers = [_tool_message(c.id, results[c.id].text if c.id in results else _FINISH_ALONE) for c in calls]
        shown = set(state.get("shown", [])).union(*(r.note_ids for r in results.values()))
        return {
            "messages": [*state["messages"], *answers],
            "calls": [],
            "results": state["results"] + [asdict(r) for r in results.values()],
            "shown": sorted(shown),
            "analyzer_ms": state["analyzer_ms"] + sum(r.wall_ms for r in results.values() if r.analyzed_ms),
        }

    def _finish(self, state: State) -> dict[str, Any]:
        spent = self._spent(state, state["step"])
        draft = finish_of(state["calls"], state["messages"][-1]["content"], state["options"])
        verdict = check(draft, set(state.get("shown", [])), looked=bool(state["results"]) or bool(state.get("shown")))
        if verdict.problem and state["sent_back"] < _SEND_BACK_LIMIT and not spent:
            complaint = render("look_first") if verdict.unseen else render("not_cited", why=verdict.problem)
            ids = [c["id"] for c in state["calls"]]
            back = [_tool_message(i, complaint) for i in ids] or [{"role": "user", "content": complaint}]
            return {"messages": [*state["messages"], *back], "calls": [], "sent_back": state["sent_back"] + 1}
        told = {"question": state["question"], "answer": verdict.text}
        return {"verdict": asdict(verdict) | {"spent": spent}, "history": [*state.get("history", []), told][-HISTORY_TURNS:], "calls": []}


_FINISH_ALONE = "Not accepted: call finish alone, after you have read the results of the other calls."


def run_calls(
    toolbox: Toolbox, calls: Sequence[ToolCall], write: Callable[[Event], None], budget_ms: int | None, cancel: threading.Event
) -> Iterator[ToolResult]:
    """Run the calls of one turn side by side where they use different resources; yields results in the order of the calls.

    Raises:
        AgentError, Cancelled: from the first call that raised one; what the others finished is kept.
    """
    lines: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    results: dict[str, ToolResult] = {}

    def work(group: Sequence[ToolCall]) -> None:
        try:
            for one in group:
                running = toolbox.run(one, budget_ms=budget_ms, cancel=cancel)
                while True:
                    try:
                        lines.put(next(running))
                    except StopIteration as end:
                        results[one.id] = end.value
                        lines.put(ToolFinished(end.value))
                        break
        except BaseException as error:
            lines.put(error)
        else:
            lines.put(None)

    looks = [c for c in calls if c.name != "finish"]
    groups: dict[str, list[ToolCall]] = {}
    for one in looks:
        groups.setdefault(toolbox.resource(one), []).append(one)
    for group in groups.values():
        threading.Thread(target=work, args=(group,), daemon=True).start()
    failed: BaseException | None = None
    for _ in groups:
        while (line := lines.get()) is not None:
            if isinstance(line, BaseException):
                failed = failed or line
                cancel.set()
                break
            write(line)
    if failed is not None:
        raise failed
    if cancel.is_set():
        raise Cancelled
    yield from (results[one.id] for one in looks)


@contextmanager
def open_saver(path: str) -> Iterator[SqliteSaver]:
    """Open the checkpointer in the store's file, on a connection of its own."""
    connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
    try:
        saver = SqliteSaver(connection)
        saver.setup()
        yield saver
    finally:
        connection.close()


def prune(saver: SqliteSaver, thread: str) -> None:
    """Keep only the newest checkpoint of a thread: they hold the whole state each, so together they grow quadratically."""
    newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
    with saver.cursor() as cursor:
        for table in ("checkpoints", "writes"):
            cursor.execute(f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ({newest})", (thread, thread))


def results_of(state: State) -> list[ToolResult]:
    """Return the tool results of a state as records."""
    return [_result(r) for r in state.get("results", [])]


def _result(row: Mapping[str, Any]) -> ToolResult:
    span = TimeRange(**row["span"]) if row["span"] else None
    left = tuple(Unexamined(**{**u, "span": TimeRange(**u["span"])}) for u in row["not_examined"])
    return ToolResult(**{**row, "span": span, "not_examined": left, "note_ids": tuple(row["note_ids"])})


def verdict_of(state: State) -> Verdict:
    """Return the checked answer of a finished state."""
    return Verdict(**{k: v for k, v in state["verdict"].items() if k != "spent"})


def _config(thread: str, limits: Limits) -> RunnableConfig:
    # Our own step limit is the one to speak, so LangGraph's lies well above: two nodes a step, plus answers sent back.
    return {"configurable": {"thread_id": thread}, "recursion_limit": 2 * limits.steps + 10}


def _posed(question: str, options: Sequence[str]) -> str:
    if not options:
        return question
    return render("choices", question=question, options="\n".join(f"{chr(65 + n)}. {text}" for n, text in enumerate(options)))


def _history(state: State) -> list[dict[str, Any]]:
    turns = state.get("history", [])
    return [m for t in turns for m in ({"role": "user", "content": t["question"]}, {"role": "assistant", "content": t["answer"]})]


def _tool_message(call_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}
