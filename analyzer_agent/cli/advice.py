"""Advice for a machine without a speech engine: how to get Whisper.

On a terminal the download is offered once per user.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyzer_agent.cli.errors import show_error
from analyzer_agent.cli.output import echo
from analyzer_agent.cli.weights import bring
from analyzer_agent.errors import AgentError
from analyzer_agent.installing import amount_of_bytes

if TYPE_CHECKING:
    from analyzer_agent.config import Settings
    from analyzer_agent.records import Answer
    from analyzer_agent.session import Session

_SPEECH = "speech"
_HEARING_MODES = ("manager", "summarizer")


def offer_whisper(videos: Iterable[str | Path], settings: "Settings", quiet: bool) -> None:
    """Offer to download Whisper, if only its weights are missing and the user never declined.

    Does nothing without a terminal. A failed download is reported and not raised.

    Raises:
        AgentError: a video cannot be read.
    """
    if quiet or settings.offline or settings.mode not in _HEARING_MODES or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if settings.weights_dir is None or _declined().exists() or not lacks_whisper(settings) or not _has_sound(videos, settings):
        return
    if not click.confirm(
        f'Speech needs a recogniser: download Whisper "base" ({whisper_size()}) now?', default=True, prompt_suffix=" ", err=True
    ):
        _declined().parent.mkdir(parents=True, exist_ok=True)
        _declined().touch()
        return
    try:
        bring([_SPEECH], settings.weights_dir, quiet=False, told_on_stderr=True)
    except AgentError as error:
        show_error(error)


def advise(session: "Session", answer: "Answer", err: bool = False) -> None:
    """Print how to get a speech engine if nothing was found and speech could not be recognised."""
    unheard = any(part.analyzer == _SPEECH and part.reason == "unavailable" for part in answer.not_examined)
    if unheard and not answer.is_conclusive and lacks_whisper(session.settings):
        way = f"To have it recognised (once, {whisper_size()}): analyzer-agent weights pull speech"
        echo(click.style(f"Speech was not recognised, since Whisper is not here. {way}", fg="yellow"), err=err)


def whisper_size() -> str:
    """Return the size of the Whisper download, such as `148 MB`."""
    from analyzer_agent.tools.weights.catalog import usual_size

    return amount_of_bytes(usual_size(_SPEECH))


def _declined() -> Path:
    """Return the marker file that exists once the user has declined the offer."""
    from analyzer_agent.config import default_weights

    return default_weights().with_name("whisper-declined")


def lacks_whisper(settings: "Settings") -> bool:
    """Tell whether Whisper lacks only its weights, and no setting picks another speech engine."""
    from analyzer_agent.session import engine_config
    from analyzer_agent.session.assembly import understood
    from analyzer_agent.tools.engines.faster_whisper import find_whisper
    from analyzer_agent.tools.engines.whisper_files import INSTALL_HINT

    settings = understood(settings)
    if _SPEECH in settings.engine or _SPEECH in settings.weights or (settings.tools and _SPEECH not in settings.tools):
        return False
    return find_whisper(engine_config(_SPEECH, settings)).fix == INSTALL_HINT


def _has_sound(videos: Iterable[str | Path], settings: "Settings") -> bool:
    from analyzer_agent.session import open_or_find_imported

    for path in videos:
        with open_or_find_imported(path, settings) as video:
            if video.audio_tracks:
                return True
    return False
