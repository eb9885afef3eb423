"""Model servers in each form of their API, and questions to the manager without a model over made-up findings."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_agent.answers import build_answer
from analyzer_agent.events import discard
from analyzer_agent.graph import Agent, Limits, open_saver, outcome_of
from analyzer_agent.llm.rules.manager import RulesManager
from analyzer_agent.protocols import Cue
from analyzer_agent.records import Answer
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeVideo
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Toolbox
from openai_server import OpenAIServer
from rules_kit import Said, tool

APIS = ("chat", "responses")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[None, "streamed"])
def on_text(request: pytest.FixtureRequest) -> Any:
    return None if request.param is None else lambda _: None


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Answer]:
    count = itertools.count()

    def asked(question: str, *options: str, duration: int = 60_000, videos: int = 1, steps: int = 30, **events: Said) -> Answer:
        path = tmp_path / f"store{next(count)}.db"
        with Store(path) as store, open_saver(str(path)) as saver:
            sound, cues = np.zeros(16_000, np.float32), [Cue(TimeRange(0, 1), "-")]  # so that tools for them have something to look at
            films = [FakeVideo(duration, video_id=f"film{n}", sound=sound, cues=cues) for n in range(videos)]
            for film in films:
                store.notes.add_video(film.id, film.name, str(film.path), film.duration)
            session_videos = [SessionVideo(film.name, film, TimeRange(0, film.duration)) for film in films]
            toolbox = Toolbox(store, session_videos, {name: tool(name, found, duration) for name, found in events.items()})
            limits, model = Limits(steps), RulesManager()
            agent = Agent(toolbox, model, saver, limits)
            return build_answer(outcome_of(agent.ask("t", question, options, 1, discard)), toolbox, model, "t", 0)

    return asked
