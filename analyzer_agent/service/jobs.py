"""Questions and single tools as jobs: they run beside each other in threads, keep their events, and can be stopped.

A job outlives whoever started it: its events can be read from any number on, by several readers, so
a page can be reloaded in the middle and a client can come back for the result. Conversations, notes
and answers are in the store; jobs themselves live as long as `Jobs`.
"""

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from analyzer_agent import tools
from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError, Cancelled
from analyzer_agent.events import Event
from analyzer_agent.protocols import ChatModel, Spec
from analyzer_agent.service.folders import NamedFolders, NotFound
from analyzer_agent.service.job import Job, JobState
from analyzer_agent.session import EnginePool, Session, available_tools
from analyzer_agent.session.conversation import new_name
from analyzer_agent.storage import Store

_RUNNING = 2
_WAITING = 32
_KEPT = 200
"""How many jobs that have ended are kept, the newest."""

log = logging.getLogger(__name__)


class Busy(AgentError):
    """A job cannot be taken now: too many wait, or its session answers another question."""


class Jobs:
    """Runs questions about videos of named folders. Thread-safe; a context manager, which stops all at its end.

    Args:
        settings: the settings of every job, which has the store.
        folders: where videos may lie.
        model: a model for all jobs; by default each chooses its own by its settings.
        running: how many run at once; others wait.
        waiting: how many may wait.
    """

    def __init__(
        self, settings: Settings, folders: NamedFolders, *, model: ChatModel | None = None, running: int = _RUNNING, waiting: int = _WAITING
    ) -> None:
        self.settings, self.folders, self.model = settings, folders, model
        self._limit = running + waiting
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = EnginePool()
        self._threads = ThreadPoolExecutor(running, "job")
        self._closed = False

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(
        self,
        question: str,
        videos: Sequence[str | Path] = (),
        settings: Settings | None = None,
        *,
        session: str | None = None,
        options: Sequence[str] = (),
    ) -> Job:
        """Ask a question; return at once.

        Args:
            question: the question.
            videos: files in the named folders; none to go on with the videos of `session`.
            settings: other settings for this job; the store stays that of all jobs.
            session: the conversation to go on with, or a name for a new one.
            options: the options of a multiple-choice question.

        Raises:
            AgentError: neither videos nor a session are given.
            NotFound: a video is not in the named folders, or there is no such session.
            Busy: too many jobs wait, or the session answers another question.
        """
        paths = [self.folders.locate(video) for video in videos] or self._videos_of(session)
        chosen = (settings or self.settings).changed(store=self.settings.store)
        job = Job(uuid.uuid4().hex, session or new_name(), question, paths, [self.folders.shown(path) for path in paths], options)
        return self._submit(job, chosen)

    def call(self, tool: str, arguments: Mapping[str, Any], videos: Sequence[str | Path]) -> Job:
        """Run one tool of the model as a job; return at once.

        Args:
            tool: the name of the tool, such as `transcribe_speech`.
            arguments: its arguments; one that cannot be used is refused in the result.
            videos: files in the named folders.

        Raises:
            AgentError: a video is not in the named folders.
            Busy: too many jobs wait.
        """
        paths = [self.folders.locate(video) for video in videos]
        names = [self.folders.shown(path) for path in paths]
        return self._submit(Job(uuid.uuid4().hex, new_name(), "", paths, names, tool=tool, arguments=arguments), self.settings)

    def opened(self, videos: Sequence[str | Path]) -> Session:
        """Open a session beside the jobs, which shares their engines; whoever asked for it closes it.

        Raises:
            AgentError: a video is not in the named folders, or cannot be read.
        """
        return Session(*map(self.folders.locate, videos), settings=self.settings, model=self.model, pool=self._pool)

    def available(self) -> tuple[list[Spec], dict[str, str]]:
        """Return the specs of the analyzers that can run here, and why others cannot, by the names of their tools.

        Raises:
            AgentError: an analyzer or an engine that the settings name is unknown or cannot run here.
        """
        ready, missing = available_tools(self.settings, self._pool)
        known = tools.load_all()
        return [tool.spec for tool in ready.values()], {known[name][0].tool: why for name, why in missing.items() if name in known}

    def _submit(self, job: Job, settings: Settings) -> Job:
        with self._lock:
            open_ = [other for other in self._jobs.values() if not other.ended]
            if self._closed:
                raise Busy("No more questions are taken: the service ends.")
            if any(other.session == job.session for other in open_):
                raise Busy(f"The session {job.session!r} answers another question.", hint="Wait for its answer, or stop it.")
            if len(open_) >= self._limit:
                raise Busy(f"{len(open_)} questions are being answered or wait.", hint="Try again later.")
            self._jobs[job.id] = job
            for old in [other.id for other in self._jobs.values() if other.ended][:-_KEPT]:
                del self._jobs[old]
            self._threads.submit(self._run, job, settings)
        return job

    def get(self, id: str) -> Job:
        """Return a job.

        Raises:
            NotFound: there is none with this id, or it ended long ago.
        """
        with self._lock:
            if id not in self._jobs:
                raise NotFound(f"There is no job {id!r}.", hint="Answers stay in the store: see the sessions.")
            return self._jobs[id]

    def all(self) -> list[Job]:
        """Return the jobs, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    @property
    def closed(self) -> bool:
        """Whether the jobs were stopped, so that none is started any more."""
        return self._closed

    def stop(self) -> None:
        """Stop all jobs; those that are within a grain end after it."""
        with self._lock:
            self._closed = True
        for job in self.all():
            job.cancel()

    def close(self) -> None:
        """Stop all jobs, and return when they have ended. Notes and answers persist."""
        self.stop()
        self._threads.shutdown()
        self._pool.close()

    def _videos_of(self, session: str | None) -> list[Path]:
        if session is None:
            raise AgentError("A question needs at least one video.", hint="Name files of the folders that were named at start.")
        with Store(self.settings.store) as store:
            known = store.maintenance.videos_of(session)
        if not known:
            raise NotFound(f"There is no session {session!r}.", hint="Name the videos to start one.")
        return [self.folders.locate(video.path) for video in known]

    def _events(self, job: Job, session: Session) -> Iterator[Event]:
        if job.tool:
            job.returned((yield from session.call_stream(job.tool, job.arguments)))
        else:
            yield from session.stream(job.question, job.options)

    def _run(self, job: Job, settings: Settings) -> None:
        try:
            job.check_wanted()
            with Session(*job.paths, name=job.session, settings=settings, model=self.model, pool=self._pool) as session:
                job.begin(session.cancel, session.toolbox.titled)
                for event in self._events(job, session):
                    job.check_wanted()
                    job.add(event)
        except Cancelled:
            job.end(JobState.STOPPED)
        except AgentError as error:
            job.end(JobState.FAILED, error)
        except Exception:
            log.exception("job %s failed", job.id)
            job.end(JobState.FAILED, AgentError("The question failed by an error of this program.", hint="Its log has the details."))
        else:
            job.end(JobState.ANSWERED)
