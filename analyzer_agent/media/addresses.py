"""Tell addresses from paths, and those that are read from others: what people paste in place of a file."""

import os
import re
from pathlib import Path
from urllib.request import url2pathname

from analyzer_agent.errors import MediaError
from analyzer_agent.media.remote_path import RemotePath, is_web_address

_ADDRESS = re.compile(r"(?:^|/)([a-z][a-z0-9+.-]+):[/\\]|^(magnet|data|blob):", re.IGNORECASE)
"""An address, also one that `Path` has reduced to one slash or that stands behind a folder; a drive has one letter."""

_HOSTS = "youtu.be youtube.com youtube-nocookie.com vimeo.com dailymotion.com twitch.tv tiktok.com instagram.com facebook.com x.com"
_BARE = re.compile(rf"^(?:www\.[\w-]+\.[\w.-]+|(?:[\w-]+\.)*(?:{'|'.join(map(re.escape, _HOSTS.split()))}))(?:[/?:]|$)", re.IGNORECASE)
_FILE = re.compile(r"(?:^|/)file:/+(?:localhost/(?=.*/))?", re.IGNORECASE)
_STREAMS = frozenset({"rtp", "rtsp", "rtsps", "rtmp", "rtmps", "rtmpe", "udp", "tcp", "srt", "rist", "mms", "mmsh"})

_DOWNLOAD = "Download it first, for example: yt-dlp URL"
_RECORD = f"{_DOWNLOAD}, or record the part of a live stream that you need: ffmpeg -i URL -t 600 -c copy talk.mkv"


def local_path(given: str | os.PathLike[str]) -> Path:
    """Return the path of a file, also of one at an `http(s)` address, of which nothing is read yet.

    That of a `file:` address, which is percent-encoded, if no file has it as its name.

    Raises:
        MediaError: the name is empty.
    """
    if given == "":
        raise MediaError("The name of a video is empty.", hint="Give the path of a file, or . for the current folder.")
    if isinstance(given, RemotePath):
        return given
    if is_web_address(given):
        return RemotePath(str(given))
    path = Path(given)
    found = _FILE.search(path.as_posix())
    if found is None or _exists(path):
        return path
    rest = url2pathname(path.as_posix()[found.end() :])
    return Path(rest if re.match(r"[A-Za-z]:", rest) else f"/{rest}")


def address_error(path: Path) -> MediaError | None:
    """Return the error for a path without a file that is an address, None if it is none."""
    text = path.as_posix()
    scheme = _ADDRESS.search(text)
    if scheme is None and not _BARE.match(text):
        return None
    live = scheme is not None and (scheme[1] or "").lower() in _STREAMS
    return MediaError("Of addresses, only http:// and https:// ones of media files are read.", hint=_RECORD if live else _DOWNLOAD)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
