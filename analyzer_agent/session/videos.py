"""The videos of a session, made from its settings: opened or known from imported notes, named, and with their scopes."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError, MediaError
from analyzer_agent.fencing import as_name
from analyzer_agent.media import MediaFile, MissingVideo, is_named, is_remote, local_path, named_id, open_video
from analyzer_agent.storage import Store, StoredSums
from analyzer_agent.timeline import TimeRange, clock, seconds
from analyzer_agent.toolbox import SessionVideo

if TYPE_CHECKING:
    pass


def open_or_find_imported(path: str | Path, settings: Settings) -> MediaFile | MissingVideo:
    """Open a file; if it is missing, fall back to imported notes of that name.

    Leading folders are dropped one by one: notes imported for `b.mp4` stand in for a missing
    `a/b.mp4`, unless there are notes for the longer name.

    Raises:
        AgentError: it is an address, and the settings forbid the network.
        MediaError: there is neither a file nor imported notes, or the file cannot be read.
    """
    given = local_path(path)
    if settings.offline and is_remote(given):
        raise AgentError(f"--offline forbids reading {str(given)!r}.", hint="Leave out --offline, or give a file of this machine.")
    stands_in = None if given.exists() else video_by_name(given, named_videos(settings))
    return stands_in or open_video(given, settings.decoder, StoredSums(settings.store))


def named_videos(settings: Settings) -> dict[str, int]:
    """Return the videos with notes imported without a file: duration in ms by id."""
    if not settings.store.exists():
        return {}
    with Store(settings.store) as store:
        return {video.id: video.duration for video in store.maintenance.videos() if is_named(video.id)}


def video_by_name(given: Path, known: Mapping[str, int]) -> MissingVideo | None:
    """Return the video in `known` (duration in ms by id) that replaces a missing file, or None."""
    for name in (str(given), *("/".join(given.parts[n:]) for n in range(len(given.parts)))):
        if named_id(name) in known:
            return MissingVideo(name, known[named_id(name)])
    return None


def session_videos_of(files: Sequence[MediaFile | MissingVideo], settings: Settings) -> list[SessionVideo]:
    """Return the session's videos, with unique names for models, unique titles and their scopes.

    Raises:
        AgentError, MediaError: see `scope_of`.
    """
    names: list[str] = []
    own = [file.name for file in files]
    titles = [str(file.path) if own.count(file.name) > 1 else file.name for file in files]
    for file in files:
        plain = as_name(file.name)
        numbered = (f"{plain}({n})" for n in count(2))
        names.append(plain if plain not in names else next(name for name in numbered if name not in names))
    absent = [isinstance(file, MissingVideo) for file in files]
    reasons = [f"the file of {name} is not here" if missing else None for name, missing in zip(names, absent, strict=True)]
    return [
        SessionVideo(name, file, scope_of(file, settings), unavailable_reason=reason, title=title, lost=lost_part(file, settings))
        for name, file, reason, title in zip(names, files, reasons, titles, strict=True)
    ]


def check_videos(store: Store, name: str, session_videos: Sequence[SessionVideo]) -> None:
    """Check that a resumed session is about its own videos or a subset, identified by content.

    Raises:
        AgentError: the session exists and is about other videos.
    """
    known = {video.id: video.name for video in store.maintenance.videos_of(name)}
    if not known or any(map(is_named, known)):  # notes may have been imported before the file came
        return
    others = [session_video for session_video in session_videos if session_video.video.id not in known]
    if others:
        about, given = (
            ", ".join(map(repr, names))
            for names in (known.values(), [session_video.title or session_video.name for session_video in others])
        )
        raise AgentError(
            f"The session {name!r} is about {about}, not about {given}.",
            hint=f"Give another name to start a session, or continue this one: analyzer-agent chat --session {shlex.quote(name)}",
        )


def scope_of(file: MediaFile | MissingVideo, settings: Settings) -> TimeRange:
    """Return the part of a file that may be analyzed; a truncated file ends where its data do.

    Raises:
        AgentError: `--from/--to` is empty, backwards or outside the file.
        MediaError: the file has no data in that part, or is truncated and `--strict` is given.
    """
    asked = _asked(file, settings)
    if asked.end > file.duration and (settings.strict or asked.start >= file.duration):
        raise MediaError(
            f"{file.name!r} is cut off: it should be {clock(file.promised)} long, its data end at {clock(file.duration)}.",
            hint=f"Get the whole file, or use the part that is there: --to {seconds(file.duration)}",
        )
    return TimeRange(asked.start, min(asked.end, file.duration))


def lost_part(file: MediaFile | MissingVideo, settings: Settings) -> TimeRange | None:
    """Return the part that was asked for and that a truncated file has no data of, if any."""
    return _asked(file, settings).within(TimeRange(file.duration, file.promised))


def _asked(file: MediaFile | MissingVideo, settings: Settings) -> TimeRange:
    start = settings.start_ms or 0
    end = settings.end_ms if settings.end_ms is not None else file.promised
    for flag, time, last in (("--from", start, file.promised - 1), ("--to", end, file.promised + 1000)):
        if time > last:
            raise AgentError(
                f"{flag} {clock(time)} is beyond the end of {file.name!r} at {clock(file.promised)}.",
                hint=f"Choose --from and --to within 0:00-{clock(file.duration)}.",
            )
    if end <= start:
        raise AgentError(f"The range {clock(start)}-{clock(end)} is empty or backwards.", hint="--to must come after --from.")
    return TimeRange(start, min(end, file.promised))
