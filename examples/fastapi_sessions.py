"""Many conversations in one service: one store for their notes, one pool of engines, a session for each conversation.

    pip install fastapi uvicorn
    uvicorn --factory fastapi_sessions:create_app

    curl -G localhost:8000/ask/anna --data-urlencode "question=Why does the ferry use another pier?"
    curl -G localhost:8000/ask/ben --data-urlencode "question=Which animal is resting there?"

Questions of different conversations are answered at the same time; those of one wait for each
other. What one analyzes, none analyzes again, since notes and coverage are in the store.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from analyzer_agent import AgentError, Answer, EnginePool, Session, Settings
from analyzer_agent.sample import sample_path


class Sessions:
    """Open sessions by conversation.

    Beyond `most`, the least recently used ones without a question are closed; their conversations stay in the store.
    """

    def __init__(self, video: Path, settings: Settings, most: int = 32) -> None:
        self._video, self._settings, self._most = video, settings, most
        self._pool = EnginePool()
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._asked: Counter[str] = Counter()
        self._opening = asyncio.Lock()

    async def ask(self, name: str, question: str) -> Answer:
        """Answer a question of a conversation; a known name resumes it."""
        self._asked[name] += 1
        try:
            return await (await self._of(name)).aask(question)
        finally:
            self._asked[name] -= 1

    async def _of(self, name: str) -> Session:
        async with self._opening:
            if name not in self._open:
                self._open[name] = await asyncio.to_thread(Session, self._video, name=name, settings=self._settings, pool=self._pool)
            self._open.move_to_end(name)
            idle = [other for other in self._open if not self._asked[other]]
            for other in idle[: max(0, len(self._open) - self._most)]:
                del self._asked[other]
                await asyncio.to_thread(self._open.pop(other).close)
            return self._open[name]

    def close(self) -> None:
        """Close all sessions, then the engines that they share."""
        for session in self._open.values():
            session.close()
        self._pool.close()


def create_app(video: Path | None = None, settings: Settings | None = None) -> FastAPI:
    """Return an app that holds conversations about a video, by default the sample clip."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.sessions = Sessions(video or sample_path(), settings or Settings.load())
        try:
            yield
        finally:
            await asyncio.to_thread(app.state.sessions.close)

    app = FastAPI(lifespan=lifespan)

    @app.exception_handler(AgentError)
    async def told(request: Request, error: AgentError) -> JSONResponse:
        return JSONResponse({"error": str(error), "hint": error.hint}, status_code=400)

    @app.get("/ask/{conversation}")
    async def ask(conversation: str, question: str) -> dict[str, Any]:
        answer: Answer = await app.state.sessions.ask(conversation, question)
        return answer.to_dict()

    return app
