"""What the tests of the graph share: conversations over fakes, with a scripted model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analyzer_agent.answers import build_answer
from analyzer_agent.graph import Agent, Limits, State, open_saver, outcome_of
from analyzer_agent.protocols import Reply
from analyzer_agent.records import Answer, ToolCall
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, ScriptedModel, call, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox

LOOK = call("find_fake", ranges=[["0:00", "0:10"]])
EVENTS = [(TimeRange(3000, 5000), "It costs forty")]


def says(answer: str = "It costs forty [#1].", notes: Sequence[int] = (1,), **more: Any) -> Reply:
    return Reply(calls=(call("finish", answer=answer, notes=list(notes), confidence="high", **({"found": True} | more)),))


def calls(*wanted: ToolCall, **more: Any) -> Reply:
    return Reply(calls=wanted, **more)


class Watched(FakeAnalyzer):
    """Runs `then` before each grain."""

    def __init__(self, then: Callable[[], object], events: Sequence[tuple[TimeRange, str]] = EVENTS) -> None:
        super().__init__(events)
        self.then = then

    def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
        for grain in grains:
            self.then()
            yield from super().analyze(video, [grain])


@dataclass
class Talk:
    """A conversation over fakes."""

    toolbox: Toolbox
    agent: Agent
    model: ScriptedModel
    events: list[Any] = field(default_factory=list)
    asked: int = 0

    def ask(self, question: str = "How much?", *options: str) -> Answer:
        self.asked += 1
        return self.finish(self.agent.ask("t", question, options, self.asked, self.events.append))

    def finish(self, state: State) -> Answer:
        return build_answer(outcome_of(state), self.toolbox, self.model, "t", 0)

    def sent(self, at: int) -> list[Mapping[str, Any]]:
        return self.model.requests[at][0]

    def offered(self, at: int) -> list[str]:
        return [tool["function"]["name"] for tool in self.model.requests[at][1]]


Make = Callable[..., Talk]


@contextmanager
def talking(folder: Path) -> Iterator[Make]:
    """Give a function that makes conversations over one store, from the replies of a scripted model."""
    with ExitStack() as stack:
        store = stack.enter_context(Store(folder / "store.db"))
        saver = stack.enter_context(open_saver(str(folder / "store.db")))

        def make(
            *replies: Any,
            tools: Sequence[Tool] = (),
            limits: Limits | None = None,
            videos: Sequence[FakeVideo] = (),
            scope: TimeRange | None = None,
            verify: Any = "never",
            **more: Any,
        ) -> Talk:
            films, limits = videos or [FakeVideo()], limits or Limits()
            for film in films:
                store.notes.add_video(film.id, film.name, str(film.path), film.duration)
            ready = tools or [Tool(fake_spec(FakeAnalyzer(EVENTS)))]
            session_videos = [SessionVideo(film.name, film, scope or TimeRange(0, film.duration)) for film in films]
            toolbox = Toolbox(store, session_videos, {tool.spec.name: tool for tool in ready}, **more)
            model = ScriptedModel(*replies)
            return Talk(toolbox, Agent(toolbox, model, saver, limits, verify), model)

        yield make
