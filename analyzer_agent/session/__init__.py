"""Sessions: ask questions about videos, get answers with proof. The composition root: the only place that constructs things.

Knows how the parts fit together, and leaves what they do to them.
"""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from analyzer_agent import tools as registry
from analyzer_agent.config import PathLike, SessionOverrides, Settings
from analyzer_agent.errors import AgentError
from analyzer_agent.evals.modes import Description, describe
from analyzer_agent.events import Event, ToolStarted
from analyzer_agent.media import media_in
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import JoinedNote, ToolResult
from analyzer_agent.session import note_queries
from analyzer_agent.session.assembly import (
    available_tools,
    check_videos,
    choose_model,
    choose_vision,
    engine_config,
    imported_analyzers,
    open_or_find_imported,
    readable_tools,
    scope_of,
    session_videos_of,
    understood,
)
from analyzer_agent.session.conversation import Conversation, new_name
from analyzer_agent.session.indexing import chosen_tools, run_index
from analyzer_agent.session.options import check_tracks, options_of
from analyzer_agent.session.turn_queue import TurnQueue
from analyzer_agent.storage import Store
from analyzer_agent.toolbox import Toolbox
from analyzer_agent.tools.aliases import resolve_name
from analyzer_agent.tools.support.engine_pool import EnginePool

if TYPE_CHECKING:
    from analyzer_agent.media import MediaFile, MissingVideo

__all__ = [
    "EnginePool",
    "Session",
    "available_tools",
    "choose_model",
    "choose_vision",
    "engine_config",
    "open_or_find_imported",
    "options_of",
    "scope_of",
    "understood",
]


def _usual_settings() -> Settings:
    return Settings(api_key=os.environ.get("OPENAI_API_KEY") or None, base_url=os.environ.get("OPENAI_BASE_URL") or None)


class Session(Conversation):
    """A conversation about one or more videos.

    Args:
        videos: files, or folders with media files in them; at least one.
        name: resumes or begins the session of that name; by default a new one.
        settings: everything else; by default the user's store, and a language model if `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set
            (the only two variables that are read, and only when `settings` is not given), else the rules manager.
        model: the name of the language model, or a model of your own.
        pool: keeps loaded engines; give several sessions the same one, and weights load once for all of them. Whoever made it closes it.
        approve: asked before a step that is estimated at over a minute.
        overrides: fields of `Settings`.

    Raises:
        AgentError: a file, a setting, the store or an analyzer that was asked for cannot be used; the hint says what to do.
    """

    def __init__(
        self,
        *videos: PathLike,
        name: str | None = None,
        settings: Settings | None = None,
        model: ChatModel | str | None = None,
        pool: EnginePool | None = None,
        approve: Callable[[ToolStarted], bool] | None = None,
        **overrides: Unpack[SessionOverrides],
    ) -> None:
        if any(not isinstance(video, str | os.PathLike) for video in videos):
            raise AgentError("A video is given as a path.", hint="Several are given one by one: Session(*files)")
        if not videos:
            raise AgentError("A session needs at least one video.", hint='Session("talk.mp4")')
        self.settings = understood((settings or _usual_settings()).changed(**overrides))
        if isinstance(model, str):
            self.settings, model = self.settings.changed(model=model), None
        self.name = name or new_name()
        with ExitStack() as closing:  # what was opened is closed again where the rest cannot be had
            files: list[MediaFile | MissingVideo] = []
            for path in media_in([Path(video) for video in videos]).files:
                files.append(open_or_find_imported(path, self.settings))
                closing.push(files[-1])
            session_videos = session_videos_of(files, self.settings)
            options = options_of(self.settings)
            check_tracks(options, session_videos)
            specs = {name: spec for name, (spec, _) in registry.load_all().items()}
            if pool is None:
                pool = EnginePool()
                closing.callback(pool.close)
            ready, missing = available_tools(self.settings, pool)
            self.model = model or choose_model(self.settings)
            self.store = closing.enter_context(Store(self.settings.store))
            self.store.notes.prefer(options)
            self.session_videos = [
                replace(session_video, imported=imported_analyzers(self.store, session_video.video.id)) for session_video in session_videos
            ]
            check_videos(self.store, self.name, self.session_videos)
            for session_video in self.session_videos:
                self.store.notes.add_video(
                    session_video.video.id,
                    getattr(session_video.video, "name", session_video.name),
                    str(Path(session_video.video.path).resolve()),
                    session_video.video.duration,
                )
            ready, missing = readable_tools(specs, ready, missing, self.session_videos)
            self.toolbox = Toolbox(self.store, self.session_videos, ready, missing, specs=specs, only=self.settings.tools, approve=approve)
            self.toolbox.force = self.settings.refresh
            self._closing = closing.pop_all()
        self._turns = TurnQueue()
        self._opened = ""

    def __enter__(self) -> "Session":
        self._turns.check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session {self.name!r} about {', '.join(session_video.name for session_video in self.session_videos)}>"

    def close(self) -> None:
        """Close the store and the videos; a question that still runs is stopped. What was found and answered stays.

        May be called from another thread, and more than once.
        """
        self._turns.close()
        self._closing.close()

    # --- without a question ---------------------------------------------------------------------------------------

    def index(self, analyzers: Sequence[str] | None = None, *, every: float | None = None) -> list[ToolResult]:
        """Run analyzers over the whole scope of all videos without asking anything.

        Args:
            analyzers: by default those that can run here, but for those that must be told what to look for.
            every: seconds between the frames that are looked at, where an analyzer samples.

        Returns:
            What each analyzer came to on each video; `refused` where it does not apply.

        Raises:
            AgentError: an analyzer is unknown or cannot run here.
            Cancelled: `cancel` was called.
        """
        running = self.index_stream(analyzers, every=every)
        while True:
            try:
                next(running)
            except StopIteration as end:
                results: list[ToolResult] = end.value
                return results

    def index_stream(
        self, analyzers: Sequence[str] | None = None, *, every: float | None = None
    ) -> Generator[Event, None, list[ToolResult]]:
        """Do what `index` does, and yield what happens meanwhile; returns the results."""
        self._turns.check_open()
        wanted = chosen_tools(self.toolbox, analyzers)
        return self._turns.read(lambda stop: run_index(self.toolbox, wanted, every, self.settings.max_analyzer_ms, stop))

    def describe(self, analyzers: Sequence[str] | None = None, *, covered: bool = False) -> Description:
        """Describe all videos in time order, in `max_tokens` if that is set, from what `index` or questions have left; runs nothing.

        Args:
            analyzers: whose notes to tell; None means those of all that can run here.
            covered: tell all that is known, from whatever engine and with whatever options; else what `index` would leave.

        Raises:
            AgentError: an analyzer is unknown.
        """
        with self._turns.beside():
            named = None if analyzers is None else [resolve_name(name).analyzer for name in analyzers]
            return describe(self.toolbox, named, self.settings.max_tokens, covered=covered)

    def notes(
        self,
        kinds: Sequence[str] | None = None,
        *,
        start: float | str | None = None,
        end: float | str | None = None,
        video: PathLike | None = None,
    ) -> list[JoinedNote]:
        """Return what is known of the videos, in time order: pieces that belong together joined; runs nothing.

        Args:
            kinds: of notes, such as `["speech", "text"]`; None means all.
            start: seconds, or a clock such as "1:04.2"; None means from the beginning.
            end: likewise; None means to the end.
            video: the name or the path of one of them; None means all, one after the other.

        Raises:
            AgentError: there is no such kind or video, or a time is none.
        """
        with self._turns.beside():
            return note_queries.notes(
                self.toolbox, note_queries.searched_spans(self.session_videos, video, start, end), note_queries.kinds_of(kinds)
            )

    def search(
        self,
        words: str,
        kinds: Sequence[str] | None = None,
        *,
        start: float | str | None = None,
        end: float | str | None = None,
        video: PathLike | None = None,
        limit: int = 20,
    ) -> list[JoinedNote]:
        """Return the notes with any of these words, best first, at most `limit`; the other arguments are those of `notes`.

        Raises:
            AgentError: see `notes`.
        """
        with self._turns.beside():
            places = note_queries.searched_spans(self.session_videos, video, start, end)
            return note_queries.search(self.toolbox, words, places, note_queries.kinds_of(kinds), limit) if places else []
