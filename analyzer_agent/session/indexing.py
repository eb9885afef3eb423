"""Run analyzers without a question: over whole videos, or a single call."""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer_agent import tools as registry
from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError
from analyzer_agent.events import Emit, Warned
from analyzer_agent.protocols.metering import metering
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.session.assembly import available_tools, frame_pictures
from analyzer_agent.toolbox import Tool, Toolbox
from analyzer_agent.tools.aliases import resolve_name


def chosen_tools(toolbox: Toolbox, names: Sequence[str] | None, settings: Settings) -> list[Tool]:
    """Return the named analyzers; None means all that can run here and need no query.

    Raises:
        AgentError: an analyzer is unknown, cannot run here, or needs a query.
    """
    if names is None:
        return [tool for tool in toolbox.tools.values() if not tool.spec.required]
    wanted = [_tool(toolbox, name, settings) for name in ([names] if isinstance(names, str) else names)]
    for spec in (tool.spec for tool in wanted):
        if needed := [name for name in spec.required if name in spec.options_schema]:
            raise AgentError(
                f"The analyzer {spec.name!r} finds nothing without a {needed[0]} of its own.",
                hint="Leave it out: a language model runs it while it answers a question.",
            )
    return wanted


def run_index(
    toolbox: Toolbox, wanted: Sequence[Tool], every: float | None, limits: Settings, emit: Emit, stop: threading.Event
) -> list[ToolResult]:
    """Run analyzers over the whole scope of all videos, and return the results.

    Args:
        toolbox: runs the calls.
        wanted: the analyzers.
        every: seconds between samples; None means each analyzer's default.
        limits: limits the analyzer time, tokens and money of all calls together.
        emit: receives the events.
        stop: stops the run when set.
    """
    results, calls = list[ToolResult](), list[ToolCall]()
    for tool in wanted:
        for session_video in toolbox.session_videos.values():
            call_id = f"index-{tool.spec.name}-{session_video.name}"
            if reason := session_video.missing_input(tool.spec):
                why = f"{reason}, so {tool.spec.name} has nothing to analyze."
                results.append(ToolResult(call_id, why, tool=tool.spec.tool, args={"video": session_video.name}, refusal=why))
                emit(Warned(why, call_id))
            else:
                calls.append(toolbox.whole_scope_call(tool, session_video, call_id, every))
    with metering(limits.max_tokens, limits.max_cost):
        found = toolbox.scheduler.run(calls, emit, limits.max_analyzer_ms, stop)
    for result in found:
        if result.refused:
            emit(Warned(result.text, result.call_id))
    return [*results, *found]


def _tool(toolbox: Toolbox, name: str, settings: Settings) -> Tool:
    analyzer, engine = resolve_name(name)
    tool = toolbox.tools.get(analyzer)
    if tool is None:
        registry.load(analyzer)  # raises with the reason if a plug-in cannot be loaded
        if why := toolbox.missing.get(analyzer):
            available_tools(settings.changed(tools=(analyzer,)))  # raises with the commands that help, of which models are not told
            raise AgentError(f"The analyzer {analyzer!r} cannot run here.", hint=why)
        only = ", ".join(toolbox.tools)
        raise AgentError(f"--tools leaves out {analyzer!r}: this session has only {only}.", hint="Add it to --tools (the setting `tools`).")
    if engine and tool.engine and tool.engine.name != engine:
        raise AgentError(f"{analyzer} runs with {tool.engine.name} in this session, not with {engine}.", hint="Set `engine` for it.")
    return tool


def run_call(toolbox: Toolbox, tool: str, arguments: Mapping[str, Any], limits: Settings, emit: Emit, stop: threading.Event) -> ToolResult:
    """Run one tool as a model would, and return its result.

    Args:
        toolbox: runs the call.
        tool: the name of the tool.
        arguments: its arguments.
        limits: limits the analyzer time, tokens and money.
        emit: receives the events.
        stop: stops the call when set.
    """
    call = ToolCall(f"call-{tool}", tool, json.dumps(dict(arguments)))
    before = toolbox.pictures
    toolbox.pictures = before or frame_pictures()  # whoever calls sees; the session's own model may not
    try:
        with metering(limits.max_tokens, limits.max_cost):
            return toolbox.scheduler.run([call], emit, limits.max_analyzer_ms, stop)[0]
    finally:
        toolbox.pictures = before
