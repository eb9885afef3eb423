"""Answer questions about a video over HTTP, as JSON or with progress as server-sent events.

    pip install fastapi uvicorn
    uvicorn --factory fastapi_app:create_app

    curl -G localhost:8000/ask --data-urlencode "question=Why does the ferry use another pier?"
    curl -N -G localhost:8000/stream --data-urlencode "question=Which animal is resting there?"

All requests share one session, which answers one question at a time. A question stops when its
client disconnects.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from analyzer_agent import AgentError, Answer, Session, Settings
from analyzer_agent.events import Answered
from analyzer_agent.sample import sample_path


def create_app(video: str | Path | None = None, settings: Settings | None = None) -> FastAPI:
    """Return an app that answers questions about a video, by default the sample clip."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Session(video or sample_path(), settings=settings or Settings.load()) as session:
            app.state.session = session
            yield

    app = FastAPI(lifespan=lifespan)

    @app.exception_handler(AgentError)
    async def told(request: Request, error: AgentError) -> JSONResponse:
        return JSONResponse({"error": str(error), "hint": error.hint}, status_code=400)

    @app.get("/ask")
    async def ask(question: str) -> dict[str, Any]:
        answer: Answer = await app.state.session.aask(question)
        return answer.to_dict()

    @app.get("/stream")
    async def stream(question: str) -> StreamingResponse:
        return StreamingResponse(_sent(app.state.session, question), media_type="text/event-stream")

    @app.get("/notes")
    def notes(words: str = "") -> list[dict[str, Any]]:
        session: Session = app.state.session
        return [note.to_dict() for note in (session.search(words) if words else session.notes())]

    return app


async def _sent(session: Session, question: str) -> AsyncIterator[str]:
    try:
        async for event in session.astream(question):
            if isinstance(event, Answered):
                yield f"event: answer\ndata: {json.dumps(event.answer.to_dict())}\n\n"
            else:
                yield f"event: progress\ndata: {json.dumps(str(event))}\n\n"
    except AgentError as error:
        yield f"event: error\ndata: {json.dumps({'error': str(error), 'hint': error.hint})}\n\n"
