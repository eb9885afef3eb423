"""`weights`: list published weights, and download them for this machine or another one."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.options import settings_of, shared_options
from analyzer_agent.cli.output import echo, safe_json, table, warn
from analyzer_agent.errors import AgentError
from analyzer_agent.installing import amount_of_bytes
from analyzer_agent.sanitize import one_line

if TYPE_CHECKING:
    from analyzer_agent.config import Settings
    from analyzer_agent.tools.weights.catalog import Weights
    from analyzer_agent.tools.weights.download import WeightFile

_LINE_INTERVAL_S = 5.0
_CODES_SHOWN = 6
_EXAMPLE = "analyzer-agent weights pull speech=large-v3 objects=yolo11m text=de,ja"


@click.group()
def weights() -> None:
    """List and download the weights of engines."""


@weights.command("list")
@click.argument("analyzers", nargs=-1, metavar="[ANALYZER...]")
@shared_options("json", "settings")
def list_(analyzers: tuple[str, ...], as_object: bool, **flags: Any) -> None:
    """List the published weights, and where they are on this machine.

    Sizes are approximate; `weights pull` shows the exact ones. Weights marked * are downloaded by
    default.
    """
    settings = settings_of(flags)
    from analyzer_agent.tools.weights.catalog import PUBLISHED

    known = list(dict.fromkeys(entry.analyzer for entry in PUBLISHED))
    for name in analyzers:
        if name not in known:
            raise AgentError(f"There are no weights for {name!r}.", hint=f"Choose from: {', '.join(known)}.")
    found = [(entry, _where(entry, settings)) for entry in PUBLISHED if not analyzers or entry.analyzer in analyzers]
    if as_object:
        click.echo(safe_json({"folder": str(settings.weights_dir), "weights": [_object(entry, place) for entry, place in found]}))
        return
    rows = [
        [
            *(entry.analyzer, f"{entry.name}{' *' * entry.default}", amount_of_bytes(entry.size), entry.licence),
            *(_languages(entry), str(place or "-")),
        ]
        for entry, place in found
    ]
    echo(table(["analyzer", "name", "size", "licence", "languages", "here"], rows, numbers=("size",)))
    echo(f"\n* downloaded by default. To download others: {_EXAMPLE}\nWeights folder: {one_line(str(settings.weights_dir))}")


@weights.command()
@click.argument("wanted", nargs=-1, metavar="[ANALYZER[=NAME,...]...]")
@click.option("--to", metavar="DIR", help="Download into this folder.  [default: the weights folder]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared_options("offline", "settings")
def pull(wanted: tuple[str, ...], to: str | None, yes: bool, **flags: Any) -> None:
    """Download weights, verified against their publishers' checksums.

    \b
      weights pull                          the default set, after asking
      weights pull speech tags              the default weights of these analyzers
      weights pull speech=large-v3,tiny     certain weights of an analyzer
      weights pull text=de,ja               those that read German and Japanese
      weights pull --to /media/stick        for another machine

    To use a folder on another machine, copy it there and name it with --weights DIR,
    ANALYZER_AGENT_WEIGHTS or the setting `weights`. Files that are here already are not downloaded
    again; an interrupted download resumes.
    """  # noqa: D301 - click reads \b
    settings = settings_of(flags)
    if settings.offline:
        raise AgentError("--offline forbids downloading weights.", hint="Download them on a machine with a network, and copy the folder.")
    folder = Path(to).expanduser() if to else settings.weights_dir
    assert folder is not None  # it has a default, and no flag unsets it
    bring(wanted, folder, flags["quiet"], ask=not (wanted or yes))
    if folder != settings.weights_dir:
        echo(f"To use them: --weights {one_line(str(folder))}, or ANALYZER_AGENT_WEIGHTS, or the setting `weights`.")


def bring(wanted: Sequence[str], folder: Path, quiet: bool, *, ask: bool = False, told_on_stderr: bool = False) -> None:
    """Download weights that are not in `folder` yet, and print the result.

    Args:
        wanted: `ANALYZER` or `ANALYZER=NAME,...`; empty for the default set.
        folder: the weights folder.
        quiet: show no progress.
        ask: confirm first.
        told_on_stderr: print the result on stderr instead of stdout.

    Raises:
        AgentError: the weights do not exist, or the download fails.
    """
    from analyzer_agent.tools.engines.huggingface import default_hub
    from analyzer_agent.tools.weights import download

    files = download.plan_download(download.choose_weights(wanted), folder, default_hub())
    missing = [file for file in files if not file.is_here()]
    if missing:
        _announce(missing, folder)
        if ask:
            click.confirm("Download them?", default=True, abort=True, err=True)
        _download(missing, quiet)
    _print_progress(files, missing, told_on_stderr)


def _where(entry: "Weights", settings: "Settings") -> Path | None:
    from analyzer_agent.protocols import EngineConfig
    from analyzer_agent.tools.weights.local import find_local

    return find_local(entry, EngineConfig(weights_dir=settings.weights_dir, caches=settings.caches))


def _object(entry: "Weights", place: Path | None) -> dict[str, Any]:
    return {
        **{name: getattr(entry, name) for name in ("analyzer", "engine", "name", "source", "size", "licence", "languages", "default")},
        "here": None if place is None else str(place),
    }


def _languages(entry: "Weights") -> str:
    codes = entry.languages.split()
    return entry.languages if len(codes) <= _CODES_SHOWN else f"{' '.join(codes[: _CODES_SHOWN - 1])} ... ({len(codes)})"


def _announce(missing: "Sequence[WeightFile]", folder: Path) -> None:
    """Print on stderr the size, licence and source of each download."""
    for entry in dict.fromkeys(file.weights for file in missing):
        own = [file for file in missing if file.weights == entry]
        size = sum(file.size or entry.size for file in own)
        way = " (package registry)" if own[0].parts else ""
        echo(f"  {entry.analyzer} {entry.name}: {amount_of_bytes(size)}, {entry.licence}, {entry.source}{way}", err=True)
    total = amount_of_bytes(sum(file.size or file.weights.size for file in missing))
    echo(f"{total} to download into {one_line(str(folder))}", err=True)
    for file in missing:
        if not (file.digest or file.unpacked):
            warn(f"no checksum is available for {file.path.name}")


def _print_progress(files: "Sequence[WeightFile]", missing: "Sequence[WeightFile]", err: bool) -> None:
    for entry in dict.fromkeys(file.weights for file in files):
        own = [file for file in files if file.weights == entry]
        place = own[0].path if len(own) == 1 else own[0].path.parent
        done = "downloaded" if any(file in missing for file in own) else "already here"
        echo(f"{entry.analyzer} {entry.name}: {done}, {one_line(str(place))}", err=err)


def _download(missing: "Sequence[WeightFile]", quiet: bool) -> None:
    """Download files, with progress on stderr: bars on a terminal, else a line per file and every few seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from analyzer_agent.tools.weights.download import DownloadProgress, download_weights

    console, printed = Console(stderr=True), time.monotonic()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    tasks: dict[Path, TaskID] = {}
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        for event in download_weights(missing):
            file = event.file
            subject = one_line(f"{file.weights.analyzer} {file.weights.name}: {file.path.name}")
            done = event.done if isinstance(event, DownloadProgress) else None
            if file.path not in tasks:  # bytes of an earlier run must not count towards the speed
                tasks[file.path] = progress.add_task(subject, total=file.size, completed=done or 0)
            elif done is not None:
                progress.update(tasks[file.path], completed=done)
            else:
                progress.update(tasks[file.path], total=progress.tasks[tasks[file.path]].completed)
            if not (quiet or console.is_terminal) and (done is None or time.monotonic() - printed >= _LINE_INTERVAL_S):
                printed = time.monotonic()
                of = f" of {amount_of_bytes(file.size)}" if file.size else ""
                echo(f"{subject}: {'done' if done is None else amount_of_bytes(done) + of}", err=True)
