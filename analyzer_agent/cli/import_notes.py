"""`import-notes`: perception that was made elsewhere, brought in as notes. Nothing is analyzed."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.options import TIME, settings_of, shared_options
from analyzer_agent.cli.progress import warn
from analyzer_agent.cli.safe_json import one_line, safe_json
from analyzer_agent.cli.wrapping import echo
from analyzer_agent.errors import AgentError, near
from analyzer_agent.timeline import parse, seconds

if TYPE_CHECKING:
    from analyzer_agent.config import Settings
    from analyzer_agent.importing import Import, ImportResult
    from analyzer_agent.media import MediaFile, MissingVideo

_MAX_DURATION_MS = 1_000 * 3_600_000
_DAY_S = 86_400.0


_EXAMPLES = """\b
For example:
  analyzer-agent import-notes talk.whisperx.json --video talk.mp4
  analyzer-agent import-notes captions.json --video tv-0042 --duration 1:02:30
  analyzer-agent ask tv-0042 "Who comes in?"
"""


@click.command("import-notes", epilog=_EXAMPLES)
@click.argument("file")
@click.option("--video", required=True, metavar="VIDEO", help="The video that the notes are on; with --duration a name will do.")
@click.option("--duration", type=TIME, metavar="TIME", help="How long the video is, where its file is not here.")
@click.option("--kind", metavar="K", default="", help="What notes are that name no kind: speech, subtitle, caption, ...")
@click.option("--engine", metavar="NAME", default="", help="The name to keep them under.  [default: by the form of the file]")
@click.option(
    "--every", type=click.FloatRange(0.001, _DAY_S), default=1.0, show_default=True, metavar="S", help="Seconds from caption to caption."
)
@click.option("--starts-at", type=TIME, default="0", metavar="TIME", help="The time in FILE at which the video begins, if it was cut out.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@shared_options("scope", "store")
def import_notes(file: str, video: str, duration: str | None, every: float, starts_at: str, as_object: bool, **flags: Any) -> None:
    """Bring in notes that were made elsewhere.

    FILE is SRT, WebVTT, the JSON of WhisperX or Whisper, a list of captions, CSV (start,end,text and, if wanted, kind,score), or what
    `notes` prints. It stands for the whole video, or for --from/--to: times without an entry are recorded as analyzed and empty.

    Importing a file again changes nothing; `cache clear --engine NAME` throws its notes away. Notes that were imported under a name are not
    those of a file: when the file is there, import them again with --video FILE.
    """
    kind, engine = flags.pop("kind"), flags.pop("engine")
    settings = settings_of(flags)
    from analyzer_agent.importing import prepare
    from analyzer_agent.session import scope_of
    from analyzer_agent.storage import Store

    with _video(video, duration, settings) as known:
        span, times = scope_of(known, settings), (round(every * 1000), parse(starts_at))
        plan = prepare(Path(file), known, kind=kind, engine=engine, every=times[0], starts_at=times[1], span=span)
        for problem in plan.problems:
            warn(problem)
        with Store(settings.store) as store:
            done = _done(plan.run(store))
    _show(plan, done, known.name, as_object)


def _video(given: str, duration: str | None, settings: "Settings") -> "MediaFile | MissingVideo":
    """Open the video; a name with a duration makes one without a file.

    Raises:
        AgentError: the file is here although a duration is given, or the duration is none.
        MediaError: there is neither file nor duration, or the file cannot be read.
    """
    from analyzer_agent.media import MissingVideo
    from analyzer_agent.session import open_or_find_imported

    if duration is None:
        try:
            return open_or_find_imported(given, settings)
        except AgentError as error:
            if Path(given).exists():
                raise
            if "://" in given:
                raise
            hint = near(Path(given), "Check the path.") + " Or, for a video whose file is not at hand, say how long it is: --duration TIME"
            raise AgentError(str(error), hint=hint) from error
    if not given.strip() or not 0 < parse(duration) <= _MAX_DURATION_MS:
        raise AgentError(
            "A video without a file needs a name, and a duration of at most 1000 hours.",
            hint="For example: --video tv-0042 --duration 1:02:30",
        )
    if Path(given).exists():
        raise AgentError(f"{given!r} is a file, which tells its duration itself.", hint="Leave --duration out.")
    return MissingVideo(given, parse(duration))


def _done(running: "Generator[Any, None, list[ImportResult]]") -> "list[ImportResult]":
    while True:
        try:
            next(running)
        except StopIteration as end:
            done: list[ImportResult] = end.value
            return done


def _show(plan: "Import", done: "Sequence[ImportResult]", name: str, as_object: bool) -> None:
    if as_object:
        rows = [{"analyzer": one.analyzer, "engine": one.engine, "notes": one.notes, "new_seconds": seconds(one.new_ms)} for one in done]
        click.echo(safe_json({"video": name, "form": plan.document.form, "imported": rows}))
        return
    for one in done:
        what = f"{one.notes} note{'' if one.notes == 1 else 's'} by {one.engine} for {one.analyzer}, {plan.span}"
        echo(f"{one_line(name)}: {what}" if one.new_ms else f"{one_line(name)}: {what}: imported before, nothing changed")
