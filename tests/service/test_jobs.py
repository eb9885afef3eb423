"""Jobs: questions run beside each other, keep their events, and can be stopped and gone on with."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError
from analyzer_agent.media import content_id
from analyzer_agent.service import Busy, FolderLibrary, Jobs, JobState, NamedFolders, NotFound
from analyzer_agent.testing import ScriptedModel
from patience import PATIENCE_S, wait_for
from session_kit import SUBTITLES, Held, pier, says

Open = Callable[..., Jobs]


@pytest.fixture
def open_jobs(tmp_path: Path) -> Iterator[Open]:
    pier(tmp_path)
    with ExitStack() as stack:

        def open_(*replies: Any, **more: Any) -> Jobs:
            settings = Settings(store=tmp_path / "s.db", tools=("subtitles",), verify="never")
            return stack.enter_context(Jobs(settings, NamedFolders([tmp_path]), model=ScriptedModel(*replies), **more))

        yield open_


def test_a_job_keeps_its_events_answer_and_cost(open_jobs: Open) -> None:
    jobs = open_jobs(SUBTITLES, says("Forty [#2].", 2))
    job = jobs.start("What does a crate cost?", ["pier.mp4"])
    assert job.wait(PATIENCE_S) and job.state is JobState.ANSWERED
    assert job.answer is not None and job.answer.text.startswith("Forty")
    kinds = [one["event"] for one in (event.to_dict() for event in job.events())]
    assert kinds[0] == "Thinking" and kinds[-1] == "Answered" and "ToolFinished" in kinds
    assert [event.number for event in job.events(2)] == list(range(2, len(kinds)))
    told = job.to_dict()
    assert told["state"] == "answered" and told["videos"] == ["pier.mp4"] and told["answer"]["question"] == job.question
    assert jobs.get(job.id) is job and jobs.all() == [job]


def test_a_question_goes_on_with_a_session_and_its_videos(open_jobs: Open) -> None:
    jobs = open_jobs(SUBTITLES, says("Forty [#2].", 2), says("Pounds [#2].", 2))
    first = jobs.start("What does a crate cost?", ["pier.mp4"])
    assert first.wait(PATIENCE_S)
    second = jobs.start("In what?", session=first.session)
    assert second.wait(PATIENCE_S) and second.videos == ["pier.mp4"]
    assert second.answer is not None and second.answer.text.startswith("Pounds")
    with pytest.raises(NotFound, match="no session 'other'"):
        jobs.start("In what?", session="other")


def test_a_running_job_tells_what_it_costs_and_a_stopped_one_keeps_its_notes(open_jobs: Open) -> None:
    held = Held(says("Forty [#2].", 2))
    jobs = open_jobs(SUBTITLES, held)
    job = jobs.start("What does a crate cost?", ["pier.mp4"])
    assert held.asked.wait(PATIENCE_S)
    wait_for(lambda: job.usage.llm_calls == 1)  # its reader hears of a step a little later than the model
    assert job.to_dict()["state"] == "running" and job.usage.media_ms_analyzed == 2000
    with pytest.raises(Busy, match="answers another question"):
        jobs.start("And?", session=job.session, videos=["pier.mp4"])
    job.cancel()
    held.go.set()
    assert job.wait(PATIENCE_S) and job.state is JobState.STOPPED and job.answer is None
    job.cancel()
    assert job.state is JobState.STOPPED


def test_so_many_run_at_once_and_so_many_wait(open_jobs: Open) -> None:
    held = Held(says("Nothing.", found=False))
    jobs = open_jobs(held, says("Nothing.", found=False), running=1, waiting=1)
    first, second = jobs.start("One?", ["pier.mp4"]), jobs.start("Two?", ["pier.mp4"])
    assert held.asked.wait(PATIENCE_S) and second.to_dict()["state"] == "waiting"
    with pytest.raises(Busy, match="2 questions"):
        jobs.start("Three?", ["pier.mp4"])
    second.cancel()
    held.go.set()
    assert first.wait(PATIENCE_S) and second.wait(PATIENCE_S)
    assert (first.state, second.state) == (JobState.ANSWERED, JobState.STOPPED)


def test_faults_are_told_where_they_are_found(open_jobs: Open, tmp_path: Path) -> None:
    jobs = open_jobs()
    with pytest.raises(AgentError, match="There is no file"):
        jobs.start("What?", ["../other.mp4"])
    with pytest.raises(AgentError, match="at least one video"):
        jobs.start("What?")
    with pytest.raises(NotFound):
        jobs.get("nobody")
    job = jobs.start("???", ["pier.mp4"])
    assert job.wait(PATIENCE_S) and job.state is JobState.FAILED
    assert "no word" in job.to_dict()["error"] and job.to_dict()["hint"]


def test_an_error_of_this_program_is_logged_and_told(open_jobs: Open, caplog: pytest.LogCaptureFixture) -> None:
    job = open_jobs().start("What?", ["pier.mp4"])  # the script is empty, which is an AssertionError
    assert job.wait(PATIENCE_S) and job.state is JobState.FAILED and "by an error of this program" in str(job.error)
    assert "the script ran out" in caplog.text


def test_the_end_stops_all_jobs(open_jobs: Open) -> None:
    held = Held(says("Nothing.", found=False))
    jobs = open_jobs(held)
    job = jobs.start("One?", ["pier.mp4"])
    assert held.asked.wait(PATIENCE_S)
    threading.Timer(0.05, held.go.set).start()
    jobs.close()
    assert job.state is JobState.STOPPED
    with pytest.raises(Busy, match="No more questions"):
        jobs.start("Two?", ["pier.mp4"])


def test_asyncio_readers_come_back_and_read_on(open_jobs: Open) -> None:
    held = Held(says("Forty [#2].", 2))
    jobs = open_jobs(SUBTITLES, held)
    job = jobs.start("What does a crate cost?", ["pier.mp4"])

    async def read(start: int, until: Callable[[int], bool]) -> list[int]:
        seen: list[int] = []
        while not job.ended and not until(start + len(seen)):
            await asyncio.wait_for(job.changed(start + len(seen)), PATIENCE_S)
            seen += [event.number for event in job.events(start + len(seen))]
        return seen

    async def main() -> None:
        assert held.asked.wait(PATIENCE_S)
        first = await read(0, lambda count: count >= 2)
        held.go.set()
        rest, whole = await asyncio.gather(read(len(first), lambda _: False), read(0, lambda _: False))
        assert first + rest == whole == [event.number for event in job.events()]

    asyncio.run(main())


def test_a_tool_runs_as_a_job_and_keeps_its_result(open_jobs: Open) -> None:
    jobs = open_jobs()
    job = jobs.call("read_subtitles", {"ranges": "0:00-0:02"}, ["pier.mp4"])
    assert job.wait(PATIENCE_S) and job.state is JobState.ANSWERED
    assert job.result is not None and "forty pounds" in job.result.text and job.usage.media_ms_analyzed == 2000
    assert next(type(event.event).__name__ for event in job.events()) == "ToolStarted"
    assert job.to_dict()["tool"] == "read_subtitles" and job.to_dict()["answer"] is None
    refused = jobs.call("read_subtitles", {"ranges": "soon"}, ["pier.mp4"])
    assert refused.wait(PATIENCE_S) and refused.result is not None and refused.result.refused
    with pytest.raises(AgentError, match="There is no file"):
        jobs.call("read_subtitles", {}, ["../other.mp4"])


def test_look_ups_run_beside_jobs_that_take_all_places(open_jobs: Open) -> None:
    held = Held(says("Nothing.", found=False))
    jobs = open_jobs(held, running=1)
    job = jobs.start("One?", ["pier.mp4"])
    assert held.asked.wait(PATIENCE_S)
    with jobs.opened(["pier.mp4"]) as session:
        assert not session.call("search_notes", {"query": "crate"}).refused
        view = session.call("view", {"ranges": "0:00-0:01"})
        assert len(view.pictures) == 8
    held.go.set()
    assert job.wait(PATIENCE_S)


def test_a_file_is_opened_once_for_the_list_and_found_again_after_it_moved(
    open_jobs: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    jobs = open_jobs(SUBTITLES, says("Forty [#2].", 2))
    opened: list[Path] = []

    def noted(path: Path, sums: Any) -> str:
        opened.append(path)
        return content_id(path, sums)

    monkeypatch.setattr("analyzer_agent.service.library.content_id", noted)
    library = FolderLibrary(jobs.folders, jobs.settings)
    assert [one["video"] for one in library.videos()] == ["pier.mp4"] and opened == []  # nothing is known yet
    assert jobs.start("What does a crate cost?", ["pier.mp4"]).wait(PATIENCE_S)
    for _ in range(2):
        assert library.videos()[0]["notes"] == 2
    assert len(opened) == 1
    (tmp_path / "pier.mp4").rename(tmp_path / "moved.mp4")
    known = {"seconds": 2.0, "notes": 2, "analyzers": ["subtitles"]}
    assert library.videos()[0] | {"bytes": 0} == {"video": "moved.mp4", "bytes": 0, **known}
    assert library.sessions()[0]["videos"] == ["moved.mp4"] and library.search("crate")["videos"][0]["video"] == "moved.mp4"
    library.close()
