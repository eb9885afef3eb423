"""What `ask`, `chat` and `demo` share: open a session, draw its events, tell what is odd about the files.

Knows nothing of how answers are printed.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.progress import ProgressDisplay, progress_display, warn
from analyzer_agent.cli.safe_json import one_line
from analyzer_agent.cli.wrapping import echo
from analyzer_agent.errors import MediaError
from analyzer_agent.events import Answered, Event
from analyzer_agent.records import Answer

if TYPE_CHECKING:
    from analyzer_agent.session import Session


_MORE_STEPS = 5
_NAMED = 3
"""How many files a line names."""

STARTING = "starting"
"""What is told until the first event comes: graph, model and engines are imported then."""


def open_session(videos: Sequence[str | Path], quiet: bool, **arguments: Any) -> "Session":
    """Open a session with these arguments, and say so on a terminal for as long as it takes.

    Raises:
        AgentError: see `Session`.
    """
    with progress_display(quiet) as drawer:
        drawer.busy(f"opening {Path(videos[0]).name if len(videos) == 1 else f'{len(videos)} videos'}")
        from analyzer_agent.session import Session

        return Session(*videos, **arguments)


def answer_of(events: Iterable[Event], drawer: ProgressDisplay) -> Answer:
    """Draw the events of a question and return its answer."""
    drawer.busy(STARTING)
    for event in events:
        drawer.draw(event)
        if isinstance(event, Answered):
            return event.answer
    raise RuntimeError("the question ended without an answer")


def chosen(videos: Sequence[str | Path], flags: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the files that are meant, folders replaced by the media in them; tells which files are left out.

    Raises:
        AgentError: there are none.
    """
    from analyzer_agent.media import media_in

    found = media_in(videos, recursive=flags["recursive"])
    if found.left_out:
        names = [path.name for path in found.left_out]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED and not flags["verbose"] else ""
        shown = names if not more else names[:_NAMED]
        warn(f"Left out, no video or audio: {', '.join(map(one_line, shown))}{more}")
    if found.beside and flags["verbose"] and not flags["quiet"]:
        echo(f"{found.beside} other file{'' if found.beside == 1 else 's'} left out", err=True)
    return found.files


def what_helps(session: "Session", answer: Answer, videos: Sequence[str]) -> str:
    """Return what helps where a question ran out of steps: more of them, or analyzing ahead what it had begun to look at."""
    if answer.finished != "out_of_steps":
        return ""
    used = {step.tool for step in answer.steps}
    left = {u.analyzer for u in answer.not_examined if u.reason == "unseen"}
    begun = [name for name, tool in session.toolbox.tools.items() if name in left and tool.spec.tool in used]
    shown = shlex.join(videos) if len(videos) <= _NAMED else "VIDEO..."
    first = f", or first: analyzer-agent index {shown} --with {','.join(begun)}" if begun else ""
    return f"More of them: --max-steps {session.settings.max_steps * _MORE_STEPS}{first}"


def warn_of_problems(session: "Session") -> None:
    """Warn of what is odd about the files, such as being cut off."""
    for session_video in session.session_videos:
        for problem in getattr(session_video.video, "problems", ()):
            warn(f"{session_video.title}: {problem}")


_TOLD = "missing analyzers"


def warn_of_unavailable(session: "Session", drawer: ProgressDisplay) -> None:
    """Tell before anything runs which analyzers cannot: once per store, and again when further ones cannot."""
    missing, history = session.toolbox.missing, session.store.history
    told = set(history.remembered(_TOLD) or ())
    if missing.keys() - told:
        drawer.note(f"Cannot run here: {', '.join(missing)}. analyzer-agent doctor says why.")
    if (known := (told - session.toolbox.tools.keys()) | missing.keys()) != told:
        history.remember(_TOLD, sorted(known))


@contextmanager
def explaining(arguments: Sequence[str], flag: str, given: str | None) -> Iterator[None]:
    """Tell what was meant where words were taken for the names of videos, while these are opened.

    Args:
        arguments: what stands on the command line without a flag.
        flag: the one that takes analyzers.
        given: its value.

    Raises:
        click.UsageError: analyzers are separated by blanks, or the question is not in quotes.
    """
    try:
        yield
    except MediaError as error:
        from analyzer_agent.tools.aliases import is_alias_of

        files = [argument for argument in arguments if os.path.exists(argument)]
        words = [argument for argument in arguments if argument not in files]
        if given and (names := [word for word in words if is_alias_of(word)]):
            raise click.UsageError(f"Join names with commas: {flag} {','.join([given, *names])}") from error
        if (
            flag == "--tools"
            and arguments[0] in files
            and len(words) > 1
            and not any(" " in word for word in words)
            and arguments[-1] in words
        ):
            raise click.UsageError(f"Put the question in quotes: {as_typed(files, ' '.join(words))}") from error
        raise


def as_typed(videos: Sequence[str], question: str) -> str:
    """Return the command that asks a question."""
    quoted = shlex.quote(question) if any(mark in question for mark in '"$`\\!') else f'"{question}"'
    return f"analyzer-agent ask {shlex.join(videos)} {quoted}"


def split_question(arguments: tuple[str, ...], usage: str) -> tuple[tuple[str, ...], str]:
    """Return the videos and the question, which comes last.

    Raises:
        click.UsageError: one of them is missing.
    """
    *videos, question = arguments
    if not question.strip():
        raise click.UsageError(f"The question is empty. {usage}")
    if os.path.exists(question):  # `Path.exists` raises for a name as long as a question may be
        what = "folder" if os.path.isdir(question) else "file"
        words = [argument for argument in videos if not os.path.exists(argument)]
        if len(words) == 1:
            files = [argument for argument in arguments if argument != words[0]]
            raise click.UsageError(f"The question comes last: {as_typed(files, words[0])}")
        raise click.UsageError(f"The question is missing: the last argument, {question!r}, is a {what}. {usage}")
    if not videos:
        raise click.UsageError(f"A video and a question are needed, only one argument was given. {usage}")
    return tuple(videos), question
