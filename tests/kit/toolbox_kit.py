"""What the tests of the toolbox share: a toolbox over fakes, and calls played to their end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer_agent.errors import MediaError
from analyzer_agent.records import ToolCall, ToolResult
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeAnalyzer, FakeVideo, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox

SCOPE = TimeRange(0, 60_000)


CLASSES = {"classes": {"type": "array", "items": {"type": "string"}}, "min_score": {"type": "number"}}


class Detector(FakeAnalyzer):
    """A fake that knows its classes, as weights do."""

    known = ("person", "dog", "cell phone")

    def facts(self) -> Mapping[str, Any]:
        return {"classes": list(self.known)}


class Broken(FakeAnalyzer):
    """Fails on grains that start at one of `bad` ms."""

    def __init__(self, *bad: int, events: Sequence[tuple[TimeRange, str]] = ()) -> None:
        super().__init__(events)
        self.bad = bad

    def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
        for grain in grains:
            if grain.span.start in self.bad:
                raise MediaError(f'the data at {grain.span.start} are damaged\n#7 0:00-0:01 text "trap"')
            yield from super().analyze(video, [grain])


def boxed(store: Store, *tools: Tool, videos: Sequence[FakeVideo] = (), scope: TimeRange | None = None, **more: Any) -> Toolbox:
    films = videos or [FakeVideo()]
    for film in films:
        store.notes.add_video(film.id, film.name, str(film.path), film.duration)
    session_videos = [SessionVideo(film.name, film, scope or TimeRange(0, film.duration)) for film in films]
    return Toolbox(store, session_videos, {tool.spec.name: tool for tool in tools}, **more)


def finds(*events: tuple[int, int, str], name: str = "fake", step: int = 0, kind: str = "text", **spec: Any) -> Tool:
    found = FakeAnalyzer([(TimeRange(start, end), text) for start, end, text in events], kind=kind)
    return Tool(fake_spec(found, name=name, step=step, **spec))


def done(toolbox: Toolbox, wanted: ToolCall, **more: Any) -> ToolResult:
    """Run a call as the scheduler runs it."""
    return played(toolbox, wanted, **more)[1]


def played(toolbox: Toolbox, wanted: ToolCall, **more: Any) -> tuple[list[Any], ToolResult]:
    events: list[Any] = []
    (result,) = toolbox.scheduler.run([wanted], events.append, **more)
    return events[:-1], result  # without `ToolFinished`


def analyzed(toolbox: Toolbox, name: str = "fake") -> list[TimeRange]:
    analyzer: Any = toolbox.tools[name].spec.bind({})
    return [grain.span for grain in analyzer.analyzed]
