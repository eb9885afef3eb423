"""Detection of a file's format by its content."""

from pathlib import Path

from analyzer_agent.importing import csv_format, json_formats, subtitle_formats
from analyzer_agent.importing.model import Document, not_accepted
from analyzer_agent.media.cue_files import decode


def read_document(data: bytes, path: Path, every: int) -> Document:
    """Parse a file in any of the known formats.

    Args:
        data: the content, in any of the usual encodings.
        path: the path, for messages.
        every: the spacing of caption lists, in ms.

    Raises:
        AgentError: the format is unknown, or an entry is invalid; the message names the place.
    """
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    start = text.lstrip()
    if not start:
        raise not_accepted(f"{path.name!r} is empty.")
    if "\0" in text:
        raise not_accepted(f"{path.name!r} is not a text file.")
    found = _document(start, text, path.name, every)
    if not any(entry.text for entry in found.entries):
        raise not_accepted(f"{path.name!r} holds no note ({found.form}).")
    return found


def _document(start: str, text: str, name: str, every: int) -> Document:
    if start.startswith("WEBVTT"):
        return subtitle_formats.vtt(text, name)
    if start[0] in "{[":
        return json_formats.document(text, name, every)
    if csv_format.separator(text):
        return csv_format.table(text, name)
    if "-->" in text:
        return subtitle_formats.srt(text, name)
    raise not_accepted(f"{name!r} is in no form that can be imported.")
