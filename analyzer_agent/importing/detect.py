"""Files of perception, recognised by what is in them.

Knows nothing of videos or the store.
"""

from pathlib import Path

from analyzer_agent.errors import AgentError
from analyzer_agent.importing import csv_format, json_formats, subtitle_formats
from analyzer_agent.importing.model import FORMATS_TEXT, Document
from analyzer_agent.media.subtitles import decode


def read_document(data: bytes, path: Path, every: int) -> Document:
    """Return what a file says. Its text may be UTF-8, UTF-16 with its mark, or Latin-1.

    Args:
        data: the content.
        path: for its name in messages.
        every: the spacing of caption lists, in ms.

    Raises:
        AgentError: it is none of the known forms, or a place of it is wrong: names line or record, field and accepted forms.
    """
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    start = text.lstrip()
    if not start:
        raise AgentError(f"{path.name!r} is empty.", hint=f"Accepted: {FORMATS_TEXT}.")
    if "\0" in text:
        raise AgentError(f"{path.name!r} is not a text file.", hint=f"Accepted: {FORMATS_TEXT}.")
    found = _document(start, text, path.name, every)
    if not any(entry.text for entry in found.entries):
        raise AgentError(f"{path.name!r} holds no note ({found.form}).", hint=f"Accepted: {FORMATS_TEXT}.")
    return found


def _document(start: str, text: str, name: str, every: int) -> Document:
    if start.startswith("WEBVTT"):
        return subtitle_formats.vtt(text, name)
    if start[0] in "{[":
        return json_formats.document(json_formats.parse_json(text, name), name, every)
    if csv_format.separator(text):
        return csv_format.table(text, name)
    if "-->" in text:
        return subtitle_formats.srt(text, name)
    raise AgentError(f"{name!r} is in no form that can be imported.", hint=f"Accepted: {FORMATS_TEXT}.")
