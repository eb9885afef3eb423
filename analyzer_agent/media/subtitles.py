"""Find and read subtitles: embedded tracks and sidecar files, as plain text."""

import hashlib
import html
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer_agent.errors import MediaError
from analyzer_agent.media.container import StreamClock, clock_of, decode_packet, discard_other_streams, open_container, packets
from analyzer_agent.media.joined import JoinedClock, Restamper
from analyzer_agent.protocols import Cue, Track
from analyzer_agent.timeline import TimeRange, clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

_FORMATS = {".srt": ("srt", "subrip"), ".vtt": ("webvtt", "webvtt")}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})?")
_TRACK_REMARKS = frozenset({"forced", "sdh", "cc", "hi", "default"})
_PICTURES = frozenset({"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub", "pgssub", "dvdsub", "dvbsub"})
_MARKUP = re.compile(r"\{\\[^}]*\}|</?[A-Za-z][^<>]*>|<[\d:.]+>")
_ASS_FIELDS_BEFORE_TEXT = 8


def sidecars(video: Path) -> list[Path]:
    """Return the subtitle files next to a video that carry its name, sorted.

    Examples for `talk.mp4`: `talk.srt`, `talk.en.srt`, `talk.en.sdh.vtt`.
    """
    try:
        beside = sorted(video.parent.iterdir())
    except OSError:
        return []
    return [file for file in beside if file.suffix.lower() in _FORMATS and _remarks(video, file) is not None and file.is_file()]


def sidecar_track(video: Path, file: Path, number: int) -> Track:
    """Return the track of a sidecar file; `number` is its track number, from 1.

    Raises:
        MediaError: the file cannot be read.
    """
    remarks = _remarks(video, file) or []
    language = next((part for part in remarks if part.lower() not in _TRACK_REMARKS), "")
    title = " ".join(part for part in remarks if part.lower() in _TRACK_REMARKS)
    digest = hashlib.blake2b(_bytes(file), digest_size=16).hexdigest()
    return Track(number, _FORMATS[file.suffix.lower()][1], language, title, source=file.name, digest=digest)


def sidecar_cues(file: Path) -> list[Cue]:
    """Return the cues of a `.srt` or `.vtt` file in UTF-8, UTF-16 or Latin-1.

    Raises:
        MediaError: the file cannot be read or is not in its format.
    """
    import av

    text = decode(_bytes(file)).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        return []
    no_subtitles = MediaError(
        f"{file.name!r} holds no subtitles.",
        hint="Save it as SubRip (.srt) or WebVTT (.vtt), or remove it; picture and sound are not affected.",
    )
    if "-->" not in text and not text.startswith("WEBVTT"):  # libav accepts any text as empty file
        raise no_subtitles
    try:
        with av.open(io.BytesIO(text.encode()), "r", format=_FORMATS[file.suffix.lower()][0], metadata_errors="replace") as container:
            return _cues(container, container.streams[0], file)
    except av.FFmpegError as error:
        raise no_subtitles from error


def embedded_cues(path: Path, stream: int, track: Track, joined: JoinedClock | None = None) -> list[Cue]:
    """Return the cues of a track inside the file; `stream` is its index in the container.

    `joined` is the clock of a file with several.

    Raises:
        MediaError: the track consists of images or cannot be read.
    """
    if track.codec in _PICTURES:
        raise MediaError(
            f"Subtitle track {track.number} of {path.name!r} consists of pictures ({track.codec}), not of text.",
            hint="Read it from the screen with the 'text' analyzer if it is burnt in, or put a .srt file beside the video.",
        )
    with open_container(path) as container:
        chosen = container.streams[stream]
        discard_other_streams(container, chosen)
        return _cues(container, chosen, path, joined)


def strip_markup(text: str) -> str:
    """Return the text of a cue without ASS, HTML or WebVTT markup; line breaks are preserved."""
    text = text.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")
    lines = (line.strip() for line in html.unescape(_MARKUP.sub("", text)).splitlines())
    return "\n".join(line for line in lines if line)


def _cues(container: "InputContainer", stream: "Stream", path: Path, joined: JoinedClock | None = None) -> list[Cue]:
    at = clock_of(container, stream)
    restamp = Restamper(joined, stream).restamp if joined else None
    cues: list[Cue] = []
    for packet in packets(container, stream, path, lambda: clock(cues[-1].span.end if cues else 0), restamp):
        cues.extend(_cue(packet, at))
    return sorted(cues, key=lambda cue: cue.span)


def _cue(packet: "Packet[Stream]", at: StreamClock) -> Iterator[Cue]:
    if packet.pts is None:
        return
    lines = [strip_markup(_text(rect)) for rect in decode_packet(packet.decode)]
    text = "\n".join(line for line in lines if line)
    end = at.ms(packet.pts + (packet.duration or 0))
    if text and end > 0:
        start = max(0, at.ms(packet.pts))
        yield Cue(TimeRange(start, max(start, end)), text)


def _text(rect: object) -> str:
    raw: bytes = getattr(rect, "ass", b"") or b""
    line = raw.decode("utf-8", "replace")
    if not line:
        plain_text: bytes = getattr(rect, "text", b"") or b""
        return plain_text.decode("utf-8", "replace")
    return line.split(",", _ASS_FIELDS_BEFORE_TEXT)[-1]


def _remarks(video: Path, file: Path) -> list[str] | None:
    if file.stem == video.stem:
        return []
    if not file.stem.startswith(video.stem + "."):
        return None
    parts = file.stem[len(video.stem) + 1 :].split(".")
    return parts if all(part.lower() in _TRACK_REMARKS or _LANGUAGE.fullmatch(part) for part in parts) else None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise MediaError(
            f"The subtitle file {file.name!r} cannot be read: {error.strerror}.", hint="Check its permissions, or remove it."
        ) from error


def decode(data: bytes) -> str:
    """Decode text from UTF-16 with a byte-order mark, UTF-8, or else Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
