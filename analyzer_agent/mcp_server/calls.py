"""Calls of tools: look-ups at once, all else as jobs, for which a call waits a while before it hands over to the job."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from analyzer_agent.errors import AgentError, Cancelled, ToolRefusal
from analyzer_agent.events import TextDelta, Writing
from analyzer_agent.fencing import fenced
from analyzer_agent.mcp_server import tool_list
from analyzer_agent.mcp_server.tool_list import ToolList
from analyzer_agent.records import FEW_VIDEOS, Answer, ToolResult
from analyzer_agent.sanitize import encodable_json
from analyzer_agent.service import Job, JobState
from analyzer_agent.session import frame_pictures
from analyzer_agent.toolbox.schemas import closest, decode
from analyzer_agent.web.context import WebContext
from analyzer_agent.wording import answer_lines

WAIT_S = 45.0
"""Seconds that a call waits for its job: clients cut calls at 60."""

Report = Callable[[float, str], Awaitable[None]]
"""Tells the client how far a call is: a number that grows, and a line of text."""


class Calls:
    """Runs the tools.

    Args:
        context: the jobs, which run what takes long, and the library, which reads the store.
        tools: the tools.
        wait_s: seconds that a call waits for its job.
    """

    def __init__(self, context: WebContext, tools: ToolList, wait_s: float = WAIT_S) -> None:
        self._context, self._tools, self._wait_s = context, tools, wait_s
        self._jobs, self._library = context.jobs, context.library
        self._pictures = frame_pictures()

    async def run(self, name: str, arguments: Mapping[str, Any], report: Report) -> CallToolResult:
        """Run a tool; what a person or the model can mend comes back as an error result."""
        try:
            return await self._run(name, arguments, report)
        except ToolRefusal as refusal:
            return _result(f"Refused: {refusal}", error=True)
        except AgentError as error:
            return _result(f"{error} {error.hint}".strip(), error=True)
        except Cancelled:
            return _result("The call was stopped; what was analyzed is stored.", error=True)

    async def _run(self, name: str, arguments: Mapping[str, Any], report: Report) -> CallToolResult:
        if name in self._tools.look_ups:
            return await asyncio.to_thread(self._look_up, name, arguments)
        if name in self._tools.analyzers:
            return await self._waited(await asyncio.to_thread(self._started, name, arguments), report)
        schema = self._tools.schema(name)
        if name in self._tools.missing:
            raise ToolRefusal(f"{name} cannot run here: {self._tools.missing[name]}")
        if schema is None:
            raise ToolRefusal(f"{name!r} is not a tool{closest(name, self._tools.names())}")
        given = decode(json.dumps(dict(arguments)), schema["properties"], schema["required"])
        match name:
            case tool_list.ASK:
                return await self._waited(await asyncio.to_thread(self._started, name, given), report)
            case tool_list.START:
                return _told(await asyncio.to_thread(self._started, given["tool"], given["arguments"]))
            case tool_list.RESULT:
                return await self._waited(self._jobs.get(given["job"]), report)
            case tool_list.CANCEL:
                job = self._jobs.get(given["job"])
                job.cancel()
                return _told(job)
            case tool_list.STATUS:
                jobs = [self._jobs.get(given["job"])] if "job" in given else self._jobs.all()
                return _told(jobs[0]) if "job" in given else _result("\n".join(map(_line, jobs)) or "There are no jobs.")
            case tool_list.SEARCH:
                found = await asyncio.to_thread(self._library.search, given["words"], given.get("limit", 3))
                return _result(fenced(encodable_json(found)))
            case tool_list.TIMELINE:
                return await asyncio.to_thread(self._timeline, given["video"])
        return _result(await asyncio.to_thread(self._listed))

    # --- at once

    def _listed(self) -> str:
        listed = fenced(encodable_json({"videos": self._library.videos(), "conversations": self._library.sessions()}))
        cannot = [f"{tool} cannot run here: {why}" for tool, why in self._tools.missing.items()]
        return "\n".join([listed, *cannot])

    def _look_up(self, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
        video, rest = _split(arguments)
        with self._jobs.opened([video]) as session:
            result = session.call(name, rest)
            pictures: list[ContentBlock] = []
            shown = {one.video.id: one.video for one in session.session_videos}
            for picture in result.pictures:
                if part := self._pictures.part(shown[picture.video], picture.times, picture.region):
                    head, _, data = str(part["image_url"]["url"]).partition(",")
                    kind = head.removeprefix("data:").partition(";")[0]
                    pictures += [TextContent(type="text", text=picture.label), ImageContent(type="image", data=data, mime_type=kind)]
        return _of_a_tool(result, pictures)

    def _timeline(self, video: str) -> CallToolResult:
        path = self._library.folders.locate(video)
        return _result(f"The timeline of {self._library.folders.shown(path)!r} is shown to the user, if this client shows apps.")

    # --- as jobs

    def _started(self, name: str, arguments: Mapping[str, Any]) -> Job:
        if name in self._tools.analyzers:
            video, rest = _split(arguments)
            return self._jobs.call(name, rest, [video])
        schema = self._tools.own[tool_list.ASK]["function"]["parameters"]
        given = decode(json.dumps(dict(arguments)), schema["properties"], schema["required"])
        videos, session = given.get("videos", ()), given.get("session")
        if not videos and not session and len(names := self._library.names()) > FEW_VIDEOS:
            videos = names
        return self._context.start(given["question"], videos, given.get("session"), given.get("options", ()))

    async def _waited(self, job: Job, report: Report) -> CallToolResult:
        """Return the result of a job, or what it is doing if it takes longer than a call may."""
        until, seen = time.monotonic() + self._wait_s, 0
        while not job.ended and (left := until - time.monotonic()) > 0:
            for event in job.events(seen):
                seen = event.number + 1
                if not isinstance(event.event, TextDelta | Writing):
                    await report(seen, event.text)
            try:
                await asyncio.wait_for(job.changed(seen), left)
            except TimeoutError:
                break
        return _told(job)


def _split(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the video of a call, and the arguments for the toolbox.

    Raises:
        ToolRefusal: no video is named.
    """
    video = arguments.get("video")
    if not isinstance(video, str):
        raise ToolRefusal(f"Missing argument 'video': a name from {tool_list.LIST}.")
    return video, {name: value for name, value in arguments.items() if name != "video"}


def _told(job: Job) -> CallToolResult:
    """Return the result of a job, or how far it is."""
    meta = {"job": job.id, "state": job.state.value} | ({} if job.tool else {"session": job.session})
    if job.answer is not None:
        return _result(_answer(job.answer), meta=meta)
    if job.result is not None:
        return _of_a_tool(job.result, meta=meta)
    if job.state is JobState.FAILED:
        return _result(f"{_line(job)} {job.error.hint if job.error else ''}".strip(), error=True, meta=meta)
    return _result(_line(job) + ("" if job.ended else f". Call {tool_list.RESULT} with job={job.id!r} to wait for it."), meta=meta)


def _line(job: Job) -> str:
    """Return a line that tells how far a job is."""
    what = job.tool or tool_list.ASK
    told = [event.text for event in job.events() if not isinstance(event.event, TextDelta | Writing)]
    last = f": {fenced(told[-1])}" if told and not job.ended else f": {job.error}" if job.error else ""
    return f"Job {job.id} ({what}) {job.state.value}{last}"


def _answer(answer: Answer) -> str:
    """Return an answer with its evidence as data, and what is to be known about it."""
    lines = list(answer_lines(answer, full=True))
    evidence = ("answer", "choice", "citation")
    data = "\n".join(line for role, line in lines if role in evidence)
    rest = [line.strip() for role, line in lines if role not in evidence]
    return "\n".join([fenced(data), *rest, f"Session: {answer.session}"])


def _of_a_tool(result: ToolResult, pictures: Sequence[ContentBlock] = (), meta: dict[str, Any] | None = None) -> CallToolResult:
    content: list[ContentBlock] = [TextContent(type="text", text=result.text), *pictures]
    return CallToolResult(content=content, is_error=result.refused, _meta=meta)


def _result(text: str, error: bool = False, meta: dict[str, Any] | None = None) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=error, _meta=meta)
