"""`/v1/chat/completions` as OpenAI has it, so that any chat program can ask: the model is `analyzer-agent`.

A chat program knows no videos, so the name of the model chooses them: `analyzer-agent` means all
videos of the named folders, `analyzer-agent/talk.mp4` one; the field `videos` names some.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from analyzer_agent.errors import AgentError
from analyzer_agent.events import Answered, TextDelta, Writing
from analyzer_agent.records import Usage
from analyzer_agent.service import Busy, Job, NotFound
from analyzer_agent.web.bodies import json_object, text_of, texts_of
from analyzer_agent.web.context import AsciiResponse, WebContext, context_of

MODEL = "analyzer-agent"
_MOST_VIDEOS = 50
_POLL_S = 5.0
"""Seconds after which a waiting request looks whether its client is still there."""


async def models(request: Request) -> AsciiResponse:
    """List the models: all videos together, and each alone."""
    videos = await run_in_threadpool(context_of(request).library.names)
    names = [MODEL, *(f"{MODEL}/{video}" for video in videos)]
    return AsciiResponse({"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": MODEL} for name in names]})


async def complete(request: Request) -> Response:
    """Answer the last message of a chat, whole or as a stream of pieces."""
    context, given = context_of(request), await json_object(request)
    messages = _messages(given.get("messages"))
    videos = await run_in_threadpool(_videos, context, text_of(given, "model", MODEL), texts_of(given, "videos"))
    earlier, question = messages[:-1], messages[-1]["content"]
    session = context.seen.session_of(earlier, videos)
    asked = question if session or not _said(earlier) else f"{_said(earlier)}\n\n{question}"
    job = await run_in_threadpool(context.start, asked, videos, session, (), _effort(given))
    if given.get("stream"):
        options = given.get("stream_options")
        counted = isinstance(options, Mapping) and bool(options.get("include_usage"))
        pieces = _streamed(context, job, messages, videos, counted)
        return StreamingResponse(pieces, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
    while not job.ended and not context.jobs.closed:
        try:
            await asyncio.wait_for(job.changed(1 << 31), _POLL_S)
        except TimeoutError:
            if await request.is_disconnected():
                job.cancel()
    _check(job)
    content = _content(context, job, messages, videos)
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return AsciiResponse(_head(job, "chat.completion") | {"choices": [choice], "usage": _usage(job.usage), MODEL: _more(job)})


async def _streamed(
    context: WebContext, job: Job, messages: Sequence[Mapping[str, str]], videos: Sequence[str], counted: bool
) -> AsyncIterator[str]:
    """Yield the steps as reasoning, then the answer: drafts are not told, since they cannot be taken back."""
    try:
        yield _piece(job, {"role": "assistant", "content": ""})
        seen = 0
        while True:
            ended = job.ended
            for event in job.events(seen):
                seen = event.number + 1
                if not isinstance(event.event, TextDelta | Writing | Answered):
                    yield _piece(job, {"reasoning_content": f"{event.text}\n"})
            if ended or context.jobs.closed:
                break
            try:
                await asyncio.wait_for(job.changed(seen), _POLL_S)
            except TimeoutError:
                yield ": still there\n\n"
        if job.answer is None:
            error = str(job.error) if job.error else "The question was stopped."
            yield f"data: {json.dumps({'error': {'message': error, 'type': 'server_error', 'param': None, 'code': None}})}\n\n"
            return
        for line in _content(context, job, messages, videos).splitlines(keepends=True):
            yield _piece(job, {"content": line})
        yield _piece(job, {}, "stop", **{MODEL: _more(job)})
        if counted:
            yield f"data: {json.dumps(_head(job, 'chat.completion.chunk') | {'choices': [], 'usage': _usage(job.usage)})}\n\n"
        yield "data: [DONE]\n\n"
    finally:
        job.cancel()  # the client has gone; nothing happens to a job that has ended


def _messages(given: Any) -> list[dict[str, str]]:
    """Return the messages as role and text.

    Raises:
        AgentError: there is no question at the end.
    """
    messages = []
    for message in given if isinstance(given, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, list):
            content = "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
        if isinstance(content, str) and message.get("role") in ("user", "assistant", "system", "developer"):
            messages.append({"role": str(message["role"]), "content": content})
    if not messages or messages[-1]["role"] != "user":
        raise AgentError("The last message is not from the user.", hint="'messages' must end with a question.")
    return messages


def _said(messages: Sequence[Mapping[str, str]]) -> str:
    """Return a conversation that this server does not know, as text before its next question."""
    return "\n".join(f"{one['role']}: {one['content']}" for one in messages if one["role"] in ("user", "assistant"))


def _videos(context: WebContext, model: str, named: Sequence[str]) -> list[str]:
    if named:
        return list(named)
    kind, _, name = model.partition("/")
    if kind != MODEL:
        raise NotFound(f"There is no model {model!r}.", hint=f"GET /v1/models lists them: {MODEL}, and {MODEL}/NAME for one video.")
    if name:
        return [name]
    shown = context.library.names()
    if not 1 <= len(shown) <= _MOST_VIDEOS:
        raise AgentError(
            f"There are {len(shown)} videos in the named folders.", hint=f"Name one, as model {MODEL}/NAME, or some in 'videos'."
        )
    return shown


_EFFORTS = {"none": "quick", "minimal": "quick", "low": "quick", "medium": "normal", "high": "deep", "xhigh": "deep"}


def _effort(given: Mapping[str, Any]) -> str | None:
    """Return the effort that OpenAI's word for it means, None if it is not given."""
    named = given.get("reasoning_effort")
    return None if named is None else _EFFORTS.get(str(named), str(named))


def _content(context: WebContext, job: Job, messages: Sequence[Mapping[str, str]], videos: Sequence[str]) -> str:
    """Return the answer with its evidence as text, and remember the conversation by it."""
    content = str(job.answer)
    context.seen.remember([*messages, {"role": "assistant", "content": content}], videos, job.session)
    return content


def _check(job: Job) -> None:
    if job.answer is None:
        raise job.error or Busy("The question was stopped.")


def _head(job: Job, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{job.id}", "object": kind, "created": int(time.time()), "model": MODEL}


def _piece(job: Job, delta: Mapping[str, str], finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps(_head(job, 'chat.completion.chunk') | {'choices': [choice]} | more)}\n\n"


def _usage(usage: Usage) -> dict[str, int]:
    prompt, out = usage.input_tokens + usage.vision_tokens, usage.output_tokens
    return {"prompt_tokens": prompt, "completion_tokens": out, "total_tokens": prompt + out}


def _more(job: Job) -> dict[str, Any]:
    """Return what OpenAI has no field for: the answer with its citations, and where it goes on."""
    return {"session": job.session, "job": job.id, "answer": job.answer.to_dict() if job.answer else None}


ROUTES = [Route("/v1/models", models), Route("/v1/chat/completions", complete, methods=["POST"])]
